// One emulated host: QEMU with Debian's kernel, one job in it, and the streams between.
import { spawn } from 'node:child_process';
import { availableParallelism, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { ensurePrograms, findProgram } from '../shared/debian.mjs';
import { cacheDirectory, root } from '../shared/paths.mjs';
import { adopt } from '../shared/process.mjs';
import { follow } from './follow.mjs';
import { findParts } from './initrd.mjs';
import { endMark, jobFile } from './job.mjs';
import { machines } from './machines.mjs';

const MiB = 2 ** 20;

/** How long a job may take, if nothing else is said. */
export const defaultTimeoutMs = 30 * 60 * 1000;

/** @typedef {import('./machines.mjs').Architecture} Architecture */

/**
 * @typedef {object} HostOptions
 * @property {string} command a program of the machine; on aarch64 `node` and what busybox has
 * @property {Architecture} [arch] the host's; x86_64 by default
 * @property {readonly string[]} [args]
 * @property {string} [cwd] where it runs; the checkout's root by default
 * @property {NodeJS.ProcessEnv} [env] its environment; this process's by default
 * @property {number} [cpus] 1 to 64; as many as the machine has by default, but 2 at least and 8 at most
 * @property {number} [memoryMiB] 512 at least; by default 4096, or three quarters of the machine's where that is less
 * @property {number} [timeoutMs] then QEMU is killed; 30 minutes by default
 * @property {readonly string[]} [share] folders under /tmp, /run or /dev/shm that the job is to see
 * @property {boolean} [sve] on aarch64: the processor has scalable vectors; machines.mjs says why not by default
 * @property {boolean} [newer] its kernel is that of the next release of Debian; on aarch64 with pages of 16 KiB
 * @property {boolean} [icount] its clock counts instructions, 2 ns each: times do not depend on what else this machine
 *   does. Then it has one processor
 * @property {{ rows: number, columns: number }} [terminal] the job has a terminal of this size: `input` is typed there,
 *   and all it writes comes on `stdout`
 */

/** @typedef {import('./follow.mjs').EmulatedHost} EmulatedHost */

/** @returns {number} */
function usualMemoryMiB() {
  return Math.min(4096, Math.floor((totalmem() * 0.75) / MiB));
}

/**
 * @param {Architecture} arch
 * @param {{ sve: boolean, icount: boolean }} differences
 */
function boardOf(arch, { sve, icount }) {
  let { board } = machines[arch];
  if (sve) board = board.map((word) => word.replace(',sve=off', ''));
  if (!icount) return board;
  // QEMU counts with one thread only. 2^1 ns an instruction is about what it gets done on a real processor.
  board = board.map((word) => word.replace('thread=multi', 'thread=single'));
  return [...board, '-icount', 'shift=1,align=off,sleep=on'];
}

/**
 * The command line of QEMU. Descriptors: 3 is the kernel's console, 4 to 6 are the ports of init.sh, 7 is the terminal.
 * @param {{ kernel: string, initrd: string }} parts
 * @param {{ arch: Architecture, cpus: number, memoryMiB: number, terminal: boolean, sve?: boolean, icount?: boolean }} size
 */
export function qemuArguments(parts, { arch, cpus, memoryMiB, terminal, sve = false, icount = false }) {
  const { append } = machines[arch];
  // An emulated processor is too slow for the kernel's watchdogs. The job's own memory needs no second zeroing.
  const words =
    'quiet panic=-1 mitigations=off nokaslr nowatchdog rcupdate.rcu_cpu_stall_suppress=1 init_on_alloc=0 audit=0';
  /** @type {(id: string, fd: number) => string[]} */
  const channel = (id, fd) => ['-chardev', `socket,id=${id},fd=${fd}`];
  /** @type {(id: string, nr: number) => string[]} */
  const port = (id, nr) => ['-device', `virtserialport,chardev=${id},nr=${nr}`];
  return [
    ['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-nic', 'none'],
    boardOf(arch, { sve, icount }),
    ['-smp', String(cpus), '-m', `${memoryMiB}M`],
    ['-kernel', parts.kernel, '-initrd', parts.initrd, '-append', `${append} ${words}`],
    ['-virtfs', 'local,path=/,mount_tag=host,security_model=none,multidevs=remap'],
    [...channel('console', 3), '-serial', 'chardev:console'],
    ['-device', 'virtio-serial-pci'],
    [...channel('output', 4), ...port('output', 1)],
    [...channel('errors', 5), ...port('errors', 2)],
    [...channel('control', 6), ...port('control', 3)],
    terminal ? [...channel('terminal', 7), '-device', 'virtconsole,chardev=terminal,nr=4'] : [],
  ].flat();
}

/**
 * What QEMU needs, or a sentence that says what is missing.
 * @param {Architecture} [arch] the host's; x86_64 by default
 * @param {boolean} [newer] its kernel is that of the next release of Debian
 * @returns {Promise<import('./initrd.mjs').Parts | { missing: string }>}
 */
export async function prepareHost(arch = 'x86_64', newer = false) {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return {
      missing: `the emulated host needs Linux on x86_64; this is ${process.platform} on ${process.arch}`,
    };
  }
  const { qemu, package: from } = machines[arch];
  const missing = await ensurePrograms([{ program: qemu, package: from }]);
  return missing === undefined ? findParts(arch, newer) : { missing };
}

/**
 * Starts the emulated host with a job in it.
 * @param {HostOptions} options
 * @returns {Promise<EmulatedHost | { missing: string }>}
 */
export async function startHost(options) {
  const { terminal, arch = 'x86_64', timeoutMs = defaultTimeoutMs } = options;
  const parts = await prepareHost(arch, options.newer);
  if ('missing' in parts) return parts;
  const cwd = options.cwd ?? root;
  const env = options.env ?? process.env;
  const size = {
    arch,
    cpus: options.cpus ?? (options.icount ? 1 : Math.max(2, Math.min(8, availableParallelism()))),
    memoryMiB: options.memoryMiB ?? usualMemoryMiB(),
    terminal: terminal !== undefined,
    sve: options.sve ?? false,
    icount: options.icount ?? false,
  };
  const mark = endMark();
  const shared = [root, cwd, cacheDirectory, dirname(dirname(process.execPath)), ...(options.share ?? [])];
  const { command, args = [] } = options;
  const programs = parts.programs && { ...parts.programs, instead: process.execPath };
  const job = jobFile({ command, args, cwd, env, shared, terminal, programs }, mark);

  const { qemu } = machines[arch];
  const program = findProgram(qemu) ?? qemu;
  const line = [program, ...qemuArguments(parts, size)];
  // Whatever ends this process ends QEMU too: the kernel sees to that.
  const guarded = findProgram('setpriv') === undefined ? line : ['setpriv', '--pdeathsig', 'KILL', ...line];
  const [first = program, ...rest] = guarded;
  const child = spawn(first, rest, {
    stdio: ['ignore', ...Array.from({ length: terminal ? 7 : 6 }, () => /** @type {const} */ ('pipe'))],
  });
  return follow(adopt(child), { job, mark, timeoutMs, terminal: size.terminal });
}
