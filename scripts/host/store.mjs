// What the emulated host is made of, in the cache.
import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { withLock } from '../shared/lock.mjs';
import { cacheDirectory } from '../shared/paths.mjs';
import { inWorkFolder } from '../shared/work-folder.mjs';

const store = join(cacheDirectory, 'emulated-host');

/**
 * Makes a file or a folder of the cache if it is not there; of the others of its kind the newest ones stay.
 * @param {string} prefix of its kind
 * @param {string} name
 * @param {number} others how many others stay: another checkout may use them
 * @param {(work: string) => Promise<string | undefined>} make in an empty folder; undefined: it cannot be made
 * @returns {Promise<string | undefined>} its path
 */
export async function cachedEntry(prefix, name, others, make) {
  const target = join(store, `${prefix}${name}`);
  if (existsSync(target)) return target;
  return withLock(join(store, 'lock'), async () => {
    if (existsSync(target)) return target;
    return inWorkFolder(store, async (work) => {
      const made = await make(work);
      if (made === undefined) return undefined;
      renameSync(made, target);
      const old = readdirSync(store)
        .filter((entry) => entry.startsWith(prefix) && entry !== basename(target))
        .map((entry) => join(store, entry))
        .toSorted((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
      for (const path of old.slice(others)) rmSync(path, { recursive: true, force: true });
      return target;
    });
  });
}
