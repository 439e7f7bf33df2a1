/** One exit at a time, for step() and exits(). */
import { STATUS_FLAG } from '../generated/control-page.ts';
import type { StepExit } from '../kvm/exits.ts';
import type { Interruption } from '../kvm/handlers.ts';
import type { StepInterruption } from '../kvm/run-options.ts';
import { stepExit } from './exits/step.ts';
import { look, lookIf } from './isolate.ts';
import { settled, type Deadline } from './lanes.ts';
import { ENDED, GO_ON, type Runner } from './runner.ts';

/** Runs to the next exit that no device claims, or until something else ends the run. */
export function stepOnce(runner: Runner, deadline: Deadline): StepExit | StepInterruption {
  // What an error leaves behind is not known.
  let waiting = true;
  try {
    const told = runToExit(runner, deadline);
    if (told === undefined) return { kind: 'timeout' };
    waiting = (told & STATUS_FLAG.LOOK) !== 0;
    // Before anybody looks: a listener may run the vCPU.
    if (runner.unclaimed !== undefined) return stepExit(told & 0xff, runner.exits, runner);
    const { reason, ...rest } = runner.result as Interruption;
    return { kind: reason, ...rest } as StepInterruption;
  } finally {
    lookIf(waiting);
  }
}

/** The status of the exit, or of what came instead, with its flags; undefined when the time was over. */
function runToExit(runner: Runner, deadline: Deadline): number | undefined {
  runner.beginStep();
  try {
    for (;;) {
      const told = runner.stepAlone();
      const outcome = settled(runner.dispatch(told & ~STATUS_FLAG.LOOK));
      if (outcome === ENDED) return told;
      if (outcome === GO_ON) continue;
      look();
      if (deadline.passed) return undefined;
    }
  } finally {
    runner.finish();
  }
}
