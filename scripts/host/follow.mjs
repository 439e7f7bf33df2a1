// From the start of an emulated host to its end: its streams, what it says of itself, and how it ended.
import { finished } from 'node:stream/promises';
import { StringDecoder } from 'node:string_decoder';
import { stripVTControlCharacters } from 'node:util';
import { duration } from '../shared/terminal.mjs';
import { UntilMark } from './end-mark.mjs';

const keptConsole = 8192;
const shownLines = 20;

/** The status of a job that took too long, as timeout(1) has it. */
export const timeoutStatus = 124;

/**
 * @typedef {object} HostEnd
 * @property {number} [status] of the job, 128 and the signal's number where one ended it; 124 if it took too long
 * @property {string} [failure] why the job did not come to its end, in words
 */

/**
 * @typedef {object} EmulatedHost
 * @property {import('node:stream').Readable} stdout what it writes; with a terminal, all that is shown there
 * @property {import('node:stream').Readable} stderr
 * @property {import('node:stream').Writable | undefined} input typed at the job's terminal
 * @property {(rows: number, columns: number) => void} resize
 * @property {(reason: string, status?: number) => void} kill ends it at once; these become how it ended
 * @property {Promise<number>} up milliseconds from QEMU's start to the job's; never where it does not come to that
 * @property {Promise<HostEnd>} ended after both streams have been read to their ends
 */

/**
 * Lines of a stream, as they come.
 * @param {import('node:stream').Readable} stream
 * @param {(line: string) => void} act
 */
function eachLine(stream, act) {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  stream.on('data', (/** @type {Buffer} */ chunk) => {
    const lines = (rest + decoder.write(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) act(line);
  });
}

/**
 * The last lines that a kernel or QEMU wrote, and the one before them that says why.
 * @param {string} text
 */
export function lastLines(text) {
  const lines = stripVTControlCharacters(text.replaceAll('\r', ''))
    .split('\n')
    .filter((line) => line.trim() !== '');
  const reasons = lines.slice(0, -shownLines).filter((line) => /Kernel panic|Oops|BUG:/.test(line));
  return [...reasons.slice(-1), ...lines.slice(-shownLines)].map((line) => `\n  ${line}`).join('');
}

/**
 * @param {import('node:child_process').ChildProcess} child QEMU, with the descriptors of qemuArguments()
 * @param {{ job: Buffer, mark: string, timeoutMs: number, terminal: boolean }} options
 * @returns {EmulatedHost}
 */
export function follow(child, { job, mark, timeoutMs, terminal }) {
  const start = performance.now();
  const socket = (/** @type {number} */ fd) => /** @type {import('node:net').Socket} */ (child.stdio[fd]);
  const sockets = child.stdio.slice(3).map((_, index) => socket(index + 3));
  // A socket of a process that was killed may be reset; how it ended is told by its 'close'.
  for (const one of sockets) one.on('error', () => undefined);
  const [console, output, errors, control, screen] = sockets;
  if (!console || !output || !errors || !control) throw new TypeError('QEMU has no descriptors');

  let said = '';
  const listen = (/** @type {import('node:stream').Readable | null} */ stream) =>
    stream?.on('data', (/** @type {Buffer} */ chunk) => {
      said = (said + chunk.toString('latin1')).slice(-keptConsole);
    });
  for (const stream of [console, child.stdout, child.stderr]) listen(stream);

  const stdout = new UntilMark(mark);
  const stderr = new UntilMark(mark);
  (terminal && screen ? screen : output).pipe(stdout);
  if (terminal) output.resume();
  errors.pipe(stderr);

  /** @type {number | undefined} */
  let status;
  /** @type {HostEnd | undefined} */
  let broken;
  const end = (/** @type {HostEnd} */ how) => {
    broken ??= how;
    child.kill('SIGKILL');
  };
  const settle = () => {
    if (status !== undefined && stdout.complete && stderr.complete) child.kill('SIGKILL');
  };
  stdout.once('end', settle);
  stderr.once('end', settle);
  const timer = setTimeout(() => {
    end({ status: timeoutStatus, failure: `ended by its time limit of ${duration(timeoutMs)}` });
  }, timeoutMs);

  /** @type {Promise<number>} */
  const up = new Promise((resolve) => {
    eachLine(control, (line) => {
      const [word, ...rest] = line.split(' ');
      if (word === 'up') resolve(performance.now() - start);
      if (word === 'fail') end({ failure: `the emulated host did not come up: ${rest.join(' ')}` });
      if (word === 'exit') {
        status = Number(rest[0]);
        settle();
      }
    });
  });
  control.write(job);

  /** @type {Promise<HostEnd>} */
  const closed = new Promise((resolve) => {
    let startFailure = '';
    child.on('error', (error) => {
      startFailure = `QEMU could not be started: ${error.message}`;
      if (child.pid === undefined) {
        for (const one of sockets) one.destroy();
        stdout.end();
        stderr.end();
        resolve({ failure: startFailure });
      }
    });
    child.on('close', () => {
      if (broken) resolve(broken);
      else if (status !== undefined) resolve({ status });
      else {
        resolve({
          failure: `the emulated host ended before the command did. Its last lines:${lastLines(said)}`,
        });
      }
    });
  });
  const ended = closed.then(async (how) => {
    clearTimeout(timer);
    await Promise.allSettled([finished(stdout), finished(stderr)]);
    return how;
  });
  return {
    stdout,
    stderr,
    input: screen,
    resize: (rows, columns) => control.write(`size ${rows} ${columns}\n`),
    kill: (reason, as) => end({ failure: reason, ...(as === undefined ? {} : { status: as }) }),
    up,
    ended,
  };
}
