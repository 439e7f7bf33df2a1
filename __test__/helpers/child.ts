/** Programs in processes of their own: for tests of how a process ends, and of other users. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import type { ExecutionContext } from 'ava';

/** How a program ended. */
export interface Outcome {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Names that a program can import, as URLs for its source. */
export const INDEX = JSON.stringify(new URL('../../index.ts', import.meta.url).href);
export const GUESTS = JSON.stringify(new URL('guests.ts', import.meta.url).href);

/** Runs an ES module given as text. */
export function runModule(t: ExecutionContext, source: string): Promise<Outcome> {
  const args = ['--import', '@oxc-node/core/register', '--input-type=module', '--eval', source];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  t.teardown(() => child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text: Buffer) => (stdout += text.toString()));
  child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
  return new Promise((resolve) =>
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr })),
  );
}
