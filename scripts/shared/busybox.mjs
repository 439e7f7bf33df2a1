// A busybox that needs no library, as Debian builds it.
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { findPackage, ownArchitecture } from './debian.mjs';

/**
 * @typedef {object} Busybox
 * @property {string} path
 * @property {string} version the package's name, version and architecture, as the cache has them
 * @property {undefined} [missing]
 */

/**
 * @param {string} [architecture] by Debian's name; the machine's own by default
 * @returns {Promise<Busybox | { path?: undefined, missing: string }>}
 */
export async function findBusybox(architecture = ownArchitecture) {
  const found = await findPackage('busybox-static', { architecture });
  if ('missing' in found) return found;
  // Later releases of Debian keep /bin in /usr.
  const path = ['bin', 'usr/bin'].map((folder) => join(found.root, folder, 'busybox')).find(existsSync);
  if (path === undefined) return { missing: `${found.root} holds no busybox` };
  return { path, version: basename(found.root) };
}
