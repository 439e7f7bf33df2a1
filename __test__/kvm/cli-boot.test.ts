/** `vmhatch boot` with pipes: flat guests, which every KVM runs. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import test, { type ExecutionContext } from 'ava';

import {
  BOOTED,
  COUNT,
  ECHO,
  FLOOD,
  PANIC,
  POWER_OFF,
  RESET,
  SPIN,
  bootCommand,
  flatCommand,
  guestFile,
  out,
  says,
  temporaryFolder,
} from '../helpers/boot-guests.ts';
import { hasKvm } from '../helpers/child-program.ts';
import type { Outcome } from '../helpers/child.ts';
import { startProgram, type RunningProgram } from '../helpers/example.ts';

const tripleFault = fileURLToPath(
  new URL('../../crates/test-guests/guests/triple-fault.bin', import.meta.url),
);

function start(t: ExecutionContext, code: readonly number[], ...args: string[]): RunningProgram {
  return startProgram(t, flatCommand(t, code, ...args));
}

/** Boots a guest to its end; nothing is typed. */
function boot(t: ExecutionContext, code: readonly number[], ...args: string[]): Promise<Outcome> {
  const { child, outcome } = start(t, code, ...args);
  child.stdin!.end();
  return outcome;
}

const jsonLines = (text: string): Record<string, unknown>[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const lines = (times: number): string => 'abcdefghijklmnopqrstuvwxyz\n'.repeat(times);

test('a guest that powers off: 0, and nothing is said about it', async (t) => {
  if (!hasKvm(t)) return;
  const { code, stdout, stderr } = await boot(t, says('hello\n', POWER_OFF));
  t.deepEqual([code, stdout, stderr], [0, 'hello\n', '']);
});

test('a guest that resets: 0, and one line', async (t) => {
  if (!hasKvm(t)) return;
  const { code, stderr } = await boot(t, RESET);
  t.is(code, 0);
  t.regex(stderr, /^vmhatch: the guest asked for a reset \(after [\d.]+ m?s\)\n$/);
  t.is((await boot(t, RESET, '--quiet')).stderr, '');
});

test('--restart: a guest that resets starts again, until the time is over: 4', async (t) => {
  if (!hasKvm(t)) return;
  const { child, outcome, printed } = start(t, says('up ', RESET), '--restart');
  await printed('up up up ');
  child.kill('SIGTERM');
  t.is((await outcome).code, 143);
  const { code, stderr } = await boot(t, SPIN, '--restart', '--timeout', '0.2');
  t.is(code, 4);
  t.regex(stderr, /--timeout is over/);
});

test('a panic: 1, with what the kernel printed about it, control characters left out', async (t) => {
  if (!hasKvm(t)) return;
  const said = 'x\nKernel panic - not syncing: no \u001b[31minit\u0007 found\r\n---\n';
  for (const end of [PANIC, RESET]) {
    const { code, stdout, stderr } = await boot(t, says(said, end), '--quiet');
    t.is(code, 1);
    t.is(stdout, said);
    t.regex(stderr, /^vmhatch: the guest’s kernel panicked: no \?\[31minit\? found \(after .*\)\n$/);
  }
});

test('a triple fault: 1', async (t) => {
  if (!hasKvm(t)) return;
  const args = ['--protocol', 'flat', '--mode', 'protected', '--load', '0x1000', tripleFault];
  const { code, stderr } = await startProgram(t, bootCommand(...args)).outcome;
  t.is(code, 1);
  t.regex(stderr, /a triple fault on vCPU 0 /);
});

test('--boot-time says when the guest was up, or that it did not say', async (t) => {
  if (!hasKvm(t)) return;
  const up = await boot(t, [...BOOTED, ...POWER_OFF], '--boot-time', '--quiet');
  t.regex(up.stderr, /^vmhatch: boot time: [\d.]+ m?s\n$/);
  const silent = await boot(t, POWER_OFF, '--boot-time');
  t.regex(silent.stderr, /^vmhatch: boot time: the guest did not say\n$/);
});

test('--json: output and the end as lines', async (t) => {
  if (!hasKvm(t)) return;
  const guest = [...BOOTED, ...out(0xe9, 0x44), ...out(0x3f8, 0x43), ...PANIC];
  const { code, stdout, stderr } = await boot(t, guest, '--json', '--debug-console', '0xe9');
  t.is(code, 1);
  t.is(stderr, '');
  const found = jsonLines(stdout);
  const output = found.filter(({ type }) => type === 'output');
  t.is(output.find(({ device }) => device === 'serial')?.['text'], 'C');
  t.is(output.find(({ device }) => device === 'debug-console')?.['text'], 'D');
  const { ms, bootTimeMs, ...end } = found.at(-1)!;
  t.deepEqual(end, { type: 'end', reason: 'panic', message: 'the guest’s kernel panicked', exitCode: 1 });
  t.true(Number(ms) >= Number(bootTimeMs) && Number(bootTimeMs) >= 0);
});

test('--json: a character that is cut off at the end is told', async (t) => {
  if (!hasKvm(t)) return;
  const { stdout } = await boot(t, [...out(0x3f8, 0xc3), ...POWER_OFF], '--json');
  const texts = jsonLines(stdout).map(({ text }) => text);
  t.deepEqual(texts, ['\ufffd', undefined]);
});

test('--console2 goes into its file, which is made anew', async (t) => {
  if (!hasKvm(t)) return;
  const file = join(temporaryFolder(t), 'console2');
  for (const letter of [0x41, 0x42]) {
    const { code, stdout } = await boot(t, [...out(0x2f8, letter), ...POWER_OFF], '--console2', file);
    t.deepEqual([code, stdout], [0, '']);
    t.is(readFileSync(file, 'latin1'), String.fromCharCode(letter));
  }
  const { code, stderr } = await boot(t, POWER_OFF, '--console2', '/nonexistent/file');
  t.is(code, 2);
  t.regex(stderr, /--console2: ENOENT/);
});

test('--console2: a file that takes no more ends the machine: 1', async (t) => {
  if (!hasKvm(t)) return;
  const guest = [...out(0x2f8, 0x41), ...SPIN];
  const { code, stderr } = await boot(t, guest, '--console2', '/dev/full');
  t.is(code, 1);
  t.regex(stderr, /--console2: ENOSPC/);
});

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  test(`${signal} to a guest that spins: ${code}`, async (t) => {
    if (!hasKvm(t)) return;
    const { child, outcome, printed } = start(t, says('!', SPIN));
    await printed('!');
    child.kill(signal);
    t.is((await outcome).code, code);
  });
}

test('what is piped in is typed, with every byte, and its end means nothing', async (t) => {
  if (!hasKvm(t)) return;
  const { child, outcome, printed } = start(t, ECHO);
  child.stdin!.end('ls\n\u0003\u0001x');
  await printed('>ls^J^C^Ax');
  t.is(child.exitCode, null);
  child.kill('SIGTERM');
  t.is((await outcome).stdout, '>ls^J^C^Ax');
});

test('--eot types a Ctrl-D behind it', async (t) => {
  if (!hasKvm(t)) return;
  const { child, outcome, printed } = start(t, ECHO, '--eot');
  child.stdin!.end('ls');
  await printed('>ls^D');
  child.kill('SIGTERM');
  t.is((await outcome).stdout, '>ls^D');
});

test('more input than the port and the stream before it hold arrives whole', async (t) => {
  if (!hasKvm(t)) return;
  const { child, outcome } = start(t, COUNT);
  child.stdin!.end(`${'x'.repeat(200_000)}q`);
  const { code, stdout } = await outcome;
  t.is(code, 0);
  t.is(Buffer.from(stdout, 'latin1').readUInt32LE(), 200_000);
});

test('a slow reader gets every byte, and the guest waits for it', async (t) => {
  if (!hasKvm(t)) return;
  const { child, outcome } = start(t, says(lines(64), POWER_OFF, 256));
  child.stdin!.end();
  const { stdout } = child;
  stdout!.pause();
  const steps = setInterval(() => stdout!.read(4096), 5);
  setTimeout(() => {
    clearInterval(steps);
    stdout!.resume();
  }, 1500);
  const end = await outcome;
  t.is(end.code, 0, end.stderr);
  t.true(end.stdout === lines(64 * 256), `${end.stdout.length} characters`);
});

test('a flood that nobody reads costs no memory, and hears SIGTERM: 143', async (t) => {
  if (!hasKvm(t)) return;
  const { child, outcome, printed } = start(t, FLOOD);
  await printed(lines(1));
  child.stdout!.pause();
  const memory = (): number =>
    Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]);
  // Time enough for tens of megabytes, if they were kept.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const before = memory();
  await new Promise((resolve) => setTimeout(resolve, 2000));
  t.true(memory() - before < 16 * 1024, `${before} KiB, then ${memory()}`);
  child.kill('SIGTERM');
  const code = await new Promise((resolve) => child.once('exit', resolve));
  t.is(code, 143);
  child.stdout!.resume();
  const { stdout } = await outcome;
  t.true(lines(Math.ceil(stdout.length / 27)).startsWith(stdout), 'nothing was lost in between');
});

test('a reader that goes away: 141', async (t) => {
  if (!hasKvm(t)) return;
  const { child, outcome, printed } = start(t, FLOOD);
  await printed('abc');
  child.stdout!.destroy();
  t.is((await outcome).code, 141);
});

test('a kernel by URL', async (t) => {
  if (!hasKvm(t)) return;
  const image = readFileSync(guestFile(t, says('hello\n', POWER_OFF)));
  const server = createServer((request, response) => {
    if (request.url === '/kernel') response.end(image);
    // Any other is never answered.
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const host = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const asked = new Promise<void>((resolve) =>
    server.on('request', ({ url }) => {
      if (url === '/never') resolve();
    }),
  );
  const good = await startProgram(t, bootCommand('--protocol', 'flat', `${host}/kernel`)).outcome;
  t.deepEqual([good.code, good.stdout], [0, 'hello\n'], good.stderr);
  const data = `data:application/octet-stream;base64,${image.toString('base64')}`;
  t.is((await startProgram(t, bootCommand('--protocol', 'flat', data)).outcome).stdout, 'hello\n');

  const waiting = startProgram(t, bootCommand('--protocol', 'flat', `${host}/never`));
  await asked;
  waiting.child.kill('SIGINT');
  const { code, stderr } = await waiting.outcome;
  t.is(code, 130);
  t.regex(stderr, /interrupted/);
});
