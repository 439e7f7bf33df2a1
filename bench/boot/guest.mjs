// One boot, by vmhatch or by QEMU, up to the mark that the guest's first program sets; then the guest is switched off.
import { spawn } from 'node:child_process';
import { Machine } from '../../dist/index.js';

/** The byte that the guest's first program writes to port 0x3f0. */
const MARK = 123;

/** Both machines are the same for the guest: one vCPU, this memory, one serial port, a quiet kernel. */
const memoryMiB = 256;
const cmdline = 'console=ttyS0 panic=-1 quiet';

/**
 * @typedef {object} Boot
 * @property {number} totalMs from the call (vmhatch) or the spawn (QEMU) to the mark
 * @property {number} [createMs] vmhatch: of that, until the machine could start
 */

/**
 * @param {{ kernel: string, initrd: string }} images
 * @param {() => void} [onMark] called while the guest still exists
 * @returns {Promise<Boot>}
 */
export async function bootVmhatch({ kernel, initrd }, onMark) {
  const start = performance.now();
  const machine = await Machine.create({
    kernel,
    initrd,
    cmdline,
    protocol: 'pvh',
    memory: `${memoryMiB}MiB`,
  });
  try {
    const created = performance.now();
    await machine.start();
    const { bootTime } = await marked(machine);
    onMark?.();
    return { totalMs: created - start + bootTime, createMs: created - start };
  } finally {
    await machine[Symbol.asyncDispose]();
  }
}

/**
 * The timer takes the time itself, so looking for it seldom costs no accuracy, and hardly a cycle.
 * @param {Machine} machine
 * @returns {Promise<{ bootTime: number }>}
 */
async function marked(machine) {
  let ended;
  void machine.exited.then((exit) => (ended = exit));
  while (machine.bootTime === undefined) {
    if (ended !== undefined) throw new Error(`the guest ended before it was up: ${JSON.stringify(ended)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return { bootTime: machine.bootTime };
}

/**
 * What a person would use who wants QEMU's fastest: the microvm machine, nothing that the guest does not need.
 * @param {{ kernel: string, initrd: string }} images
 * @returns {string[]}
 */
export function qemuArguments({ kernel, initrd }) {
  return [
    ['-M', 'microvm,accel=kvm,isa-serial=on,rtc=off,pit=off,pic=off'],
    ['-cpu', 'host'],
    ['-m', String(memoryMiB)],
    ['-kernel', kernel],
    ['-initrd', initrd],
    ['-append', cmdline],
    ['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'],
    ['-serial', 'null'],
    ['-chardev', 'stdio,id=mark', '-device', 'isa-debugcon,iobase=0x3f0,chardev=mark'],
  ].flat();
}

/**
 * @param {{ kernel: string, initrd: string, qemu: string }} images
 * @param {() => void} [onMark] called while the guest still exists
 * @returns {Promise<Boot>}
 */
export function bootQemu(images, onMark) {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(images.qemu, qemuArguments(images), { stdio: ['ignore', 'pipe', 'pipe'] });
    let errors = '';
    let totalMs;
    child.stderr.on('data', (bytes) => (errors += bytes));
    child.stdout.on('data', (bytes) => {
      if (totalMs !== undefined || !bytes.includes(MARK)) return;
      totalMs = performance.now() - start;
      onMark?.();
      child.kill('SIGKILL');
    });
    child.on('error', reject);
    child.on('close', () => {
      if (totalMs === undefined) reject(new Error(`QEMU ended before the guest was up: ${errors.trim()}`));
      else resolve({ totalMs });
    });
  });
}
