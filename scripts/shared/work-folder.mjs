// A folder to make something in, beside the place where it is renamed to when it is whole.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';

const prefix = 'work-';
const longestMs = 3600 * 1000;

/**
 * Works in a new empty folder, which is gone afterwards. So are those of processes that were killed, after an hour.
 * @template T
 * @param {string} store where the folder is made
 * @param {(work: string) => Promise<T>} act
 * @returns {Promise<T>}
 */
export async function inWorkFolder(store, act) {
  mkdirSync(store, { recursive: true });
  for (const name of readdirSync(store).filter((entry) => entry.startsWith(prefix))) {
    const path = join(store, name);
    const { mtimeMs = Date.now() } = statSync(path, { throwIfNoEntry: false }) ?? {};
    if (Date.now() - mtimeMs > longestMs) rmSync(path, { recursive: true, force: true });
  }
  const work = mkdtempSync(join(store, prefix));
  try {
    return await act(work);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
