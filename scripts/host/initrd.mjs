// The first file system of the emulated host: busybox, the modules of its kernel that it needs, and init.sh.
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { findPackage } from '../shared/debian.mjs';
import { findGenericKernel } from '../debian-kernel.mjs';
import { cacheDirectory, inRoot } from '../shared/paths.mjs';
import { run } from '../shared/process.mjs';
import { unpackKernel } from './vmlinux.mjs';

/** What is asked for by name; what these need comes before them. */
const wanted = ['virtio_pci', '9pnet_virtio', '9p', 'virtio_console', 'kvm-amd'];
const store = join(cacheDirectory, 'emulated-host');
const keptBefore = 1;
const init = inRoot('scripts', 'host', 'init.sh');

/**
 * @typedef {object} Parts
 * @property {string} kernel an ELF file, or the bzImage where that could not be unpacked
 * @property {string} initrd
 * @property {string} version of the kernel
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
 * The kernel's modules as files that the kernel takes: later releases of Debian compress them.
 * @param {string} folder
 * @param {string} work
 */
async function gatherModules(folder, work) {
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
    const plain = join(work, `${name}.ko`);
    if (file.endsWith('.ko')) copyFileSync(file, plain);
    else {
      copyFileSync(file, `${plain}.xz`);
      const unpacked = await run('xz', ['--decompress', `${plain}.xz`], { quiet: true });
      if (!unpacked.ok) throw new Error(`xz --decompress ${file}: ${unpacked.output || unpacked.ending}`);
    }
    const bytes = readFileSync(plain);
    modules.set(name, bytes);
    missing = [...missing, ...dependsOf(bytes).map(moduleName)];
  }
  return loadOrder(wanted, (name) => {
    const bytes = modules.get(name);
    return bytes && dependsOf(bytes);
  });
}

/**
 * @param {string} target
 * @param {string} busybox
 * @param {string} modules
 */
async function buildInitrd(target, busybox, modules) {
  const work = mkdtempSync(join(store, 'work-'));
  const tree = join(work, 'tree');
  try {
    for (const name of ['bin', 'dev', 'proc', 'sys', 'modules']) {
      mkdirSync(join(tree, name), { recursive: true });
    }
    copyFileSync(busybox, join(tree, 'bin', 'busybox'));
    copyFileSync(init, join(tree, 'init'));
    chmodSync(join(tree, 'init'), 0o755);
    const order = await gatherModules(modules, join(tree, 'modules'));
    writeFileSync(join(tree, 'modules', 'order'), order.map((name) => `${name}.ko\n`).join(''));
    // Not compressed: an emulated processor would take longer to unpack it than QEMU takes to load it.
    const archive = join(work, 'initrd');
    const pack = 'cd "$1" && find . | "$2" cpio -o -H newc >"$3" 2>/dev/null';
    const packed = await run('sh', ['-c', pack, 'sh', tree, busybox, archive], { quiet: true });
    if (!packed.ok) throw new Error(`cpio: ${packed.output || packed.ending}`);
    renameSync(archive, target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * The kernel and the first file system, from the cache or from Debian's archive.
 * @returns {Promise<Parts | { missing: string }>}
 */
export async function findParts() {
  const kernel = await findGenericKernel();
  if ('missing' in kernel) return kernel;
  const box = await findPackage('busybox-static');
  if ('missing' in box) return box;
  const busybox = ['bin', 'usr/bin'].map((folder) => join(box.root, folder, 'busybox')).find(existsSync);
  if (busybox === undefined) return { missing: `${box.root} holds no busybox` };
  const hash = createHash('sha256');
  for (const text of [kernel.modules, box.root, ...wanted]) hash.update(`${text}\0`);
  for (const file of [init, import.meta.filename]) hash.update(readFileSync(file));
  mkdirSync(store, { recursive: true });
  const initrd = join(store, `initrd-${kernel.version}-${hash.digest('hex').slice(0, 20)}`);
  if (!existsSync(initrd)) {
    await buildInitrd(initrd, busybox, kernel.modules);
    forgetOld('initrd-', initrd);
  }
  // The package's version, too: Debian rebuilds a kernel without a new name.
  const vmlinux = join(store, `vmlinux-${basename(dirname(dirname(kernel.vmlinuz)))}`);
  if (!existsSync(vmlinux)) {
    if (!(await unpackKernel(kernel.vmlinuz, vmlinux))) {
      return { kernel: kernel.vmlinuz, initrd, version: kernel.version };
    }
    forgetOld('vmlinux-', vmlinux);
  }
  return { kernel: vmlinux, initrd, version: kernel.version };
}

/**
 * @param {string} prefix
 * @param {string} newest
 */
function forgetOld(prefix, newest) {
  const others = readdirSync(store)
    .filter((name) => name.startsWith(prefix) && name !== basename(newest))
    .map((name) => join(store, name))
    .toSorted((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  for (const old of others.slice(keptBefore)) rmSync(old, { force: true });
}
