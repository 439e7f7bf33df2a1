import { stoppedEnding } from './ending.ts';
import type { Ending } from './ending.ts';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The one way to end a run before the guest's own exits do; the first reason counts. Signals pull it by themselves. */
export class StopSwitch {
  readonly #controller = new AbortController();
  readonly #onSignal = (signal: NodeJS.Signals): void =>
    this.stop(stoppedEnding(signal as (typeof signals)[number]));
  #ending: Ending | undefined;

  constructor() {
    for (const signal of signals) process.on(signal, this.#onSignal);
  }

  /** Aborts the run that has it. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Why the run was ended; undefined while nobody wants it to. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  stop(ending: Ending): void {
    this.#ending ??= ending;
    this.#controller.abort();
  }

  /** Gives the signals back: from here on they end the process as ever. */
  close(): void {
    for (const signal of signals) process.off(signal, this.#onSignal);
  }
}
