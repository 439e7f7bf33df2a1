// The packages as they will be published: each in a folder of its own, packed by npm.
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { addonName } from '../cross/targets.mjs';
import { inRoot } from '../shared/paths.mjs';
import { run } from '../shared/process.mjs';
import { publishedManifest } from './manifest.mjs';
import { checkContents, entryPackages, mainPackage } from './packages.mjs';

/**
 * @typedef {object} Packed
 * @property {string} name
 * @property {string} version
 * @property {string} tarball
 * @property {readonly string[]} paths what is in it
 * @property {number} size of the tarball, in bytes
 * @property {number} unpackedSize in bytes
 * @property {string[]} violations of the rules for its contents
 */

/** @param {string} path */
export function readManifest(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}

/**
 * @param {string} folder made where it is missing
 * @param {readonly string[]} paths relative to the checkout
 */
function copyFromRoot(folder, paths) {
  mkdirSync(folder, { recursive: true });
  for (const path of paths) {
    if (!existsSync(inRoot(path))) throw new Error(`${path} is missing: npm run build makes it`);
    cpSync(inRoot(path), join(folder, path), { recursive: true });
  }
}

/**
 * Packs a folder. No script of the package runs.
 * @param {string} folder
 * @param {string} to where the tarball goes
 * @param {Pick<import('./packages.mjs').PackageRules, 'required' | 'allowed'>} rules
 * @returns {Promise<Packed>}
 */
export async function packFolder(folder, to, rules) {
  mkdirSync(to, { recursive: true });
  const args = ['pack', '--json', '--ignore-scripts', '--loglevel', 'error', '--pack-destination', to];
  const result = await run('npm', args, { cwd: folder, quiet: true });
  const start = result.output.indexOf('[');
  if (!result.ok || start < 0) throw new Error(`npm pack in ${folder}: ${result.output || result.ending}`);
  const [packed] = JSON.parse(result.output.slice(start));
  const { name, version, filename, files, size, unpackedSize } = packed;
  const paths = files.map((/** @type {{ path: string }} */ { path }) => path);
  const tarball = join(to, filename);
  return { name, version, tarball, paths, size, unpackedSize, violations: checkContents(rules, paths) };
}

/**
 * The main package and the platform packages, packed.
 * @param {readonly import('../cross/build.mjs').Addon[]} addons those that are to be packed
 * @param {string} folder where to work; it must be empty
 * @returns {Promise<{ main: Packed, platforms: Packed[] }>} the platforms in the order of the addons
 */
export async function stagePackages(addons, folder) {
  const tarballs = join(folder, 'tarballs');
  const main = join(folder, 'vmhatch');
  copyFromRoot(main, ['dist', 'native.cjs', 'README.md', 'CHANGELOG.md', 'LICENSE-MIT', 'LICENSE-APACHE']);
  const manifest = publishedManifest(readManifest(inRoot('package.json')));
  writeFileSync(join(main, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
  const packedMain = await packFolder(main, tarballs, mainPackage);
  const platforms = [];
  for (const { target, path } of addons) {
    const rules = entryPackages.find((entry) => entry.target === target);
    if (rules === undefined) throw new Error(`there is no package for ${target.platform}`);
    const staged = join(folder, rules.name);
    copyFromRoot(staged, ['LICENSE-MIT', 'LICENSE-APACHE']);
    cpSync(inRoot('npm', target.platform), staged, { recursive: true });
    copyFileSync(path, join(staged, addonName(target)));
    platforms.push(await packFolder(staged, tarballs, rules));
  }
  return { main: packedMain, platforms };
}
