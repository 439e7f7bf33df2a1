#!/usr/bin/env node
// The minimal initrd: busybox, kernel/initrd/init.c as the first program and kernel/initrd/rc.sh as what it runs
// (docs/kernel.md). Made once for each set of contents, then found in the cache.
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, posix } from 'node:path';
import { parseArgs } from 'node:util';
import { findBusybox } from './shared/busybox.mjs';
import { ensurePrograms } from './shared/debian.mjs';
import { cacheDirectory, inRoot } from './shared/paths.mjs';
import { endChildrenOnSignals, run } from './shared/process.mjs';

const store = join(cacheDirectory, 'initrd');
const keptInitrds = 8;
const initSource = inRoot('kernel', 'initrd', 'init.c');
const script = inRoot('kernel', 'initrd', 'rc.sh');

/** No library, no start-up code, one segment: the kernel loads a page and runs it. */
const compilerFlags = [
  '-Os -Wall -Wextra -Werror -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables',
  '-fno-pie -no-pie -static -nostdlib -nostartfiles -s -Wl,--build-id=none -Wl,-z,norelro -Wl,--nmagic',
].flatMap((flags) => flags.split(' '));

/** By architecture: Debian's name of it, the compiler, and what this one is told more: to put in no landing pads. */
const machines = {
  x86_64: { debian: 'amd64', compiler: 'cc', package: 'gcc', flags: ['-fcf-protection=none'] },
  aarch64: {
    debian: 'arm64',
    compiler: 'aarch64-linux-gnu-gcc',
    package: 'gcc-aarch64-linux-gnu',
    flags: ['-mbranch-protection=none'],
  },
};

/** @typedef {keyof typeof machines} Architecture */

/**
 * @typedef {object} InitrdOptions
 * @property {Architecture} [arch] x86_64 by default
 * @property {string} [script] what the first program runs in busybox's shell, instead of kernel/initrd/rc.sh
 * @property {Readonly<Record<string, string | Uint8Array>>} [files] path in the guest to a path on this machine (its mode is kept) or to bytes
 * @property {readonly string[]} [modules] kernel modules on this machine, in the order in which rc.sh inserts them
 */

/**
 * @typedef {object} Entry
 * @property {string} path relative to the guest's root
 * @property {Uint8Array} bytes
 * @property {number} mode
 */

/**
 * A path inside the guest, relative to its root.
 * @param {string} path
 */
function guestPath(path) {
  const clean = posix.normalize(`/${path}`).slice(1);
  if (clean === '' || path.endsWith('/') || path.split('/').includes('..')) {
    throw new Error(`'${path}' is no file's path in the guest`);
  }
  return clean;
}

/**
 * The files beside busybox and the first program.
 * @param {InitrdOptions} options
 * @returns {Entry[]}
 */
function entriesOf({ script: text = readFileSync(script, 'utf8'), files = {}, modules = [] }) {
  /** @type {Entry[]} */
  const entries = [{ path: 'etc/rc', bytes: Buffer.from(text), mode: 0o644 }];
  for (const [path, from] of Object.entries(files)) {
    const bytes = typeof from === 'string' ? readFileSync(from) : from;
    const mode = typeof from === 'string' ? statSync(from).mode & 0o777 : 0o644;
    entries.push({ path: guestPath(path), bytes, mode });
  }
  for (const [index, from] of modules.entries()) {
    const path = `modules/${String(index).padStart(3, '0')}-${basename(from)}`;
    entries.push({ path, bytes: readFileSync(from), mode: 0o644 });
  }
  return entries;
}

/**
 * @typedef {object} Parts
 * @property {readonly Entry[]} entries
 * @property {string} busybox the guest's
 * @property {string} packer a busybox that runs here
 * @property {Architecture} arch
 */

/**
 * The hash of all that is in an initrd, and of how it is made.
 * @param {Parts} parts
 */
function hashOf({ entries, busybox, arch }) {
  const hash = createHash('sha256');
  hash.update(
    JSON.stringify([
      compilerFlags,
      machines[arch],
      entries.map(({ path, bytes, mode }) => [path, bytes.length, mode]),
    ]),
  );
  for (const bytes of [
    readFileSync(initSource),
    readFileSync(busybox),
    ...entries.map((entry) => entry.bytes),
  ]) {
    hash.update(bytes);
  }
  return hash.digest('hex').slice(0, 20);
}

/**
 * Everything below a folder, folders before what is in them, in the same order on every machine.
 * @param {string} folder
 */
function listOf(folder) {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted();
}

/**
 * @param {string} tree an empty folder
 * @param {Parts} parts
 * @returns {Promise<string | undefined>} what went wrong
 */
async function fillTree(tree, { entries, busybox, arch }) {
  for (const folder of ['bin', 'dev', 'etc', 'proc', 'sys', 'tmp']) mkdirSync(join(tree, folder));
  copyFileSync(busybox, join(tree, 'bin', 'busybox'));
  symlinkSync('busybox', join(tree, 'bin', 'sh'));
  for (const { path, bytes, mode } of entries) {
    const target = join(tree, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, bytes);
    chmodSync(target, mode);
  }
  const init = join(tree, 'init');
  const { compiler, flags } = machines[arch];
  const compiled = await run(compiler, [...compilerFlags, ...flags, '-o', init, initSource], { quiet: true });
  if (!compiled.ok) return `${compiler} ${initSource}: ${compiled.output.trim() || compiled.ending}`;
  // Modes and times do not depend on whose machine it is.
  for (const path of listOf(tree)) {
    const target = join(tree, path);
    const status = statSync(target);
    if (status.isDirectory() || ['init', 'bin/busybox'].includes(path)) chmodSync(target, 0o755);
    if (path === 'bin/sh') lutimesSync(target, 0, 0);
    else utimesSync(target, 0, 0);
  }
  return undefined;
}

/**
 * @param {string} target
 * @param {Parts} parts
 * @returns {Promise<string | undefined>} what went wrong
 */
async function build(target, parts) {
  const work = mkdtempSync(join(store, 'work-'));
  const tree = join(work, 'tree');
  mkdirSync(tree);
  try {
    const failure = await fillTree(tree, parts);
    if (failure !== undefined) return failure;
    // Not compressed: the kernel copies it faster than it would unpack it, above all on an emulated processor.
    const [list, archive] = [join(work, 'list'), join(work, 'initrd')];
    writeFileSync(list, `${listOf(tree).join('\n')}\n`);
    const flags = '-o -H newc -R 0:0 --ignore-devno --renumber-inodes';
    const command = `cd "$1" && "$2" cpio ${flags} <"$3" >"$4"`;
    const words = ['-c', command, 'sh', tree, parts.packer, list, archive];
    const packed = await run('sh', words, { quiet: true });
    if (!packed.ok) return `busybox cpio: ${packed.output.trim() || packed.ending}`;
    renameSync(archive, target);
    return undefined;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function forgetOldInitrds() {
  const old = readdirSync(store)
    .filter((name) => name.endsWith('.cpio'))
    .map((name) => join(store, name))
    .toSorted((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  for (const path of old.slice(keptInitrds)) rmSync(path, { force: true });
}

/**
 * The path of an initrd with these contents, from the cache or made now.
 * @param {InitrdOptions} [options]
 * @returns {Promise<{ path: string, missing?: undefined } | { path?: undefined, missing: string }>}
 */
export async function makeInitrd(options = {}) {
  if (process.arch !== 'x64') return { missing: 'the minimal initrd is made on x86-64 machines only' };
  const { arch = 'x86_64' } = options;
  const { debian, compiler, package: from } = machines[arch];
  const entries = entriesOf(options);
  const busybox = await findBusybox(debian);
  if (busybox.path === undefined) return busybox;
  const packer = await findBusybox();
  if (packer.path === undefined) return packer;
  const parts = { entries, busybox: busybox.path, packer: packer.path, arch };
  const path = join(store, `${hashOf(parts)}.cpio`);
  if (existsSync(path)) {
    const now = new Date();
    utimesSync(path, now, now);
    return { path };
  }
  const absent = await ensurePrograms([{ program: compiler, package: from }]);
  if (absent !== undefined) return { missing: absent };
  mkdirSync(store, { recursive: true });
  const failure = await build(path, parts);
  if (failure !== undefined) return { missing: failure };
  forgetOldInitrds();
  return { path };
}

/** @param {string} name */
function architectureOf(name) {
  const arch = /** @type {Architecture[]} */ (Object.keys(machines)).find((each) => each === name);
  if (arch !== undefined) return arch;
  throw new TypeError(`there is no initrd for '${name}': ${Object.keys(machines).join(', ')}`);
}

async function main() {
  const options = /** @type {const} */ ({ arch: { type: 'string', default: 'x86_64' } });
  const arch = architectureOf(parseArgs({ options }).values.arch);
  endChildrenOnSignals();
  const initrd = await makeInitrd({ arch });
  if (initrd.path === undefined) throw new Error(initrd.missing);
  console.log(initrd.path);
}

if (process.argv[1] === import.meta.filename) {
  try {
    await main();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    if (error instanceof TypeError)
      console.error(`usage: node scripts/initrd.mjs [--arch ${Object.keys(machines).join('|')}]`);
    process.exitCode = error instanceof TypeError ? 2 : 1;
  }
}
