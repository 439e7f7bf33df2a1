// A command on the emulated host, run to its end: what process.mjs's run() is for this machine.
import { environment, passOn } from '../shared/process.mjs';
import { duration } from '../shared/terminal.mjs';
import { timeoutStatus } from './follow.mjs';
import { startHost } from './start.mjs';

/**
 * What startHost() takes but for the terminal, and what run() takes; `env` is added to the environment that run() gives.
 * @typedef {Omit<import('./start.mjs').HostOptions, 'terminal' | 'env'>
 *   & Omit<import('../shared/process.mjs').RunOptions, 'inherit'>
 *   & { silenceMs?: number }} EmulatedRunOptions silenceMs: the host is taken for broken when nothing is printed for so long
 */

/**
 * @typedef {object} EmulatedRunDetails
 * @property {number} [status] the command's, 128 and the signal's number where one ended it; 124: it took too long
 * @property {number} [upMs] from QEMU's start to the command's
 * @property {string} [missing] why there is no emulated host on this machine, and how to get one
 */

/** @typedef {import('../shared/process.mjs').RunResult & EmulatedRunDetails} EmulatedRunResult */

/**
 * Runs a command on the emulated host. Never throws for one that fails, or where there can be no emulated host.
 * @param {EmulatedRunOptions} options
 * @returns {Promise<EmulatedRunResult>}
 */
export async function runOnEmulatedHost(options) {
  const host = await startHost({ ...options, env: environment(options.env) });
  if ('missing' in host) {
    return { ok: false, ending: `no emulated host: ${host.missing}`, output: '', missing: host.missing };
  }
  let output = '';
  /** @type {NodeJS.Timeout | undefined} */
  let silence;
  const listen = () => {
    if (options.silenceMs === undefined) return;
    clearTimeout(silence);
    const reason = `it printed nothing for ${duration(options.silenceMs)}`;
    silence = setTimeout(() => host.kill(reason, timeoutStatus), options.silenceMs);
  };
  /** @type {(text: string) => void} */
  const keep = (text) => {
    output += text;
    listen();
  };
  listen();
  passOn(host.stdout, process.stdout, options, keep);
  passOn(host.stderr, process.stderr, options, keep);
  /** @type {EmulatedRunDetails} */
  const details = {};
  void host.up.then((upMs) => (details.upMs = upMs));
  const { status, failure } = await host.ended;
  clearTimeout(silence);
  if (status !== undefined) details.status = status;
  return { ok: status === 0, ending: failure ?? `exit status ${status}`, output, ...details };
}
