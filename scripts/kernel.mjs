#!/usr/bin/env node
// The guest kernel of kernel/: the build of exactly these inputs from the cache, or made now (docs/kernel.md).
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { architecture, architectures } from './kernel/architectures.mjs';
import { buildKernel, removeTree } from './kernel/build.mjs';
import { fragmentsOf, kernelFolder, settingsOf } from './kernel/fragments.mjs';
import { packKernel } from './kernel/pack.mjs';
import { pinnedSource } from './kernel/source.mjs';
import { withLock } from './shared/lock.mjs';
import { cacheDirectory } from './shared/paths.mjs';
import { endChildrenOnSignals } from './shared/process.mjs';

const store = join(cacheDirectory, 'kernel');
const kept = 3;
const usage = `usage: node scripts/kernel.mjs [--arch ${architectures.join('|')}] [--print] [--log] [--pack DIR]

Prints the path of the guest kernel: a bzImage, for aarch64 an Image; vmlinux, config and provenance.json lie beside it.
It is built if the cache does not have it, which takes some minutes and needs Debian's package archive.

  --arch      which one: x86_64 if nothing is said
  --print     build nothing: fail if the cache does not have it
  --log       show what make prints instead of how far it is
  --pack DIR  fill DIR with the npm package of it, ready for npm pack (x86_64 only)`;

/**
 * @typedef {object} Kernel
 * @property {string} folder
 * @property {string} arch
 * @property {string} image a bzImage, for aarch64 an Image
 * @property {string} vmlinux an ELF file without symbols; on x86_64 for PVH
 * @property {string} config
 * @property {string} provenance a JSON file: release, source, compiler, sums
 * @property {string} release as `uname -r` says it
 * @property {string} sourceVersion of Debian's source package
 */

/**
 * The hash of all that decides the kernel, the same on every machine: what the fragments set (not how they explain
 * it), the recipe, the patches, the source. Which compiler there is does not count: provenance.json tells.
 * @param {string} arch
 * @param {string} [base] the folder of these
 */
export function kernelHash(arch, base = kernelFolder) {
  const settings = fragmentsOf(arch, base).map(({ text }) => Object.fromEntries(settingsOf(text)));
  const patches = readdirSync(join(base, 'patches')).toSorted();
  const hash = createHash('sha256');
  hash.update(JSON.stringify([arch, settings, pinnedSource(base), patches]));
  for (const name of ['build.sh', ...patches.map((patch) => join('patches', patch))]) {
    hash.update(`\0${readFileSync(join(base, name), 'utf8')}`);
  }
  return hash.digest('hex').slice(0, 20);
}

/**
 * Folders of the store that hold kernels, the one that was made last first.
 * @param {(name: string) => boolean} wanted
 */
function foldersOf(wanted) {
  if (!existsSync(store)) return [];
  return readdirSync(store)
    .filter((name) => wanted(name))
    .map((name) => join(store, name))
    .toSorted((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
}

/**
 * The build of these inputs: from the pinned source, or else from what the archive had instead.
 * @param {string} exact
 */
function cachedFolder(exact) {
  if (existsSync(exact)) return exact;
  return foldersOf((name) => name.startsWith(`${basename(exact)}-`))[0];
}

/**
 * @param {string} folder
 * @returns {Kernel}
 */
function describe(folder) {
  const file = (/** @type {string} */ name) => join(folder, name);
  const provenance = file('provenance.json');
  const { release, arch, source } = JSON.parse(readFileSync(provenance, 'utf8'));
  return {
    folder,
    arch,
    image: file(architecture(arch).image),
    vmlinux: file('vmlinux'),
    config: file('config'),
    provenance,
    release,
    sourceVersion: source.version,
  };
}

/**
 * @param {string} arch
 * @param {string} keep the folder that was made last
 */
function forgetOldKernels(arch, keep) {
  const kernels = foldersOf((name) => name.startsWith(`${arch}-`));
  for (const folder of kernels.filter((each) => each !== keep).slice(kept - 1)) {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * The guest kernel, from the cache or built now.
 * @param {object} [options]
 * @param {boolean} [options.build] build it if the cache does not have it (false)
 * @param {string} [options.arch] aarch64 or x86_64 (x86_64)
 * @param {boolean} [options.verbose] print what make prints (false)
 * @returns {Promise<Kernel | { missing: string }>}
 */
export async function findKernel({ build = false, arch = 'x86_64', verbose = false } = {}) {
  if (!architectures.includes(arch)) {
    return { missing: `there is no guest kernel for '${arch}': ${architectures.join(', ')}` };
  }
  const hash = kernelHash(arch);
  const exact = join(store, `${arch}-${hash}`);
  const present = cachedFolder(exact);
  if (present !== undefined) return describe(present);
  const command = `node scripts/kernel.mjs${arch === 'x86_64' ? '' : ` --arch ${arch}`}`;
  if (!build) return { missing: `the guest kernel is not built. Type: ${command}` };
  mkdirSync(store, { recursive: true });
  return withLock(join(store, 'lock'), async () => {
    // Another process may have built it while this one waited. What a killed one left behind goes.
    const meanwhile = cachedFolder(exact);
    if (meanwhile !== undefined) return describe(meanwhile);
    for (const name of readdirSync(store).filter((entry) => entry.startsWith('work-'))) {
      removeTree(join(store, name));
    }
    const folderFor = (/** @type {string} */ version) =>
      version === pinnedSource().version ? exact : `${exact}-${version}`;
    const built = await buildKernel({ arch, store, folderFor, verbose });
    if ('missing' in built) return built;
    forgetOldKernels(arch, built.folder);
    return describe(built.folder);
  });
}

async function main() {
  const options = /** @type {const} */ ({
    arch: { type: 'string', default: 'x86_64' },
    print: { type: 'boolean', default: false },
    log: { type: 'boolean', default: false },
    pack: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  });
  const { values } = parseArgs({ options });
  if (values.help) {
    console.log(usage);
    return;
  }
  endChildrenOnSignals();
  const kernel = await findKernel({ build: !values.print, arch: values.arch, verbose: values.log });
  if ('missing' in kernel) throw new Error(kernel.missing);
  if (kernel.sourceVersion !== pinnedSource().version) {
    console.error(`built from ${kernel.sourceVersion}: kernel/source.json names ${pinnedSource().version}`);
  }
  if (values.pack !== undefined) {
    packKernel(kernel, values.pack);
    console.log(values.pack);
    return;
  }
  console.log(kernel.image);
}

if (process.argv[1] === import.meta.filename) {
  try {
    await main();
  } catch (error) {
    const code = error instanceof TypeError && 'code' in error ? String(error.code) : '';
    const wrongOption = code.startsWith('ERR_PARSE_ARGS');
    console.error(error instanceof Error ? error.message : error);
    if (wrongOption) console.error(usage);
    process.exitCode = wrongOption ? 2 : 1;
  }
}
