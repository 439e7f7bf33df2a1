/** Runs a program of __test__/stress/programs in a process of its own: it may crash, hang or exit as it likes. */
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

import type { ExecutionContext } from 'ava';

import { LOADER, sourceName } from './sources.ts';

const root = join(import.meta.dirname, '..', '..');

/** How long a program may take before it counts as hanging, in milliseconds. */
const PATIENCE_MS = 60_000;

export interface ChildOptions {
  /** Added to this process's environment. */
  env?: Record<string, string>;
  /** Options of Node's own, before the program. */
  nodeOptions?: readonly string[];
  /** Called at each whole line of the program's output. */
  onLine?: (line: string, kill: (signal: NodeJS.Signals) => void) => void;
}

export interface ChildEnd {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  /** Whether it had to be killed because it did not end. */
  hung: boolean;
}

/** Runs scenario `scenario` of the program `name` to its end. */
export async function runProgram(
  name: string,
  scenario: string,
  options: ChildOptions = {},
): Promise<ChildEnd> {
  const program = join(root, '__test__', 'stress', 'programs', sourceName(`${name}.ts`));
  const args = [...(options.nodeOptions ?? []), ...LOADER, program, scenario];
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const end: ChildEnd = { code: null, signal: null, stdout: '', stderr: '', hung: false };
  const timer = setTimeout(() => {
    end.hung = true;
    child.kill('SIGKILL');
  }, PATIENCE_MS);
  let line = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    end.stdout += text;
    line += text;
    for (let at = line.indexOf('\n'); at >= 0; at = line.indexOf('\n')) {
      options.onLine?.(line.slice(0, at), (signal) => child.kill(signal));
      line = line.slice(at + 1);
    }
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (end.stderr += text));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ ...end, code, signal });
    });
  });
}

/** Runs a scenario and expects that it ends by itself with this exit code; gives what it printed. */
export async function expectEnd(
  t: ExecutionContext,
  [name, scenario]: readonly [name: string, scenario: string],
  code: number,
  options?: ChildOptions,
): Promise<ChildEnd> {
  const end = await runProgram(name, scenario, options);
  if (end.hung || end.code !== code) t.log(`${name} ${scenario}:\n${end.stdout}\n${end.stderr}`);
  t.false(end.hung, `${name} ${scenario} did not end`);
  t.is(end.signal, null);
  t.is(end.code, code);
  return end;
}

/** Whether this test can run here; says aloud if it cannot. */
export function hasKvm(t: ExecutionContext): boolean {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return true;
  } catch {
    t.log('skipped: /dev/kvm cannot be opened here');
    t.pass();
    return false;
  }
}
