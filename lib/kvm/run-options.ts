import type { Interruption } from './handlers.ts';

/** What `Vcpu.run()` can be told. */
export interface RunOptions {
  /** Ends the run after so many milliseconds, at a granularity of about ten. Default: never. */
  timeoutMs?: number;
  /**
   * Lets KVM write the registers into the shared page at every exit from the first one on. Without it that begins with the
   * first handler that looks at `vcpu.regs`. Default false.
   */
  syncRegs?: boolean;
}

/** What `Vcpu.runSliced()` can be told. */
export interface SlicedOptions extends RunOptions {
  /** Ends the run; the Promise is rejected with the signal's reason. */
  signal?: AbortSignal;
  /** How long the guest runs before the event loop gets its turn, in milliseconds, 10 by default and at least. */
  budgetMs?: number;
}

/** What `Vcpu.runInBackground()` can be told. */
export interface BackgroundOptions extends RunOptions {
  /** Ends the run; the Promise is rejected with the signal's reason. */
  signal?: AbortSignal;
  /** Whether the process stays alive while the run is under way. Default true. */
  keepAlive?: boolean;
}

/**
 * What `Vcpu.step()` gives when there was no exit: `{ kind: 'timeout' }`, `{ kind: 'kicked' }`, or
 * `{ kind: 'device', device, code }`.
 */
export type StepInterruption = {
  [K in Interruption['reason']]: { kind: K } & Omit<Extract<Interruption, { reason: K }>, 'reason'>;
}[Interruption['reason']];
