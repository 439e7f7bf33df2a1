// One process at a time: a lock that the kernel gives back when its holder ends, however it ends.
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { once } from 'node:events';
import { dirname } from 'node:path';

/**
 * Does something while no other process that names this file does. Where util-linux's `flock` is missing nothing is
 * locked: results are renamed into place, so that two who work at once only do the work twice.
 * @template T
 * @param {string} file made where it is missing; it stays
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(file, work) {
  mkdirSync(dirname(file), { recursive: true });
  // The shell holds the lock until its standard input ends, which it does with this process.
  const holder = spawn('flock', [file, 'sh', '-c', 'echo; exec cat >/dev/null'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const closed = new Promise((resolve) => {
    holder.on('error', resolve);
    holder.on('close', resolve);
  });
  holder.stdin.on('error', () => undefined);
  await Promise.race([once(holder.stdout, 'data'), closed]);
  try {
    return await work();
  } finally {
    holder.stdin.end();
    await closed;
  }
}
