// The first file system of the emulated host: busybox, the modules of its kernel that it needs, and init.sh.
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
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
import { withLock } from '../shared/lock.mjs';
import { cacheDirectory, inRoot } from '../shared/paths.mjs';
import { run } from '../shared/process.mjs';
import { inWorkFolder } from '../shared/work-folder.mjs';
import { unpackKernel } from './vmlinux.mjs';

/** What is asked for by name; what these need comes before them. */
const wanted = ['virtio_pci', '9pnet_virtio', '9p', 'virtio_console', 'kvm-amd'];
const store = join(cacheDirectory, 'emulated-host');
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
 * @param {string} folder of all modules
 * @param {string} work where compressed ones are unpacked
 * @param {string} target
 * @returns {Promise<string[]>} in the order to load them
 */
async function gatherModules(folder, work, target) {
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
 * @param {string} work an empty folder
 * @param {string} busybox
 * @param {string} modules
 * @returns {Promise<string>}
 */
async function buildInitrd(work, busybox, modules) {
  const tree = join(work, 'tree');
  for (const name of ['bin', 'dev', 'proc', 'sys', 'modules']) {
    mkdirSync(join(tree, name), { recursive: true });
  }
  copyFileSync(busybox, join(tree, 'bin', 'busybox'));
  copyFileSync(init, join(tree, 'init'));
  chmodSync(join(tree, 'init'), 0o755);
  const order = await gatherModules(modules, work, join(tree, 'modules'));
  writeFileSync(join(tree, 'modules', 'order'), order.map((name) => `${name}.ko\n`).join(''));
  // Not compressed: an emulated processor would take longer to unpack it than QEMU takes to load it.
  const archive = join(work, 'initrd');
  const pack = 'cd "$1" && find . | "$2" cpio -o -H newc >"$3" 2>/dev/null';
  const packed = await run('sh', ['-c', pack, 'sh', tree, busybox, archive], { quiet: true });
  if (!packed.ok) throw new Error(`cpio: ${packed.output || packed.ending}`);
  return archive;
}

/**
 * Makes a file of the cache if it is not there; of the others of its kind the newest ones stay.
 * @param {string} prefix of its kind
 * @param {string} name
 * @param {number} others how many others stay: another checkout may use them
 * @param {(work: string) => Promise<string | undefined>} make in an empty folder; undefined: it cannot be made
 * @returns {Promise<string | undefined>} its path
 */
async function cachedFile(prefix, name, others, make) {
  const target = join(store, `${prefix}${name}`);
  if (existsSync(target)) return target;
  return withLock(join(store, 'lock'), async () => {
    if (existsSync(target)) return target;
    return inWorkFolder(store, async (work) => {
      const made = await make(work);
      if (made === undefined) return undefined;
      renameSync(made, target);
      const old = readdirSync(store)
        .filter((entry) => entry.startsWith(prefix) && entry !== basename(target))
        .map((entry) => join(store, entry))
        .toSorted((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
      for (const path of old.slice(others)) rmSync(path, { force: true });
      return target;
    });
  });
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
  // The folder of a package has its version in its name: Debian rebuilds kernels without giving them a new one.
  const rebuild = basename(dirname(dirname(kernel.vmlinuz)));
  const hash = createHash('sha256');
  for (const text of [rebuild, basename(box.root), ...wanted]) hash.update(`${text}\0`);
  for (const file of [init, import.meta.filename]) hash.update(readFileSync(file));
  const name = `${kernel.version}-${hash.digest('hex').slice(0, 20)}`;
  const initrd = await cachedFile('initrd-', name, 3, (work) => buildInitrd(work, busybox, kernel.modules));
  const vmlinux = await cachedFile('vmlinux-', rebuild, 1, (work) => unpackKernel(kernel.vmlinuz, work));
  return { kernel: vmlinux ?? kernel.vmlinuz, initrd: initrd ?? '', version: kernel.version };
}
