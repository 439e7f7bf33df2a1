/**
 * Interleaving: what is compared is measured alternately, in blocks so short that whatever else the machine does falls
 * on all modes alike.
 */
import { setImmediate } from 'node:timers/promises';

/** One way to do the same work. */
export interface Mode {
  /** Unique among the modes that are compared. */
  readonly name: string;
  /** Does one block and gives the nanoseconds that it took. */
  block(): number | Promise<number>;
}

export interface RoundsOptions {
  /** At most so many. */
  readonly rounds: number;
  readonly warmUp: number;
  /** No round starts later than this, by `performance.now()`; but at least `leastRounds` are made. */
  readonly deadline?: number;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: (done: number, of: number) => void;
}

/** Fewer say nothing, whatever the time that was given. */
const leastRounds = 20;

/**
 * The samples of each mode, one a round. The order of the modes is rotated, by a step that changes too: with a fixed
 * step each mode would always follow the same other one and inherit its caches.
 */
export async function interleave(
  modes: readonly Mode[],
  options: RoundsOptions,
): Promise<Map<string, Float64Array>> {
  const rounds = options.rounds;
  const samples = modes.map(() => new Float64Array(rounds));
  const steps = coprimes(modes.length);
  let done = 0;
  for (let round = -options.warmUp; round < rounds; round++) {
    if (options.signal?.aborted === true) break;
    if (round >= leastRounds && performance.now() > (options.deadline ?? Infinity)) break;
    const turn = round + options.warmUp;
    const step = steps[Math.floor(turn / modes.length) % steps.length]!;
    for (let place = 0; place < modes.length; place++) {
      const index = (turn + place * step) % modes.length;
      const block = modes[index]!.block();
      // A mode that answers at once is not awaited: the microtask would be timed by nobody and paid by the next one.
      const nanoseconds = typeof block === 'number' ? block : await block;
      if (round >= 0) samples[index]![round] = nanoseconds;
    }
    if (round >= 0) done = round + 1;
    // Signals, timers and finalizers get their turn between rounds, where no clock runs.
    await setImmediate();
    if (round >= 0 && (round & 15) === 0) options.progress?.(done, rounds);
  }
  return new Map(modes.map((mode, index) => [mode.name, samples[index]!.slice(0, done)]));
}

/** The steps that visit every mode: those without a common divisor with their number. */
function coprimes(count: number): number[] {
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));
  const all = Array.from({ length: count }, (_, index) => index + 1);
  return all.filter((step) => divisor(step, count) === 1);
}
