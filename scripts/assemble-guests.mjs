#!/usr/bin/env node
// Makes, for every crates/test-guests/guests/NAME.s, the program's bytes (NAME.bin) and its listing
// (NAME.lst), and for all of them guests.json, which tells tests where to load each. All are checked in, so
// that only who changes a guest needs binutils. `--check` changes nothing and fails when a checked-in file is
// not what would be made.
//
// The sources say it all: `.code16`, `.code32` or `.code64` is the mode of x86_64, `.org` the load address, and
// the first byte is the entry. They are assembled for address 0 with `.org` as padding, so that addresses and
// bytes in a listing are those that the guest has in memory; the padding is cut off the binary.
//
// The guests of aarch64 are in a folder of their own, with a guests.json of their own. Who names an architecture
// assembles or checks its guests only.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const guests = fileURLToPath(new URL('../crates/test-guests/guests/', import.meta.url));

/** @typedef {{ mode: string, assembler: readonly string[], linker: string }} Mode */

/** @type {Readonly<Record<string, Mode>>} */
const modes = {
  '.code16': { mode: 'real16', assembler: ['--32', '-mx86-used-note=no'], linker: 'elf_i386' },
  '.code32': { mode: 'protected32', assembler: ['--32', '-mx86-used-note=no'], linker: 'elf_i386' },
  '.code64': { mode: 'long64', assembler: ['--64', '-mx86-used-note=no'], linker: 'elf_x86_64' },
};

/**
 * @typedef {object} Architecture
 * @property {string} folder where its guests are
 * @property {string} prefix of the names of its tools
 * @property {(file: string, source: string) => Mode | undefined} mode of a guest
 */

/** @type {Readonly<Record<string, Architecture>>} */
const architectures = {
  x86_64: {
    folder: guests,
    prefix: '',
    mode: (file, source) =>
      modes[directive(file, source, /^(\.code(?:16|32|64))$/gm, '.code16, .code32 or .code64')],
  },
  aarch64: {
    folder: join(guests, 'aarch64'),
    prefix: process.arch === 'arm64' ? '' : 'aarch64-linux-gnu-',
    mode: () => ({ mode: 'aarch64', assembler: [], linker: 'aarch64linux' }),
  },
};

/**
 * The value of a directive that must stand in `source` exactly once.
 * @param {string} file
 * @param {string} source
 * @param {RegExp} pattern
 * @param {string} what
 */
function directive(file, source, pattern, what) {
  const found = [...source.matchAll(pattern)];
  if (found.length !== 1) {
    throw new Error(`${file}: ${what} must stand there exactly once, not ${found.length} times`);
  }
  return String(found[0]?.[1]);
}

/**
 * Assembles one guest. Tools run in the sources' folder, so that no path gets into a listing.
 * @param {Architecture} architecture
 * @param {string} name
 * @param {string} scratch
 */
function assemble({ folder, prefix, mode: modeOf }, name, scratch) {
  const file = `${name}.s`;
  const source = readFileSync(join(folder, file), 'utf8');
  const found = modeOf(file, source);
  if (found === undefined) throw new Error(`${file}: its mode is unknown`);
  const { mode, assembler, linker } = found;
  const loadAddress = Number(directive(file, source, /^\.org (0x[0-9a-f]+)$/gm, '.org 0xADDRESS'));
  const scratchFile = (/** @type {string} */ ending) => join(scratch, `${name}.${ending}`);
  const [object, linked, raw, listing] = [
    scratchFile('o'),
    scratchFile('elf'),
    scratchFile('bin'),
    scratchFile('lst'),
  ];
  const run = (/** @type {string} */ tool, /** @type {string[]} */ args) =>
    execFileSync(`${prefix}${tool}`, args, { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
  const columns = ['--listing-lhs-width=2', '--listing-rhs-width=120', '--listing-cont-lines=100'];
  const flags = [...assembler, '--fatal-warnings', `-aln=${listing}`, ...columns];
  run('as', [...flags, '-o', object, file]);
  run('ld', ['-m', linker, '-Ttext', '0', '-e', '0', '-o', linked, object]);
  run('objcopy', ['-O', 'binary', '-j', '.text', linked, raw]);
  return {
    metadata: { name, mode, loadAddress, entry: loadAddress, file: `${name}.bin` },
    bytes: readFileSync(raw).subarray(loadAddress),
    listing: tidy(readFileSync(listing, 'utf8')),
  };
}

/**
 * The assembler's listing without blanks at line ends, and without the zeros that `.org` pads with.
 * @param {string} listing
 */
function tidy(listing) {
  const lines = listing.split('\n').map((each) => each.trimEnd());
  const origin = lines.findIndex((each) => /\t\.org /.test(each));
  const line = lines[origin] ?? '';
  const number = line.slice(0, 5);
  const source = line.indexOf('\t');
  const end = lines.findIndex((each, index) => index > origin && !each.startsWith(number));
  const bare = number.padEnd(source) + line.slice(source);
  return `${[...lines.slice(0, origin), bare, ...lines.slice(end)].join('\n').trimEnd()}\n`;
}

/**
 * Assembles the guests of an architecture, and writes or checks what comes of it.
 * @param {string} name
 * @param {Architecture} architecture
 * @param {boolean} check
 */
function assembleAll(name, architecture, check) {
  const { folder } = architecture;
  const names = readdirSync(folder)
    .filter((file) => file.endsWith('.s'))
    .map((file) => file.slice(0, -'.s'.length))
    .toSorted();
  /** @type {Map<string, Buffer>} */
  const made = new Map();
  const scratch = mkdtempSync(join(tmpdir(), 'assemble-guests-'));
  try {
    const all = names.map((guest) => assemble(architecture, guest, scratch));
    for (const { metadata, bytes, listing } of all) {
      made.set(metadata.file, bytes);
      made.set(`${metadata.name}.lst`, Buffer.from(listing));
    }
    const metadata = all.map((guest) => guest.metadata);
    made.set('guests.json', Buffer.from(`${JSON.stringify(metadata, null, 2)}\n`));
  } finally {
    rmSync(scratch, { recursive: true });
  }

  const present = readdirSync(folder).filter((file) => /\.(bin|lst|json)$/.test(file));
  const stale = [...made].filter(
    ([file, content]) => !present.includes(file) || !content.equals(readFileSync(join(folder, file))),
  );
  const orphaned = present.filter((file) => !made.has(file));
  if (check) {
    for (const [file] of stale) {
      console.error(`${name}: ${file} is not what its source makes`);
    }
    for (const file of orphaned) {
      console.error(`${name}: ${file} has no source`);
    }
    if (stale.length + orphaned.length > 0) {
      console.error('run: node scripts/assemble-guests.mjs');
      process.exitCode = 1;
    }
    return;
  }
  for (const [file, content] of stale) {
    writeFileSync(join(folder, file), content);
  }
  for (const file of orphaned) {
    rmSync(join(folder, file));
  }
  console.log(`${name}: ${names.length} guests, ${stale.length} files written, ${orphaned.length} removed`);
}

/** @param {string[]} args */
function main(args) {
  const check = args.includes('--check');
  const named = args.filter((arg) => arg !== '--check');
  if (named.some((name) => !(name in architectures))) {
    throw new Error(`usage: assemble-guests.mjs [--check] [${Object.keys(architectures).join('] [')}]`);
  }
  for (const [name, architecture] of Object.entries(architectures)) {
    if (named.length === 0 || named.includes(name)) assembleAll(name, architecture, check);
  }
}

main(process.argv.slice(2));
