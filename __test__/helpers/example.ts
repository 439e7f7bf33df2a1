/** Runs the programs of examples/ in processes of their own, as a person runs them. */
import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import type { ExecutionContext } from 'ava';

import type { Outcome } from './child.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Where they are. */
export const examplesFolder = fileURLToPath(new URL('../../examples', import.meta.url));

/** How long an example may take before it counts as hanging, in milliseconds: emulated processors are slow. */
const PATIENCE_MS = 120_000;

/** How an example is started. */
export interface ExampleOptions {
  /** What is piped into it; without this its input stays open and silent. */
  input?: string | undefined;
  args?: readonly string[];
  /** Added to this process's environment. */
  env?: Readonly<Record<string, string>>;
}

/** A program under way. */
export interface RunningProgram {
  child: ChildProcess;
  /** How it ended. */
  outcome: Promise<Outcome>;
  /** Resolves when standard output has the text; a program that ends before that fails the test. */
  printed: (text: string) => Promise<void>;
}

/** What the shell is told to run an example. */
export function exampleCommand(name: string): [program: string, ...args: string[]] {
  return [process.execPath, '--import', '@oxc-node/core/register', `examples/${name}.ts`];
}

/** Starts an example. */
export function startExample(
  t: ExecutionContext,
  name: string,
  options: ExampleOptions = {},
): RunningProgram {
  const running = startProgram(t, [...exampleCommand(name), ...(options.args ?? [])], options.env);
  if (options.input !== undefined) running.child.stdin!.end(options.input);
  return running;
}

/** Runs an example to its end. Without input there is none, as from /dev/null. */
export function runExample(
  t: ExecutionContext,
  name: string,
  options: ExampleOptions = {},
): Promise<Outcome> {
  return startExample(t, name, { ...options, input: options.input ?? '' }).outcome;
}

/** Starts a program, in the checkout if nothing else is said. */
export function startProgram(
  t: ExecutionContext,
  [program, ...args]: [program: string, ...args: string[]],
  env: Readonly<Record<string, string>> = {},
  cwd = root,
): RunningProgram {
  const child = spawn(program, args, {
    cwd,
    // Colours would be the terminal's business.
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: PATIENCE_MS,
    killSignal: 'SIGKILL',
  });
  t.teardown(() => child.kill('SIGKILL'));
  // A program that ends does not read what was typed at it last.
  child.stdin.on('error', () => undefined);
  let stdout = '';
  let stderr = '';
  const waiting = new Set<() => void>();
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    for (const look of waiting) look();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const outcome = new Promise<Outcome>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  const printed = (wanted: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (!stdout.includes(wanted)) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
      outcome.then(() => reject(new Error(`it ended without ${wanted}: ${stdout}\n${stderr}`)), reject);
    });
  return { child, outcome, printed };
}
