import type { BootProtocol } from '../../machine/config.ts';
import type { MachineEnd } from '../../machine/exit.ts';
import { ExitCode } from '../exit-codes.ts';
import type { Ending } from '../shared/ending.ts';
import { noLinuxExplanation, runsLinuxGuests } from '../shared/linux-guests.ts';

/** How a machine ended; who stopped it says the rest. */
export interface BootEnding extends Ending {
  /** Nothing has to be said about it to a person. */
  readonly quiet?: boolean;
  /** Why, in more words. */
  readonly note?: string;
}

/** Protocols by which Linux kernels are entered. */
const linuxProtocols: ReadonlySet<string> = new Set(['linux64', 'pvh', 'elf64']);

/** Whether the kernel is one that this host's KVM is known not to run. */
export function isHopeless(protocol: BootProtocol, root?: string): boolean {
  return linuxProtocols.has(protocol) && !runsLinuxGuests(root);
}

/** What the guest's end means, unless it was stopped by us. */
export function bootEnding(end: MachineEnd, hopeless: boolean): BootEnding {
  const { reason } = end;
  const ended = (message: string, exitCode: number = ExitCode.ok): BootEnding => ({
    reason,
    message,
    exitCode,
    failed: false,
  });
  const failed = (message: string): BootEnding => ({
    reason,
    message,
    exitCode: ExitCode.guestFailed,
    failed: true,
  });
  switch (end.reason) {
    case 'poweroff':
      return { ...ended('the guest powered off'), quiet: true };
    case 'reset':
      return ended('the guest asked for a reset');
    case 'panic':
      return failed(`the guest’s kernel panicked${end.message === undefined ? '' : `: ${end.message}`}`);
    case 'tripleFault':
      return failed(`the guest shut down: a triple fault on vCPU ${end.vcpu}`);
    case 'exit':
      return ended(`the guest exited with code ${end.code}`, end.code & 0xff);
    case 'killed':
      return { ...ended('stopped'), exitCode: ExitCode.guestFailed };
    case 'error': {
      const { error } = end;
      const code = 'code' in error ? ` [${error.code}]` : '';
      const explained = hopeless && 'code' in error && error.code === 'ERR_KVM_GUEST';
      return { ...failed(`${error.message}${code}`), ...(explained ? { note: noLinuxExplanation } : {}) };
    }
  }
}
