// Tests on emulated hosts, side by side: as many hosts at a time as this machine has processors and memory for.
import { availableParallelism, totalmem } from 'node:os';
import { runOnEmulatedHost } from '../host/run.mjs';
import { timeoutStatus as hostStood } from '../host/follow.mjs';
import { inRoot } from '../shared/paths.mjs';
import { isEnding } from '../shared/process.mjs';
import { sideBySide } from '../shared/side-by-side.mjs';
import { dim, duration, green, red, say } from '../shared/terminal.mjs';
import { avaCounter } from './count.mjs';

const MiB = 2 ** 20;

/** Of this machine's memory a part stays for this machine. A host takes what it touches; that may be all it has. */
const memoryForHosts = Math.floor((totalmem() * 0.8) / MiB);

/** How long a session may take in all: some times what a quiet machine needs. */
const sessionMs = 10 * 60_000;

/** No test is silent for so long, not even one that waits in vain: then the host itself stands still. */
const silenceMs = 180_000;

/** How many hosts each session may have. What fails on all of them fails. */
const attempts = 3;

/**
 * @typedef {object} Session files of tests that share a host
 * @property {string} name its lines begin with that
 * @property {string} folder of the compiled tests
 * @property {readonly string[]} files in it
 * @property {number} concurrency how many files run at a time, each on a processor of this machine
 * @property {string} timeout how long no test may end
 * @property {number} memoryMiB the host's; no more than this machine has for hosts
 * @property {boolean} [serial] one test of a file at a time, whatever the file says
 * @property {boolean} [patient] tests that fail are tried in another host, too; else only a host that did not last
 * @property {boolean} [jitless] Node runs without a compiler
 * @property {import('../host/machines.mjs').Architecture} [arch] x86_64 by default
 * @property {number} [cpus] of the host
 * @property {boolean} [newer] whether its kernel is that of the next release of Debian
 * @property {boolean} [sve] whether the host has scalable vectors
 * @property {Record<string, string>} [env]
 */

/** @param {Session} session */
function commandLine({ files, concurrency, timeout, serial = false, jitless = false }) {
  const cli = inRoot('node_modules', 'ava', 'entrypoints', 'cli.mjs');
  const [node, ava] = jitless ? [['--jitless'], ['--node-arguments', '--jitless']] : [[], []];
  if (serial) ava.push('--serial');
  return [...node, cli, ...ava, '--concurrency', String(concurrency), '--timeout', timeout, ...files];
}

/**
 * One session, in a host of its own; in another one if that did not go well.
 * @param {import('./report.mjs').Report} report
 * @param {Session} session
 */
async function runSession(report, session) {
  const { name, folder, patient = false, arch, cpus, newer, sve, env, memoryMiB } = session;
  /** @param {string} text */
  const tell = (text) => say(`${dim(`${name} │`)} ${text}`);
  // After Ctrl-C no other host is tried, nor a first one.
  for (let attempt = 1; !isEnding(); attempt++) {
    tell(dim(attempt === 1 ? 'begins' : 'begins once more, in another host'));
    const start = performance.now();
    const counter = avaCounter();
    const result = await runOnEmulatedHost({
      arch,
      cpus,
      newer,
      sve,
      env,
      cwd: folder,
      memoryMiB: Math.min(memoryMiB, memoryForHosts),
      timeoutMs: sessionMs,
      silenceMs,
      command: process.execPath,
      args: commandLine(session),
      onLine: counter.line,
      show: (line) => (line.trim() === '' ? undefined : `${dim(`${name} │`)} ${line}`),
    });
    const up = result.upMs === undefined ? '' : `, the host was up in ${duration(result.upMs)}`;
    const took = dim(`${duration(performance.now() - start)}${up}`);
    tell(result.ok ? `${green('✔')} ${took}` : `${red('✘')} ${took}: ${result.ending}`);
    if (result.missing !== undefined) {
      report.skip(`${name}: ${result.missing}`);
      return;
    }
    // A host that stood still or broke down says nothing about tests that had no end.
    const broke = [undefined, hostStood].includes(result.status) && counter.failed() === 0;
    if (result.ok || attempt === attempts || !(patient || broke)) {
      counter.finish(report, result);
      return;
    }
  }
}

/**
 * Runs them all; those that take long should come first.
 * @param {import('./report.mjs').Report} report
 * @param {readonly Session[]} sessions
 */
export async function runOnHosts(report, sessions) {
  /** @type {(sessions: readonly Session[], part: (session: Session) => number) => number} */
  const sum = (some, part) => some.reduce((total, session) => total + part(session), 0);
  await sideBySide(
    sessions,
    (session, beside) =>
      sum([session, ...beside], ({ concurrency }) => concurrency) <= availableParallelism() &&
      sum([session, ...beside], ({ memoryMiB }) => memoryMiB) <= memoryForHosts,
    (session) => runSession(report, session),
  );
}
