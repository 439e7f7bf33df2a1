/** Runs a property until as many cases as asked were thrown. */
import type { ExecutionContext } from 'ava';
import { scaled } from '../../helpers/common-guests.ts';
import { SEED, seedLine } from './settings.ts';

/** Runs of a property before the canary sings. */
const RUNS = scaled(50);

/** What fast-check is told. */
export interface Parameters {
  readonly seed: number;
  readonly numRuns: number;
  readonly verbose: number;
  readonly includeErrorInReport: boolean;
}

/**
 * Calls `round` with a seed of its own each time, until it has counted enough cases.
 *
 * @returns how many there were
 */
export async function rounds(
  t: ExecutionContext,
  cases: number,
  round: (count: (cases: number) => void, parameters: Parameters) => Promise<void>,
): Promise<number> {
  const start = performance.now();
  let done = 0;
  try {
    for (let index = 0; ; index++) {
      const seed = (SEED + index) | 0;
      await round((more) => (done += more), { seed, numRuns: RUNS, verbose: 0, includeErrorInReport: true });
      if (done >= cases) break;
    }
  } finally {
    t.log(seedLine(done, performance.now() - start));
  }
  return done;
}
