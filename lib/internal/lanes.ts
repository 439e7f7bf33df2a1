/** The lanes on which a vCPU runs: sync (the caller's thread), sliced (the same, in turns with the event loop). */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Handlers, RunResult } from '../kvm/handlers.ts';
import { KvmError } from './errors.ts';
import { look } from './isolate.ts';
import { PAUSE, type Outcome, type Runner } from './runner.ts';

/** What is left of a timeout. */
export class Deadline {
  /** That of a run without a timeout. */
  static readonly never = new Deadline(undefined);

  readonly #at: number;

  constructor(timeoutMs: number | undefined) {
    this.#at = timeoutMs === undefined ? Infinity : performance.now() + timeoutMs;
  }

  get passed(): boolean {
    return this.#at !== Infinity && performance.now() >= this.#at;
  }

  /** Milliseconds from now; infinite without a timeout. */
  get left(): number {
    return this.#at - performance.now();
  }
}

/** The status of a sync burst: a Promise has no business there. */
export function settled(outcome: Outcome): number {
  if (typeof outcome === 'number') return outcome;
  // The run fails now; what becomes of the Promise concerns nobody.
  outcome.catch(() => undefined);
  throw new KvmError(
    'ERR_KVM_ASYNC_HANDLER',
    'a handler or device returned a Promise on a sync lane: use runInBackground(), or answer at once',
  );
}

/** Runs on the caller's thread until the run ends. */
export function runSync(runner: Runner, handlers: Handlers, deadline: Deadline): RunResult {
  runner.begin(handlers, false);
  try {
    for (;;) {
      if (settled(runner.burst()) !== PAUSE) break;
      look();
      if (deadline.passed) runner.interrupt({ reason: 'timeout' });
      if (runner.result !== undefined) break;
    }
    return runner.result!;
  } finally {
    runner.finish();
    look();
  }
}

/** Runs on the caller's thread for `budgetMs` at a time, and lets the event loop have its turn in between. */
export async function runSliced(
  runner: Runner,
  handlers: Handlers,
  options: { deadline: Deadline; budgetMs: number; signal: AbortSignal | undefined },
): Promise<RunResult> {
  const { deadline, budgetMs, signal } = options;
  signal?.throwIfAborted();
  runner.begin(handlers, false);
  try {
    for (;;) {
      const until = performance.now() + budgetMs;
      do {
        if (settled(runner.burst()) !== PAUSE) return runner.result!;
        look();
        if (deadline.passed) return { reason: 'timeout' };
      } while (performance.now() < until);
      await nextTurn();
      signal?.throwIfAborted();
    }
  } finally {
    runner.finish();
    look();
  }
}
