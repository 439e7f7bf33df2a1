/** One exit at a time, for step() and exits(). */
import type { Interruption } from '../kvm/handlers.ts';
import type { AnyExit } from './exits/set.ts';
import { look } from './isolate.ts';
import { settled, type Deadline } from './lanes.ts';
import { PAUSE, type Runner } from './runner.ts';

/** Runs to the next exit that no device claims: the reused object, still open for an answer. */
export function stepOnce(runner: Runner, deadline: Deadline): { exit: AnyExit } | Interruption {
  runner.begin({}, false);
  try {
    for (;;) {
      if (settled(runner.burst()) !== PAUSE) break;
      look();
      if (deadline.passed) return { reason: 'timeout' };
    }
    if (runner.unclaimed !== undefined) return { exit: runner.unclaimed };
    return runner.result as Interruption;
  } finally {
    runner.finish();
    look();
  }
}
