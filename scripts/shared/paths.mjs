// Where things are: this checkout, and the cache outside it that a fresh clone finds again.
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the checkout. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** What outlives a checkout: built dependencies, a firmware image, another Node to test on. */
export const cacheDirectory = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'vmhatch');

/** What belongs to this checkout only: the hashes of what was built last. */
export const stampDirectory = join(root, '.cache');

/**
 * A path inside the checkout.
 * @param {...string} parts
 */
export function inRoot(...parts) {
  return join(root, ...parts);
}
