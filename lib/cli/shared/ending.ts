import { ExitCode } from '../exit-codes.ts';

/** Why we stopped the guest, when it was us. */
export type StopCause = 'max-exits' | 'timeout' | 'quit' | 'SIGINT' | 'SIGTERM' | 'SIGHUP';

/** How a guest ended: for a person, for a program, and for the shell. */
export interface Ending {
  readonly reason: string;
  readonly message: string;
  readonly exitCode: number;
  /** The guest went wrong. */
  readonly failed: boolean;
}

const stopped: Readonly<Record<StopCause, readonly [message: string, exitCode: number]>> = {
  'max-exits': ['stopped: as many exits as --max-exits allows', ExitCode.limitReached],
  timeout: ['stopped: the time of --timeout is over', ExitCode.limitReached],
  quit: ['quit (ctrl-a x)', ExitCode.ok],
  SIGINT: ['interrupted', ExitCode.interrupted],
  SIGTERM: ['terminated', ExitCode.terminated],
  SIGHUP: ['the terminal went away', ExitCode.hangup],
};

/** We stopped it. */
export function stoppedEnding(cause: StopCause): Ending {
  const [message, exitCode] = stopped[cause];
  return { reason: cause, message, exitCode, failed: false };
}
