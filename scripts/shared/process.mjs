// Child processes: their output is passed on as it comes, their lines can be counted meanwhile, and none
// of them outlives the script that started it.
import { spawn } from 'node:child_process';
import { delimiter, dirname } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import { inRoot, root } from './paths.mjs';
import { colourful } from './terminal.mjs';

/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();
const graceMs = 5000;

/** @type {number | undefined} this script's status, once a signal has told it to end */
let endStatus;

/** Whether a signal has told this script to end: then nothing new begins. */
export const isEnding = () => endStatus !== undefined;

function leaveAfterTheLast() {
  if (isEnding() && children.size === 0) process.exit(endStatus);
}

/**
 * @typedef {object} RunOptions
 * @property {string} [cwd] where it runs; the checkout's root by default
 * @property {Record<string, string | undefined>} [env] added to this process's environment; undefined removes
 * @property {(line: string) => void} [onLine] sees each line of both streams
 * @property {(line: string) => string | undefined} [show] what to print for a line of either stream; undefined prints nothing
 * @property {boolean} [inherit] it writes to this process's own streams, which it may ask whether they are a terminal; `output` is empty
 * @property {boolean} [quiet] prints nothing: the caller has `output`
 */

/**
 * @typedef {object} RunResult
 * @property {boolean} ok it ended by itself with status 0
 * @property {string} ending how it ended, in words
 * @property {string} output standard output and error together
 */

/**
 * The environment for a child: this Node first, then the tools of node_modules.
 * @param {Record<string, string | undefined>} [extra]
 * @returns {NodeJS.ProcessEnv}
 */
export function environment(extra = {}) {
  const path = [dirname(process.execPath), inRoot('node_modules', '.bin'), process.env['PATH'] ?? ''];
  /** @type {NodeJS.ProcessEnv} */
  const env = { ...process.env, PATH: path.join(delimiter), ...extra };
  if (colourful) Object.assign(env, { FORCE_COLOR: '1', CARGO_TERM_COLOR: 'always' });
  for (const [name, value] of Object.entries(env)) if (value === undefined) delete env[name];
  return env;
}

/**
 * A child that shall not outlive this script.
 * @template {import('node:child_process').ChildProcess} Child
 * @param {Child} child
 * @returns {Child}
 */
export function adopt(child) {
  children.add(child);
  const forget = () => {
    children.delete(child);
    leaveAfterTheLast();
  };
  child.on('close', forget);
  child.on('error', () => {
    if (child.pid === undefined) forget();
  });
  // One that was on its way when the signal came.
  if (isEnding()) child.kill('SIGKILL');
  return child;
}

/**
 * Prints what comes from a stream as the options say, and shows them its lines.
 * @param {NodeJS.ReadableStream | null} stream
 * @param {NodeJS.WriteStream} target
 * @param {RunOptions} options
 * @param {(text: string) => void} keep
 */
export function passOn(stream, target, options, keep) {
  const { show } = options;
  const decoder = new StringDecoder('utf8');
  let rest = '';
  /** @param {string} line */
  const whole = (line) => {
    options.onLine?.(line);
    if (options.quiet || !show) return;
    const text = show(line);
    if (text !== undefined) target.write(`${text}\n`);
  };
  stream?.on('data', (/** @type {Buffer} */ chunk) => {
    const text = decoder.write(chunk);
    keep(text);
    if (!options.quiet && !show) target.write(text);
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) whole(line);
  });
  stream?.on('end', () => {
    if (rest !== '') whole(rest);
  });
}

/**
 * Runs a program to its end. Never throws for a program that fails or is missing.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {RunOptions} [options]
 * @returns {Promise<RunResult>}
 */
export function run(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: options.cwd ?? root,
      env: environment(options.env),
      stdio: options.inherit ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
    });
    adopt(child);
    let output = '';
    /** @type {(text: string) => void} */
    const keep = (text) => (output += text);
    passOn(child.stdout, process.stdout, options, keep);
    passOn(child.stderr, process.stderr, options, keep);
    /** @type {string | undefined} */
    let startFailure;
    child.on('error', (error) => {
      startFailure = `could not be started: ${error.message}`;
      if (child.pid === undefined) resolve({ ok: false, ending: startFailure, output });
    });
    child.on('close', (code, signal) => {
      const words = signal === null ? `exit status ${code}` : `killed by ${signal}`;
      resolve({ ok: code === 0, ending: startFailure ?? words, output });
    });
  });
}

/**
 * What a program prints, or undefined where it is missing or fails.
 * @param {string} command
 * @param {readonly string[]} args
 * @returns {Promise<string | undefined>}
 */
export async function ask(command, ...args) {
  const result = await run(command, args, { quiet: true });
  return result.ok ? result.output.trim() : undefined;
}

/** Ctrl-C and its like end the children first, then this process, with the status a shell expects. */
export function endChildrenOnSignals() {
  const signals = /** @type {const} */ ({ SIGINT: 2, SIGTERM: 15, SIGHUP: 1 });
  for (const [signal, number] of Object.entries(signals)) {
    process.on(signal, () => {
      if (isEnding()) return;
      endStatus = 128 + number;
      for (const child of children) child.kill(/** @type {NodeJS.Signals} */ (signal));
      leaveAfterTheLast();
      setTimeout(() => {
        for (const child of children) child.kill('SIGKILL');
        process.exit(endStatus);
      }, graceMs).unref();
    });
  }
}
