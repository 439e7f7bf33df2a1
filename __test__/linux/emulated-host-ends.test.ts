// How an emulated host ends, seen from outside: by itself, by its time limit, by a signal, for want of a reader.
import { readFileSync } from 'node:fs';
import test from 'ava';
import { runOnEmulatedHost } from '../../scripts/host/run.mjs';
import { machines, onHost, start } from '../helpers/emulated-host.ts';
import { until } from '../helpers/wait.ts';

/** The processes that a process has started. */
function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

/** Gone, or dead and not yet collected by who adopted it. */
function isGone(pid: number): boolean {
  try {
    return /^State:\s*[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return true;
  }
}

for (const arch of machines) {
  onHost(test, arch, 'a panic of its kernel is an error that says so', async (t) => {
    const job = 'echo before; sleep 1; echo c >/proc/sysrq-trigger; sleep 60';
    const run = start(t, ['--arch', arch, '--', 'sh', '-c', job]);
    t.deepEqual(await run.ended, { code: 125, signal: null });
    t.is(run.stdout().toString(), 'before\n');
    t.regex(
      run.stderr(),
      /ended before the command did\. [^]*Kernel panic - not syncing: sysrq triggered crash/,
    );
  });
}

// What follows is this machine's part, the same for each host.

onHost(
  test,
  'x86_64',
  'a job that takes too long is ended with status 124, its output so far is kept',
  async (t) => {
    const job = 'echo begun; sleep 1000';
    const result = await runOnEmulatedHost({
      command: 'sh',
      args: ['-c', job],
      timeoutMs: 30_000,
      quiet: true,
    });
    t.is(result.status, 124);
    t.is(result.ending, 'ended by its time limit of 30 s');
    t.is(result.output, 'begun\n');
  },
);

for (const [signal, how] of [
  ['SIGKILL', { code: null, signal: 'SIGKILL' }],
  ['SIGTERM', { code: 143, signal: null }],
  ['SIGINT', { code: 130, signal: null }],
] as const) {
  onHost(test, 'x86_64', `${signal} of the script leaves no QEMU behind`, async (t) => {
    const run = start(t, ['--', 'sh', '-c', 'echo up; sleep 1000']);
    await until(() => run.stdout().length > 0);
    const qemu = childrenOf(run.child.pid ?? 0);
    t.is(qemu.length, 1);
    t.false(isGone(qemu[0]!));
    run.child.kill(signal);
    t.deepEqual(await run.ended, how);
    await until(() => isGone(qemu[0]!));
    t.pass();
  });
}

onHost(test, 'x86_64', 'a reader that goes away ends it', async (t) => {
  const run = start(t, ['--', 'yes']);
  run.child.stdout?.once('data', () => run.child.stdout?.destroy());
  t.deepEqual(await run.ended, { code: 141, signal: null });
  t.regex(run.stderr(), /nobody reads its output any more/);
});
