// scripts/emulated-host: reads its arguments, joins the streams of this process to those of the command.
import { statSync } from 'node:fs';
import { endChildrenOnSignals, environment } from '../shared/process.mjs';
import { duration } from '../shared/terminal.mjs';
import { parseCommandLine, usage, WrongArgument } from './options.mjs';
import { startHost } from './start.mjs';

const wrongArgument = 2;
const noHost = 125;
const brokenPipe = 141; // 128 and SIGPIPE
const quitKey = 0x1d; // Ctrl-]

/** @typedef {import('./follow.mjs').EmulatedHost} EmulatedHost */

/** @param {string} text */
function tell(text) {
  process.stderr.write(`emulated-host: ${text}\n`);
}

/**
 * What is typed here goes to the host, as it is; the terminal is left as it was, however this process ends.
 * @param {EmulatedHost} host
 */
function joinTerminal(host) {
  const { stdin, stdout } = process;
  const leave = () => stdin.setRawMode(false);
  stdin.setRawMode(true);
  process.once('exit', leave);
  stdin.on('data', (/** @type {Buffer} */ typed) => {
    const at = typed.indexOf(quitKey);
    host.input?.write(at < 0 ? typed : typed.subarray(0, at));
    if (at >= 0) host.kill('Ctrl-] was typed');
  });
  stdout.on('resize', () => host.resize(stdout.rows, stdout.columns));
  void host.ended.finally(() => {
    leave();
    stdin.pause();
  });
}

/** @param {EmulatedHost} host */
function joinStreams(host) {
  for (const [from, to] of /** @type {const} */ ([
    [host.stdout, process.stdout],
    [host.stderr, process.stderr],
  ])) {
    from.pipe(to, { end: false });
    to.on('error', () => {
      host.kill('nobody reads its output any more', brokenPipe);
      from.unpipe(to).resume();
    });
  }
}

/**
 * @param {readonly string[]} words
 * @returns {Promise<number>} the exit status
 */
async function main(words) {
  const line = parseCommandLine(words);
  if (line === 'help') {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const hidden = line.share.find((path) => !statSync(path, { throwIfNoEntry: false })?.isDirectory());
  if (hidden !== undefined) throw new WrongArgument(`--share ${hidden}: there is no such folder`);
  if (line.tty && !(process.stdin.isTTY && process.stdout.isTTY)) {
    throw new WrongArgument('--tty: standard input and output are no terminal');
  }
  endChildrenOnSignals();
  const { rows, columns } = process.stdout;
  const terminal = line.tty ? { rows, columns } : undefined;
  const host = await startHost({ ...line, cwd: process.cwd(), env: environment(), terminal });
  if ('missing' in host) {
    tell(host.missing);
    return noHost;
  }
  if (line.tty) joinTerminal(host);
  joinStreams(host);
  if (!line.quiet) void host.up.then((ms) => tell(`up in ${duration(ms)}`));
  const { status, failure } = await host.ended;
  if (failure !== undefined) tell(failure);
  return status ?? noHost;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof WrongArgument)) throw error;
  tell(`${error.message}\nTry scripts/emulated-host --help`);
  process.exitCode = wrongArgument;
}
