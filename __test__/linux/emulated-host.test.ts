// The emulated host from outside: QEMU runs, and a job in it. Each test brings a host up, so each asks for much at once.
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { runOnEmulatedHost } from '../../scripts/host/run.mjs';
import { prepareHost } from '../../scripts/host/start.mjs';
import { until } from '../helpers/wait.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const script = join(root, 'scripts', 'emulated-host');
const prepared = await prepareHost();

/** A test that needs the emulated host. They come one by one: each host uses all processors. */
function onHost(title: string, run: (t: ExecutionContext) => Promise<void>): void {
  test.serial(title, async (t) => {
    if ('missing' in prepared) {
      t.log(`skipped: ${prepared.missing}`);
      t.pass();
      return;
    }
    t.timeout(180_000);
    await run(t);
  });
}

interface Started {
  child: ChildProcess;
  stdout: () => Buffer;
  stderr: () => string;
  ended: Promise<{ code: number | null; signal: string | null }>;
}

/** The script itself, as a person calls it. */
function start(t: ExecutionContext, args: readonly string[], cwd = root): Started {
  const env = { ...process.env, GREETING: "a 'b'\nc" };
  const child = spawn(script, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  t.teardown(() => child.kill('SIGKILL'));
  const out: Buffer[] = [];
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  return {
    child,
    stdout: () => Buffer.concat(out),
    stderr: () => err,
    ended: new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal }))),
  };
}

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

onHost(
  'a job has its folder, its variables, KVM, two streams apart, and its status is passed on',
  async (t) => {
    const job = `pwd; printf '%s|' "$GREETING" $0; test -c /dev/kvm && echo kvm; echo wrong >&2
    grep -c svm /proc/cpuinfo; ls /tmp | wc -l; df -t tmpfs /dev/shm | tail -1 | cut -c1-5
    ip -br link show lo | cut -c1-2; grep SigIgn /proc/self/status; sleep 1000 & exit 37`;
    const run = start(t, ['--cpus', '2', '--', 'sh', '-c', job, '$HOME'], join(root, 'docs'));
    t.deepEqual(await run.ended, { code: 37, signal: null });
    const lines = [join(root, 'docs'), "a 'b'", 'c|$HOME|kvm', '2', '0', 'tmpfs', 'lo'];
    t.is(run.stdout().toString(), `${lines.join('\n')}\nSigIgn:\t0000000000000000\n`);
    t.regex(run.stderr(), /^emulated-host: up in [\d.]+ s\nwrong\n$/);
  },
);

onHost('bytes of any value and number arrive as they were written, on both streams', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'vmhatch-host-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const bytes = Buffer.from(Array.from({ length: 3_000_001 }, (_, at) => (at * 7919 + (at >> 8)) % 256));
  writeFileSync(join(folder, 'bytes'), bytes);
  const job = 'cat bytes; base64 -w0 bytes >&2; md5sum <bytes >sum';
  const run = start(t, ['--quiet', '--share', folder, '--', 'sh', '-c', job], folder);
  t.deepEqual(await run.ended, { code: 0, signal: null });
  t.true(run.stdout().equals(bytes));
  t.true(run.stderr() === bytes.toString('base64'));
  const sum = createHash('md5').update(bytes).digest('hex');
  t.is(readFileSync(join(folder, 'sum'), 'utf8'), `${sum}  -\n`);
});

onHost('a function runs a command there, with the lines as they come', async (t) => {
  const lines: string[] = [];
  const result = await runOnEmulatedHost({
    command: 'node',
    args: ['--eval', 'console.log(process.env.COLOUR, 6 * 7); console.error("e"); process.kill(process.pid)'],
    env: { COLOUR: 'blue' },
    quiet: true,
    onLine: (line) => lines.push(line),
  });
  t.deepEqual(lines.toSorted(), ['blue 42', 'e']);
  t.false(result.ok);
  t.is(result.ending, 'exit status 143');
  t.is(result.status, 143);
  t.deepEqual(result.output.split('\n').toSorted(), ['', 'blue 42', 'e']);
  t.true((result.upMs ?? 0) > 0);
});

onHost('a job that takes too long is ended with status 124, its output so far is kept', async (t) => {
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
});

onHost('a panic of its kernel is an error that says so', async (t) => {
  const run = start(t, ['--', 'sh', '-c', 'echo before; sleep 1; echo c >/proc/sysrq-trigger; sleep 60']);
  t.deepEqual(await run.ended, { code: 125, signal: null });
  t.is(run.stdout().toString(), 'before\n');
  t.regex(
    run.stderr(),
    /ended before the command did\. [^]*Kernel panic - not syncing: sysrq triggered crash/,
  );
});

for (const [signal, how] of [
  ['SIGKILL', { code: null, signal: 'SIGKILL' }],
  ['SIGTERM', { code: 143, signal: null }],
  ['SIGINT', { code: 130, signal: null }],
] as const) {
  onHost(`${signal} of the script leaves no QEMU behind`, async (t) => {
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

onHost('a reader that goes away ends it', async (t) => {
  const run = start(t, ['--', 'yes']);
  run.child.stdout?.once('data', () => run.child.stdout?.destroy());
  t.deepEqual(await run.ended, { code: 141, signal: null });
  t.regex(run.stderr(), /nobody reads its output any more/);
});
