// After `npm install` has changed package-lock.json: adds the prebuilt packages of other platforms, where the
// registry in use does not carry them. npm leaves such optional packages out, and `npm ci` then refuses the lockfile
// everywhere. Their names say what they are for; their hashes stay unknown, since nothing here can fetch them.
import { readFileSync, writeFileSync } from 'node:fs';
import { inRoot } from './shared/paths.mjs';

/**
 * @typedef {object} LockedPackage
 * @property {string} [version]
 * @property {Record<string, string>} [optionalDependencies]
 * @property {string[]} [cpu]
 * @property {boolean} [dev]
 * @property {boolean} [optional]
 * @property {string[]} [os]
 * @property {string[]} [libc]
 */

const systems = 'aix|android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|win32';
const native = new RegExp(`[-/](${systems})-([a-z0-9]+)(?:-([a-z]+))?$`);

/**
 * What a prebuilt package's name says about where it runs.
 * @param {string} name
 * @returns {Pick<LockedPackage, 'cpu' | 'os' | 'libc'> | undefined}
 */
export function platformOf(name) {
  if (/[-/]wasm32-wasi$/.test(name)) return { cpu: ['wasm32'] };
  const [, os, cpu, abi = ''] = native.exec(name) ?? [];
  if (os === undefined || cpu === undefined) return undefined;
  const libc = /^(gnu|musl)/.exec(abi)?.[1];
  if (os !== 'linux' || libc === undefined) return { cpu: [cpu], os: [os] };
  return { cpu: [cpu], os: [os], libc: [libc === 'gnu' ? 'glibc' : 'musl'] };
}

/**
 * The entries that a lockfile lacks.
 * @param {Readonly<Record<string, LockedPackage>>} packages
 * @returns {Record<string, LockedPackage>}
 */
export function missingFrom(packages) {
  /** @type {Record<string, LockedPackage>} */
  const missing = {};
  for (const { optionalDependencies = {} } of Object.values(packages)) {
    for (const [name, version] of Object.entries(optionalDependencies)) {
      const path = `node_modules/${name}`;
      const platform = platformOf(name);
      if (path in packages || platform === undefined || !/^\d+\.\d+\.\d+[\w.-]*$/.test(version)) continue;
      const { cpu, os, libc } = platform;
      missing[path] = {
        version,
        ...(cpu && { cpu }),
        dev: true,
        ...(libc && { libc }),
        optional: true,
        ...(os && { os }),
      };
    }
  }
  return missing;
}

if (process.argv[1] === import.meta.filename) {
  const path = inRoot('package-lock.json');
  const lock = JSON.parse(readFileSync(path, 'utf8'));
  const missing = missingFrom(lock.packages);
  const sorted = Object.entries({ ...lock.packages, ...missing }).toSorted(([a], [b]) =>
    a.localeCompare(b, 'en'),
  );
  lock.packages = Object.fromEntries(sorted);
  writeFileSync(path, `${JSON.stringify(lock, undefined, 2)}\n`);
  console.log(`${Object.keys(missing).length} packages of other platforms added to package-lock.json`);
}
