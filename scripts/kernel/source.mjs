// Debian's kernel source: the version that kernel/source.json pins, or what the archive has now if it has moved on.
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { findPackage } from '../shared/debian.mjs';
import { kernelFolder } from './fragments.mjs';

/**
 * @typedef {object} Pinned
 * @property {string} package
 * @property {string} version
 * @property {string} tarball its name in the package's /usr/src
 * @property {string} sha256 of the tarball
 */

/**
 * @typedef {object} Source
 * @property {string} root the unpacked package, which may be removed after use
 * @property {string} tarball its path
 * @property {string} version
 * @property {string} sha256
 * @property {number} date of the tarball, in seconds: the same wherever the package is unpacked
 */

/**
 * @param {string} [base] the folder of source.json
 * @returns {Pinned}
 */
export function pinnedSource(base = kernelFolder) {
  return JSON.parse(readFileSync(join(base, 'source.json'), 'utf8'));
}

/** @param {string} path */
async function sha256(path) {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest('hex');
}

/**
 * @param {(line: string) => void} note is told when another version is taken than the pinned one
 * @returns {Promise<Source | { missing: string }>}
 */
export async function findSource(note) {
  const pinned = pinnedSource();
  // apt's way to ask for one version (apt-get(8)); the archive keeps a few.
  let found = await findPackage(`${pinned.package}=${pinned.version}`);
  if ('missing' in found) {
    const newest = await findPackage(pinned.package, { refresh: true });
    if ('missing' in newest) return newest;
    found = newest;
    note(`Debian's archive has ${pinned.package} ${pinned.version} no more: taking ${found.version}`);
  }
  const tarball = join(found.root, 'usr', 'src', pinned.tarball);
  if (!existsSync(tarball))
    return { missing: `${pinned.package} ${found.version} holds no ${pinned.tarball}` };
  const sum = await sha256(tarball);
  if (found.version === pinned.version && sum !== pinned.sha256) {
    return { missing: `${tarball} is not what kernel/source.json names: its SHA-256 is ${sum}` };
  }
  const date = Math.floor(statSync(tarball).mtimeMs / 1000);
  return { root: found.root, tarball, version: found.version, sha256: sum, date };
}
