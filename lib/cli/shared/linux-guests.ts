import { existsSync } from 'node:fs';
import { join } from 'node:path';

/**
 * KVM-PVM runs guests in KVM's instruction emulator, which refuses instructions that every Linux kernel uses. Other KVMs
 * run them.
 *
 * @param root - where /sys is; a test plants its own
 */
export function runsLinuxGuests(root = '/'): boolean {
  return !existsSync(join(root, 'sys/module/kvm_pvm'));
}

/** What is to be said in advance where they do not run. */
export const noLinuxWarning =
  'KVM on this host is KVM-PVM, which cannot run a stock Linux kernel: this one will not get far (see: vmhatch doctor)';

/** What is to be said when it has ended there. */
export const noLinuxExplanation =
  'KVM-PVM emulates guests and met an instruction that it does not know. Linux guests need a host with hardware\n' +
  'virtualisation; in a clone of vmhatch, scripts/emulated-host -- COMMAND emulates one.';
