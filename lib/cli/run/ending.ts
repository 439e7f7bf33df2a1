import type { Exit } from '../../kvm/exits.ts';
import type { RunResult } from '../../kvm/handlers.ts';
import type { DeviceRequest } from '../../kvm/rust-devices.ts';
import { ExitCode } from '../exit-codes.ts';
import { stoppedEnding } from '../shared/ending.ts';
import type { Ending } from '../shared/ending.ts';
import { detailText, placeText } from './exit-text.ts';

/** It ended by itself. */
export function ending(result: RunResult): Ending {
  switch (result.reason) {
    case 'device':
      return requestEnding(result);
    case 'timeout':
      return stoppedEnding('timeout');
    case 'kicked':
    case 'stopped':
      return { reason: result.reason, message: 'stopped', exitCode: ExitCode.guestFailed, failed: false };
    case 'exit':
      return exitEnding(result.exit);
  }
}

/** The guest ended it through a device. */
export function requestEnding({ device, code }: DeviceRequest): Ending {
  if (device === 'i8042') {
    return { reason: 'reset', message: 'the guest asked for a reset', exitCode: ExitCode.ok, failed: false };
  }
  // As QEMU does: the code is odd, so the guest can never say 0, and the shell sees the low 8 bits.
  return {
    reason: device,
    message: `the guest exited with code ${code} (${device})`,
    exitCode: code & 0xff,
    failed: false,
  };
}

function exitEnding(exit: Exit): Ending {
  const failed = (message: string): Ending => ({
    reason: exit.kind,
    message,
    exitCode: ExitCode.guestFailed,
    failed: true,
  });
  switch (exit.kind) {
    case 'hlt':
      return { reason: 'hlt', message: 'the guest halted', exitCode: ExitCode.ok, failed: false };
    case 'shutdown':
      return failed('the guest shut down: a triple fault');
    case 'internalError':
      return failed(`KVM could not go on: ${detailText(exit)}`);
    case 'failEntry':
      return failed(`the processor refused the guest’s state: ${detailText(exit)}`);
    case 'systemEvent':
      return failed(`system event, ${detailText(exit)}`);
    default:
      return failed(
        `an exit that nothing handles: ${[exit.kind, placeText(exit), detailText(exit)].filter(Boolean).join(' ')}`,
      );
  }
}
