// The last part of `npm start`: Linux, with a shell that a person types at, on a KVM that can run it.
import { spawn } from 'node:child_process';
import { isatty } from 'node:tty';
import { linuxHost } from '../host/kvm-kind.mjs';
import { runOnEmulatedHost } from '../host/run.mjs';
import { prepareHost } from '../host/start.mjs';
import { makeInitrd } from '../initrd.mjs';
import { findKernel } from '../kernel.mjs';
import { inRoot } from '../shared/paths.mjs';
import { adopt, environment, run } from '../shared/process.mjs';
import { bold, dim, say } from '../shared/terminal.mjs';

const cli = inRoot('dist', 'lib', 'cli', 'main.js');
const emulatedHost = inRoot('scripts', 'host', 'main.mjs');
const typist = inRoot('scripts', 'start', 'typist.mjs');

/**
 * @typedef {{ ok: boolean, ending: string, missing?: undefined } | { missing: string }} ConsoleResult
 */

/**
 * Boots Linux and gives the terminal to its shell. Where nobody sits at a terminal, a few commands are typed.
 * @returns {Promise<ConsoleResult>}
 */
export async function showLinux() {
  const { host, why } = linuxHost();
  const emulated = host === 'emulated';
  if (emulated) {
    const parts = await prepareHost();
    if ('missing' in parts) return { missing: `${why}, and there is no emulated host: ${parts.missing}` };
  }
  const initrd = await makeInitrd();
  if (initrd.path === undefined) return { missing: initrd.missing };
  const kernel = await findKernel({ build: true });
  if ('missing' in kernel) return { missing: kernel.missing };
  const boot = [cli, 'boot', '--cpus', '2', '--boot-time', '--append', 'quiet'];
  const args = [...boot, '--initrd', initrd.path, kernel.vmlinux];

  say(
    emulated
      ? `${why}: it runs on a KVM host that QEMU emulates, which takes half a minute and is slow.`
      : `${why}.`,
  );
  say(dim(kernel.vmlinux));
  if (!isatty(0) || !isatty(1)) {
    say('There is no terminal here, so a few commands are typed by a program.');
    const typed = [typist, ...args];
    return emulated
      ? runOnEmulatedHost({ command: process.execPath, args: typed })
      : run(process.execPath, typed, { inherit: true });
  }
  say(`A shell follows. ${bold('poweroff')} or ${bold('exit')} ends it, ${bold('ctrl-a x')} at any time.`);
  if (emulated) say(dim('Ctrl-] ends the emulated host.'));
  return hand(emulated ? [emulatedHost, '--tty', '--', process.execPath, ...args] : args);
}

/**
 * Runs Node with the terminal as its own.
 * @param {readonly string[]} args
 * @returns {Promise<{ ok: boolean, ending: string }>}
 */
function hand(args) {
  const child = adopt(spawn(process.execPath, args, { stdio: 'inherit', env: environment() }));
  return new Promise((resolve) => {
    child.on('error', (error) => resolve({ ok: false, ending: `could not be started: ${error.message}` }));
    child.on('close', (code, signal) =>
      resolve({ ok: code === 0, ending: signal === null ? `exit status ${code}` : `killed by ${signal}` }),
    );
  });
}
