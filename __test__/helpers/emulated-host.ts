/** Tests of the emulated host from outside: QEMU runs, and a job in it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext, TestFn } from 'ava';
import { prepareHost } from '../../scripts/host/start.mjs';

/** The checkout. */
export const root = fileURLToPath(new URL('../../', import.meta.url));
/** The architectures that there are hosts of. */
export const machines = ['x86_64', 'aarch64'] as const;
const script = join(root, 'scripts', 'emulated-host');
const prepared = { x86_64: await prepareHost('x86_64'), aarch64: await prepareHost('aarch64') };

/** A test that needs the emulated host. Those of a file come one by one: each host uses all processors. */
export function onHost(
  test: TestFn,
  arch: (typeof machines)[number],
  title: string,
  run: (t: ExecutionContext) => Promise<void>,
): void {
  test.serial(`${arch}: ${title}`, async (t) => {
    const parts = prepared[arch];
    if ('missing' in parts) {
      t.log(`skipped: ${parts.missing}`);
      t.pass();
      return;
    }
    t.timeout(180_000);
    await run(t);
  });
}

/** A script that was started. */
export interface Started {
  child: ChildProcess;
  stdout: () => Buffer;
  stderr: () => string;
  ended: Promise<{ code: number | null; signal: string | null }>;
}

/** The script itself, as a person calls it. */
export function start(t: ExecutionContext, args: readonly string[], cwd = root): Started {
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
