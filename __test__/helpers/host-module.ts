/** Which KVM this host has: goldens are kept for each. */
import { existsSync, readFileSync } from 'node:fs';

/**
 * `pvm`, `intel`, `amd` or `arm64`, with `-emulated` behind it where the host itself is emulated by QEMU's TCG; `other`
 * where no module is found.
 */
export function hostModule(): string {
  const module = moduleName();
  const processors = existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : '';
  // scripts/emulated-host says where it is; on x86_64 any other emulated host can be told by its processor.
  const emulated = process.env['VMHATCH_EMULATED_HOST'] === '1' || processors.includes('QEMU TCG CPU');
  return emulated ? `${module}-emulated` : module;
}

function moduleName(): string {
  if (process.arch === 'arm64') return 'arm64';
  // KVM-PVM first: it lies beside nothing else that works.
  return ['pvm', 'intel', 'amd'].find((name) => existsSync(`/sys/module/kvm_${name}`)) ?? 'other';
}
