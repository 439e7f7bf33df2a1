// One hash for many inputs: a step is done again only when the bytes it reads have changed.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root, stampDirectory } from './paths.mjs';

/**
 * Every file under the paths given, in a stable order. What is missing is left out.
 * @param {readonly string[]} paths relative to `base`
 * @param {string} [base]
 * @returns {string[]} absolute paths
 */
export function filesUnder(paths, base = root) {
  /** @type {string[]} */
  const found = [];
  /** @param {string} path */
  const visit = (path) => {
    if (!existsSync(path)) return;
    if (!statSync(path).isDirectory()) {
      found.push(path);
      return;
    }
    for (const entry of readdirSync(path).toSorted()) visit(join(path, entry));
  };
  for (const path of paths) visit(join(base, path));
  return found;
}

/**
 * The hash of the files' names and bytes, and of whatever else decides the result.
 * @param {readonly string[]} paths relative to the checkout
 * @param {readonly string[]} [also] versions, flags
 */
export function hashOf(paths, also = []) {
  const hash = createHash('sha256');
  for (const text of also) hash.update(`${text}\0`);
  for (const file of filesUnder(paths)) {
    const bytes = readFileSync(file);
    hash.update(`${relative(root, file)}\0${bytes.length}\0`);
    hash.update(bytes);
  }
  return hash.digest('hex').slice(0, 20);
}

/**
 * Whether a step was last done with these inputs, and its results are still there.
 * @param {string} step
 * @param {string} hash
 * @param {readonly string[]} results
 */
export function isFresh(step, hash, results) {
  const stamp = join(stampDirectory, step);
  return (
    existsSync(stamp) && readFileSync(stamp, 'utf8') === hash && results.every((path) => existsSync(path))
  );
}

/**
 * Remembers the inputs of a step that has just been done.
 * @param {string} step
 * @param {string} hash
 */
export function markFresh(step, hash) {
  mkdirSync(stampDirectory, { recursive: true });
  writeFileSync(join(stampDirectory, step), hash);
}
