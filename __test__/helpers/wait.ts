/** Waiting for what happens soon, without a word about how soon. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Less than ava waits for a test: only so its report says what was waited for. An emulated host needs seconds. */
const IN_VAIN_MS = 120_000;

/** Waits until something is true; a wait in vain fails, by what it waited for. */
export async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + IN_VAIN_MS;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited in vain until ${String(condition)}`);
    await sleep(2);
  }
}
