// Builds the addon for other platforms than this machine's, with one linker that has the C libraries of all of them.
// Results live in the cache, by the hash of all that decides their bytes.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { takeOver } from '../shared/cargo.mjs';
import { hashOf } from '../shared/hash.mjs';
import { withLock } from '../shared/lock.mjs';
import { cacheDirectory, inRoot } from '../shared/paths.mjs';
import { environment, run } from '../shared/process.mjs';
import { say } from '../shared/terminal.mjs';
import { inWorkFolder } from '../shared/work-folder.mjs';
import { findPythonPackages } from './python-packages.mjs';
import { recipe } from './recipe.mjs';
import { compilerWithSource, findToolchain, hasLibrary } from './standard-library.mjs';
import { addonName, oldestGlibc } from './targets.mjs';

/** @typedef {import('./targets.mjs').Target} Target */

const store = join(cacheDirectory, 'addons');
const keptAddons = 3;
const keptFolders = 2;
const crates = ['vmm', 'devices', 'boot', 'node'];

/** What decides the addons' bytes, and is in the checkout. */
const inputs = [
  'Cargo.toml',
  'Cargo.lock',
  ...crates.flatMap((crate) => ['Cargo.toml', 'build.rs', 'src'].map((name) => `crates/${crate}/${name}`)),
  ...['recipe.mjs', 'requirements.txt'].map((name) => `scripts/cross/${name}`),
];

/**
 * @typedef {object} Addon
 * @property {Target} target
 * @property {string} path
 * @property {boolean} built now, and not before
 */

/**
 * Where a target's addon is or would be.
 * @param {Target} target
 * @param {string} compiler what `rustc --version --verbose` says
 */
function placeOf(target, compiler) {
  return join(
    store,
    `${target.platform}-${hashOf(inputs, [compiler, target.triple, oldestGlibc])}`,
    addonName(target),
  );
}

/**
 * The folder that cargo builds in: what depends on the compiler and the lockfile alone is found there by a fresh clone.
 * @param {string} compiler
 */
function targetFolder(compiler) {
  const folder = join(
    cacheDirectory,
    `cross-${hashOf(['Cargo.lock', 'scripts/cross/requirements.txt'], [compiler])}`,
  );
  mkdirSync(folder, { recursive: true });
  const now = new Date();
  utimesSync(folder, now, now);
  takeOver(folder);
  forget(cacheDirectory, (name) => name.startsWith('cross-'), keptFolders);
  return folder;
}

/**
 * Removes all but the entries that were used last.
 * @param {string} folder
 * @param {(name: string) => boolean} which
 * @param {number} kept
 */
function forget(folder, which, kept) {
  const paths = readdirSync(folder)
    .filter((name) => which(name))
    .map((name) => join(folder, name))
    .toSorted((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  for (const path of paths.slice(kept)) rmSync(path, { recursive: true, force: true });
}

/**
 * The addon that was built before, if nothing has changed since.
 * @param {Target} target
 * @returns {Promise<Addon | { missing: string }>}
 */
export async function findAddon(target) {
  const toolchain = await findToolchain();
  if ('missing' in toolchain) return toolchain;
  const path = placeOf(target, toolchain.verbose);
  if (!existsSync(path)) return { missing: `${target.platform} is not built. Type: npm run build:all` };
  return { target, path, built: false };
}

/**
 * Of what cargo prints, what tells a person something: not the hundred crates that it compiles.
 * @param {string} line
 */
function worthShowing(line) {
  return /^\s+(?:Compiling (?!vmhatch)|Download|Updating|Locking)/.test(line) || line.trim() === ''
    ? undefined
    : line;
}

/**
 * @param {Target} target
 * @param {import('./standard-library.mjs').Toolchain} toolchain
 * @param {string} tools the folder of the Python packages
 * @returns {Promise<Addon | { failure: string } | { missing: string }>}
 */
async function buildOne(target, toolchain, tools) {
  const path = placeOf(target, toolchain.verbose);
  // Always the same compiler, so that what all targets share is compiled once; where its source is missing, the own
  // one will do for a target that it has a library of.
  const found = await compilerWithSource(toolchain);
  const ready = hasLibrary(toolchain.sysroot, target.triple);
  if ('missing' in found && !ready) return found;
  const compiler = 'missing' in found ? { rustc: 'rustc', sysroot: toolchain.sysroot } : found;
  const folder = targetFolder(toolchain.verbose);
  const caches = join(cacheDirectory, 'zig');
  const { args, env } = recipe(target, compiler, ready);
  const result = await run('cargo', args, {
    show: worthShowing,
    env: {
      ...env,
      PATH: [join(tools, 'bin'), environment()['PATH']].join(delimiter),
      CARGO_TARGET_DIR: folder,
      CARGO_ZIGBUILD_ZIG_PATH: join(tools, 'ziglang', 'zig'),
      CARGO_ZIGBUILD_CACHE_DIR: join(caches, 'wrappers'),
      ZIG_GLOBAL_CACHE_DIR: join(caches, 'global'),
      ZIG_LOCAL_CACHE_DIR: join(caches, 'local'),
    },
  });
  const made = join(folder, target.triple, 'release', 'libvmhatch_node.so');
  if (!result.ok || !existsSync(made)) {
    return { failure: `cargo zigbuild for ${target.triple}: ${result.ok ? 'made no addon' : result.ending}` };
  }
  // What was built while the sources changed may be of both: it is not kept for others.
  if (placeOf(target, toolchain.verbose) !== path) {
    say(`${target.platform}: the sources changed meanwhile; the addon is not kept`);
    const unsure = join(folder, addonName(target));
    copyFileSync(made, unsure);
    return { target, path: unsure, built: true };
  }
  await inWorkFolder(store, async (work) => {
    copyFileSync(made, join(work, 'addon'));
    mkdirSync(dirname(path), { recursive: true });
    renameSync(join(work, 'addon'), path);
  });
  return { target, path, built: true };
}

/**
 * The addon of a target, from the cache or built now. Prints what happens.
 * @param {Target} target
 * @returns {Promise<Addon | { failure: string } | { missing: string }>} missing: this machine cannot build it
 */
export async function buildAddon(target) {
  const before = await findAddon(target);
  if (!('missing' in before)) {
    say(`${target.platform}: as built before`);
    return before;
  }
  const toolchain = await findToolchain();
  if ('missing' in toolchain) return toolchain;
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return {
      missing: `the addons of all platforms are built on x86_64 Linux, and this is ${process.platform}-${process.arch}`,
    };
  }
  const tools = await findPythonPackages(inRoot('scripts', 'cross', 'requirements.txt'));
  if ('missing' in tools) return tools;
  return withLock(join(store, 'lock'), async () => {
    // Another process may have built it while this one waited.
    const meanwhile = await findAddon(target);
    if (!('missing' in meanwhile)) return meanwhile;
    say(`${target.platform}: building for ${target.triple}`);
    const result = await buildOne(target, toolchain, tools.folder);
    forget(store, (name) => name.startsWith(`${target.platform}-`), keptAddons);
    return result;
  });
}
