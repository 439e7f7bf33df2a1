// What must be true of a checkout before it is released.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { entryPackages } from './packages.mjs';

/**
 * Every place that states the version, and what it states.
 * @param {string} root of the checkout
 * @returns {{ place: string, version: string }[]}
 */
export function statedVersions(root) {
  const read = (/** @type {string} */ path) => readFileSync(join(root, path), 'utf8');
  const stated = [
    { place: 'package.json', version: JSON.parse(read('package.json')).version },
    { place: 'package-lock.json', version: JSON.parse(read('package-lock.json')).packages[''].version },
  ];
  for (const name of readdirSync(join(root, 'npm')).toSorted()) {
    const path = `npm/${name}/package.json`;
    if (existsSync(join(root, path))) stated.push({ place: path, version: JSON.parse(read(path)).version });
  }
  const cargo = /^\[workspace\.package\]\n(?:(?!\[).*\n)*?version = "([^"]+)"/m.exec(read('Cargo.toml'))?.[1];
  stated.push({ place: 'Cargo.toml', version: cargo ?? 'none' });
  for (const [, name, version] of read('Cargo.lock').matchAll(
    /^name = "(vmhatch-[\w-]+)"\nversion = "([^"]+)"/gm,
  )) {
    stated.push({ place: `Cargo.lock: ${name}`, version: version ?? 'none' });
  }
  // The loader refuses a platform package of another version, if it is told to.
  if (existsSync(join(root, 'native.cjs'))) {
    const expected = read('native.cjs').matchAll(/bindingPackageVersion !== '([^']+)'/g);
    for (const version of new Set(Array.from(expected, ([, text]) => text ?? 'none'))) {
      stated.push({ place: 'native.cjs (npm run build makes it)', version });
    }
  }
  return stated;
}

/**
 * @param {string} root
 * @returns {string[]} the places whose version is not package.json's
 */
export function checkVersions(root) {
  const [main, ...others] = statedVersions(root);
  return others
    .filter(({ version }) => version !== main?.version)
    .map(({ place, version }) => `${place} says ${version}, package.json ${main?.version}`);
}

/**
 * @param {string} changelog
 * @param {string} version
 * @returns {string[]}
 */
export function checkChangelog(changelog, version) {
  const heading = changelog.split('\n').find((line) => line.startsWith(`## [${version}]`));
  if (heading === undefined) return [`CHANGELOG.md has no section ## [${version}]`];
  if (!/ - \d{4}-\d{2}-\d{2}$/.test(heading)) return [`CHANGELOG.md: '${heading}' has no date`];
  return [];
}

/**
 * Each target has its package, and each package says whom it is for.
 * @param {string} root
 * @returns {string[]}
 */
export function checkPlatforms(root) {
  return entryPackages.flatMap(({ name, target }) => {
    const path = `npm/${target.platform}/package.json`;
    if (!existsSync(join(root, path))) return [`${path} is missing`];
    const manifest = JSON.parse(readFileSync(join(root, path), 'utf8'));
    const libc = target.libc === 'gnu' ? 'glibc' : 'musl';
    /** @type {[string, unknown, unknown][]} */
    const fields = [
      ['name', manifest.name, name],
      ['os', manifest.os, ['linux']],
      ['cpu', manifest.cpu, [target.cpu]],
      ['libc', manifest.libc, [libc]],
    ];
    return fields
      .filter(([, is, shall]) => JSON.stringify(is) !== JSON.stringify(shall))
      .map(
        ([field, is, shall]) => `${path}: ${field} is ${JSON.stringify(is)}, not ${JSON.stringify(shall)}`,
      );
  });
}

/**
 * What a real release lacks: npm takes a provenance statement only from continuous integration that identifies itself,
 * and only for a package that names its repository.
 * @param {NodeJS.ProcessEnv} env
 * @param {{ repository?: unknown }} manifest
 * @returns {string[]}
 */
export function checkPublisher(env, manifest) {
  const lacks = [];
  if (!env['CI']) lacks.push('this is no continuous integration (CI is not set)');
  if (!env['NODE_AUTH_TOKEN'] && !env['NPM_TOKEN'] && !env['ACTIONS_ID_TOKEN_REQUEST_URL']) {
    lacks.push('there is no token (NODE_AUTH_TOKEN or NPM_TOKEN) and no trusted publisher');
  }
  if (!env['ACTIONS_ID_TOKEN_REQUEST_URL'] && !env['SIGSTORE_ID_TOKEN']) {
    lacks.push('nobody vouches for the build (--provenance needs an identity token)');
  }
  if (manifest.repository === undefined)
    lacks.push('package.json names no repository, which --provenance needs');
  return lacks;
}
