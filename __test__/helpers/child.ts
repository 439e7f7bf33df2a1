/** Programs in processes of their own: for tests of how a process ends, and of other users. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import type { ExecutionContext } from 'ava';

import { LOADER, sourceName } from './sources.ts';

/** How a program ended. */
export interface Outcome {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

const root = fileURLToPath(new URL('../../', import.meta.url));

const programUrl = (path: string): string => JSON.stringify(new URL(sourceName(path), import.meta.url).href);

/** Names that a program can import, as URLs for its source. */
export const INDEX = programUrl('../../index.ts');
export const GUESTS = programUrl('guests.ts');
export const COMMON_GUESTS = programUrl('common-guests.ts');

/** Runs an ES module given as text. */
export function runModule(t: ExecutionContext, source: string): Promise<Outcome> {
  const args = [...LOADER, '--input-type=module', '--eval', source];
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
