import type { EventFd } from '../../../index.ts';

/** What guests write is summed here, so that no handler's work can be optimised away. */
export const sink = { sum: 0 };

/**
 * Times a block from inside a run: the first marker starts it, the second one ends it. The exits before the first one
 * bring the caches back that other modes used meanwhile, and the call of `run()` is not part of an exit's cost.
 */
export class BlockClock {
  /** Nanoseconds of the last block. */
  ns = 0;
  #started = 0;
  readonly #event: EventFd | undefined;

  /** @param event - what took the guest's writes, to be emptied at each marker */
  constructor(event: EventFd | undefined) {
    this.#event = event;
  }

  /** The guest is at a marker; true if the block is over. */
  mark(): boolean {
    if (this.#event !== undefined) sink.sum += Number(this.#event.read() ?? 0n);
    const now = performance.now();
    if (this.#started === 0) {
      this.#started = now;
      return false;
    }
    this.ns = (now - this.#started) * 1e6;
    this.#started = 0;
    return true;
  }
}
