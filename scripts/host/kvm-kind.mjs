// Where Linux guests can run: on this machine's own KVM, or only on the emulated host.
import { accessSync, constants, existsSync } from 'node:fs';

/**
 * What KVM can do here for a Linux guest. 'none': /dev/kvm cannot be used. 'pvm': KVM-PVM, which runs guests in its
 * instruction emulator and takes no stock Linux through. 'full': any other.
 * @typedef {'none' | 'pvm' | 'full'} KvmKind
 */

/**
 * @param {string} [base] where /dev and /sys are
 * @returns {KvmKind}
 */
export function kvmKind(base = '/') {
  try {
    accessSync(`${base}dev/kvm`, constants.R_OK | constants.W_OK);
  } catch {
    return 'none';
  }
  return existsSync(`${base}sys/module/kvm_pvm`) ? 'pvm' : 'full';
}

/**
 * Where Linux guests are to run, and why there. VMHATCH_LINUX_HOST=native|emulated decides it.
 * @param {NodeJS.ProcessEnv} [env]
 * @param {KvmKind} [kind]
 * @returns {{ host: 'native' | 'emulated', why: string }}
 */
export function linuxHost(env = process.env, kind = kvmKind()) {
  const asked = env['VMHATCH_LINUX_HOST'] ?? '';
  if (asked === 'native' || asked === 'emulated') {
    return { host: asked, why: `VMHATCH_LINUX_HOST is ${asked}` };
  }
  if (asked !== '') throw new TypeError(`VMHATCH_LINUX_HOST is '${asked}', neither native nor emulated`);
  const why = {
    none: '/dev/kvm cannot be used here',
    pvm: 'KVM-PVM runs no stock Linux',
    full: "this machine's KVM runs Linux",
  };
  return { host: kind === 'full' ? 'native' : 'emulated', why: why[kind] };
}
