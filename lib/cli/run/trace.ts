import type { Exit } from '../../kvm/exits.ts';
import type { Vcpu } from '../../kvm/vcpu.ts';
import { stoppedEnding } from '../shared/ending.ts';
import type { StopSwitch } from '../shared/stop-switch.ts';
import type { RunPlan } from './plan.ts';
import { tracedRegisters } from './reporter.ts';
import type { Reporter, TracedRegisters } from './reporter.ts';

/** Counts the exits of every kind, reports them if they are to be traced, and stops the run when there were enough. */
export class Trace {
  readonly #plan: RunPlan;
  readonly #reporter: Reporter;
  readonly #stop: StopSwitch;
  #count = 0;

  constructor(plan: RunPlan, reporter: Reporter, stop: StopSwitch) {
    this.#plan = plan;
    this.#reporter = reporter;
    this.#stop = stop;
  }

  /** Whether anybody wants to see each exit. */
  get wanted(): boolean {
    return this.#plan.trace || this.#plan.maxExits !== undefined;
  }

  /** The next exit, after it was answered; `answer` is what the guest read. */
  take(exit: Exit, answer: Uint8Array | undefined, vcpu: Vcpu): void {
    this.#count++;
    const { trace, registers, maxExits } = this.#plan;
    if (trace) {
      const shown = registers ? readRegisters(vcpu) : undefined;
      this.#reporter.exit({ number: this.#count, exit, answer, registers: shown });
    }
    if (this.#count === maxExits) this.#stop.stop(stoppedEnding('max-exits'));
  }
}

function readRegisters({ regs }: Vcpu): TracedRegisters {
  return Object.fromEntries(tracedRegisters.map((name) => [name, regs[name]])) as TracedRegisters;
}
