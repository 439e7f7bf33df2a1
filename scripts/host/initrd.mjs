// The first file system of the emulated host: busybox, the modules of its kernel that it needs, and init.sh.
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { findGenericKernel, findNewerKernel } from '../debian-kernel.mjs';
import { findBusybox } from '../shared/busybox.mjs';
import { ownArchitecture } from '../shared/debian.mjs';
import { inRoot } from '../shared/paths.mjs';
import { run } from '../shared/process.mjs';
import { machines } from './machines.mjs';
import { findPrograms } from './programs.mjs';
import { cachedEntry } from './store.mjs';
import { unpackKernel } from './vmlinux.mjs';

const init = inRoot('scripts', 'host', 'init.sh');

/**
 * @typedef {object} Parts
 * @property {string} kernel an ELF file, or the bzImage where that could not be unpacked
 * @property {string} initrd
 * @property {string} version of the kernel
 * @property {import('./programs.mjs').Programs} [programs] where this machine's do not run there
 */

/**
 * A module's name, as modules name each other: files have `-` where the kernel has `_`.
 * @param {string} path
 */
export function moduleName(path) {
  return basename(path)
    .replace(/\.ko(?:\.\w+)?$/, '')
    .replaceAll('-', '_');
}

/**
 * The modules that a module needs, from its .modinfo section (`depends=`, scripts/mod/modpost.c).
 * @param {Buffer} bytes
 */
export function dependsOf(bytes) {
  const key = Buffer.from('\0depends=');
  const at = bytes.indexOf(key);
  if (at < 0) return [];
  const text = bytes.toString('latin1', at + key.length, bytes.indexOf(0, at + key.length));
  return text.split(',').filter((name) => name !== '');
}

/**
 * An order in which every module finds what it needs already there. Names that are no module are built in.
 * @param {readonly string[]} names
 * @param {(name: string) => readonly string[] | undefined} depends undefined: there is no such module
 */
export function loadOrder(names, depends) {
  /** @type {Set<string>} */
  const order = new Set();
  /** @param {string} name */
  const visit = (name) => {
    const key = moduleName(name);
    const needs = order.has(key) ? undefined : depends(key);
    if (needs === undefined) return;
    for (const need of needs) visit(need);
    order.add(key);
  };
  for (const name of names) visit(name);
  return [...order];
}

/**
 * A module as the kernel takes it: later releases of Debian compress them.
 * @param {string} file
 * @param {string} work
 */
async function readModule(file, work) {
  const suffix = /\.ko\.(\w+)$/.exec(file)?.[1];
  if (suffix === undefined) return readFileSync(file);
  const copy = join(work, basename(file));
  copyFileSync(file, copy);
  const program = suffix === 'zst' ? 'unzstd' : 'unxz';
  const unpacked = await run(program, ['-q', copy], { quiet: true });
  if (!unpacked.ok) throw new Error(`${program} ${file}: ${unpacked.output || unpacked.ending}`);
  return readFileSync(copy.slice(0, -suffix.length - 1));
}

/**
 * Puts the kernel's modules that are needed into a folder.
 * @param {readonly string[]} wanted
 * @param {string} folder of all modules
 * @param {string} work where compressed ones are unpacked
 * @param {string} target
 * @returns {Promise<string[]>} in the order to load them
 */
async function gatherModules(wanted, folder, work, target) {
  const files = new Map(
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.ko(?:\.\w+)?$/.test(path))
      .map((path) => [moduleName(path), join(folder, path)]),
  );
  /** @type {Map<string, Buffer>} */
  const modules = new Map();
  for (let missing = wanted.map(moduleName); missing.length > 0;) {
    const name = missing.pop() ?? '';
    const file = files.get(name);
    if (file === undefined || modules.has(name)) continue;
    const bytes = await readModule(file, work);
    writeFileSync(join(target, `${name}.ko`), bytes);
    modules.set(name, bytes);
    missing = [...missing, ...dependsOf(bytes).map(moduleName)];
  }
  return loadOrder(wanted, (name) => {
    const bytes = modules.get(name);
    return bytes && dependsOf(bytes);
  });
}

/**
 * @typedef {object} Contents
 * @property {string} busybox the host's
 * @property {string} packer a busybox that runs here
 * @property {string} modules the folder of all modules
 * @property {readonly string[]} wanted those that are needed
 */

/**
 * @param {string} work an empty folder
 * @param {Contents} contents
 * @returns {Promise<string>}
 */
async function buildInitrd(work, { busybox, packer, modules, wanted }) {
  const tree = join(work, 'tree');
  for (const name of ['bin', 'dev', 'proc', 'sys', 'modules']) {
    mkdirSync(join(tree, name), { recursive: true });
  }
  copyFileSync(busybox, join(tree, 'bin', 'busybox'));
  copyFileSync(init, join(tree, 'init'));
  chmodSync(join(tree, 'init'), 0o755);
  const order = await gatherModules(wanted, modules, work, join(tree, 'modules'));
  writeFileSync(join(tree, 'modules', 'order'), order.map((name) => `${name}.ko\n`).join(''));
  // Not compressed: an emulated processor would take longer to unpack it than QEMU takes to load it.
  const archive = join(work, 'initrd');
  const pack = 'cd "$1" && find . | "$2" cpio -o -H newc >"$3" 2>/dev/null';
  const packed = await run('sh', ['-c', pack, 'sh', tree, packer, archive], { quiet: true });
  if (!packed.ok) throw new Error(`cpio: ${packed.output || packed.ending}`);
  return archive;
}

/**
 * The kernel and the first file system, from the cache or from Debian's archive.
 * @param {import('./machines.mjs').Architecture} arch
 * @param {boolean} [newer] the kernel of the next release of Debian
 * @returns {Promise<Parts | { missing: string }>}
 */
export async function findParts(arch, newer = false) {
  const { debian: architecture, modules: wanted } = machines[arch];
  const kernel = await (newer ? findNewerKernel : findGenericKernel)({ architecture });
  if ('missing' in kernel) return kernel;
  const busybox = await findBusybox(architecture);
  if (busybox.path === undefined) return busybox;
  const foreign = architecture !== ownArchitecture;
  const packer = foreign ? await findBusybox() : busybox;
  if (packer.path === undefined) return packer;
  const programs = foreign ? await findPrograms(arch) : undefined;
  if (programs !== undefined && 'missing' in programs) return programs;
  // The folder of a package has its version in its name: Debian rebuilds kernels without giving them a new one.
  const rebuild = basename(dirname(dirname(kernel.vmlinuz)));
  const hash = createHash('sha256');
  for (const text of [rebuild, busybox.version, ...wanted]) hash.update(`${text}\0`);
  for (const file of [init, import.meta.filename]) hash.update(readFileSync(file));
  const name = `${kernel.version}-${hash.digest('hex').slice(0, 20)}`;
  const initrd = await cachedEntry('initrd-', name, 6, (work) =>
    buildInitrd(work, { busybox: busybox.path, packer: packer.path, modules: kernel.modules, wanted }),
  );
  const vmlinux =
    arch === 'x86_64'
      ? await cachedEntry('vmlinux-', rebuild, 1, (work) => unpackKernel(kernel.vmlinuz, work))
      : undefined;
  return {
    kernel: vmlinux ?? kernel.vmlinuz,
    initrd: initrd ?? '',
    version: kernel.version,
    ...(programs && { programs }),
  };
}
