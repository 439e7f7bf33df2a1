/** Waiting for what happens soon, without a word about how soon. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until something is true; a test's own timeout ends a wait in vain. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(2);
}
