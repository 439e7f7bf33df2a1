// The command line of scripts/emulated-host.
import { nearest } from '../shared/nearest.mjs';
import { architectures } from './machines.mjs';

const MiB = 2 ** 20;

/** Units of sizes, in bytes. A number alone means MiB, as for QEMU. */
const units = { k: 2 ** 10, m: MiB, g: 2 ** 30 };

export const usage = `Usage: scripts/emulated-host [OPTION…] -- COMMAND [ARGUMENT…]

Runs a command of this checkout on a true KVM host, which QEMU emulates: a Debian kernel with KVM, up in seconds, with
this machine's files as its own and /dev/kvm. Standard output, standard error and the exit status are the command's.
The host has its own /tmp, /run and /dev/shm, empty ones, and no network. Nothing that is timed there means anything,
but for what --icount counts.

  --cpus N          virtual processors (as many as this machine has, 2 to 8)
  --memory SIZE     its memory: 4G, 512M (4G, or three quarters of this machine's)
  --timeout SECONDS then it is ended with status 124 (1800)
  --share FOLDER    a folder under /tmp, /run or /dev/shm that the command is to see; may be given again
  --tty             the command has a terminal, this one. Ctrl-] ends the host
  --newer           its kernel is that of the next release of Debian, which has more of KVM; on aarch64 with pages of 16 KiB
  --icount          its clock counts instructions, 2 ns each, whatever this machine does meanwhile; one processor
  --quiet           does not say when the host is up
  --arch ARCH       x86_64 (what it is if nothing is said) or aarch64, whose programs are node and busybox's
  --help            this text

What is missing is downloaded (a kernel and busybox, unpacked into the cache; for aarch64 also Node and its libraries) or,
where this is root, installed (QEMU).
Statuses of its own: 124 it took too long, 125 there is no emulated host, 2 a wrong argument.
More: docs/emulated-host.md`;

/**
 * @typedef {object} CommandLine
 * @property {string} command
 * @property {string[]} args
 * @property {import('./machines.mjs').Architecture} [arch]
 * @property {number} [cpus]
 * @property {number} [memoryMiB]
 * @property {number} [timeoutMs]
 * @property {string[]} share
 * @property {boolean} icount
 * @property {boolean} newer
 * @property {boolean} tty
 * @property {boolean} quiet
 */

/** An argument that is wrong, with a sentence that says how. */
export class WrongArgument extends Error {}

/**
 * @param {string} name
 * @param {string} text
 * @param {number} least
 * @param {number} most
 */
function number(name, text, least, most) {
  const value = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new WrongArgument(`${name} takes a number from ${least} to ${most}, not '${text}'`);
}

/**
 * @param {string} text
 * @returns {number}
 */
function memory(text) {
  const [, digits, unit = 'm'] = /^(\d+)([kmg])?(?:i?b)?$/i.exec(text) ?? [];
  if (digits === undefined)
    throw new WrongArgument(`--memory takes a size such as 512M or 4G, not '${text}'`);
  const bytes = Number(digits) * units[/** @type {keyof typeof units} */ (unit.toLowerCase())];
  // A Debian kernel with its first file system, and Node, do not fit in less.
  return number('--memory in MiB', String(Math.floor(bytes / MiB)), 512, 2 ** 20);
}

/**
 * What each option does with its value; those that take none have no parameter.
 * @type {Readonly<Record<string, { value: boolean, set: (line: CommandLine, text: string) => void }>>}
 */
const options = {
  '--arch': {
    value: true,
    set(line, text) {
      const arch = architectures.find((each) => each === text);
      if (arch === undefined)
        throw new WrongArgument(`--arch takes ${architectures.join(' or ')}, not '${text}'`);
      line.arch = arch;
    },
  },
  '--cpus': {
    value: true,
    set(line, text) {
      if (!/^\d+$/.test(text)) throw new WrongArgument(`--cpus takes a whole number, not '${text}'`);
      line.cpus = number('--cpus', text, 1, 64);
    },
  },
  '--memory': { value: true, set: (line, text) => (line.memoryMiB = memory(text)) },
  '--timeout': {
    value: true,
    // Node's timers reach as far: 24.8 days.
    set: (line, text) => (line.timeoutMs = number('--timeout', text, 1, 2_000_000) * 1000),
  },
  '--share': {
    value: true,
    set(line, text) {
      if (!text.startsWith('/')) throw new WrongArgument(`--share takes an absolute path, not '${text}'`);
      line.share.push(text);
    },
  },
  '--tty': { value: false, set: (line) => (line.tty = true) },
  '--newer': { value: false, set: (line) => (line.newer = true) },
  '--icount': { value: false, set: (line) => (line.icount = true) },
  '--quiet': { value: false, set: (line) => (line.quiet = true) },
};

/**
 * @param {readonly string[]} words
 * @returns {CommandLine | 'help'}
 * @throws {WrongArgument}
 */
export function parseCommandLine(words) {
  /** @type {CommandLine} */
  const line = { command: '', args: [], share: [], icount: false, newer: false, tty: false, quiet: false };
  const rest = [...words];
  while (rest[0]?.startsWith('-') && rest[0] !== '--') {
    const [name = '', given] = splitOnce(rest.shift() ?? '');
    if (name === '--help' || name === '-h') return 'help';
    const option = Object.hasOwn(options, name) ? options[name] : undefined;
    if (option === undefined) {
      const near = nearest(name, [...Object.keys(options), '--help']);
      throw new WrongArgument(
        `unknown option '${name}'${near === undefined ? '' : `; did you mean '${near}'?`}`,
      );
    }
    if (!option.value) {
      if (given !== undefined) throw new WrongArgument(`${name} takes no value`);
      option.set(line, '');
      continue;
    }
    const value = given ?? rest.shift();
    if (value === undefined || value === '--') throw new WrongArgument(`${name} needs a value`);
    option.set(line, value);
  }
  if (line.icount && line.cpus !== undefined && line.cpus !== 1) {
    throw new WrongArgument('--icount is for one processor, so --cpus can only be 1');
  }
  if (rest[0] === '--') rest.shift();
  const [command, ...args] = rest;
  if (command === undefined || command === '') throw new WrongArgument('there is no COMMAND');
  return { ...line, command, args };
}

/** @param {string} word */
function splitOnce(word) {
  const at = word.indexOf('=');
  return at < 0 ? [word] : [word.slice(0, at), word.slice(at + 1)];
}
