/** Programs on a terminal of their own: what is typed there, what is shown, how the terminal is left. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { ExecutionContext } from 'ava';

import { startProgram, type RunningProgram } from './example.ts';
import { until } from './wait.ts';

/** util-linux's script(1) gives its command a terminal, with our pipe as the keyboard. */
export function hasTerminal(t: ExecutionContext): boolean {
  const found = spawnSync('script', ['-qec', 'stty -a', '/dev/null'], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  if (found.status === 0) return true;
  t.log('skipped: script(1) and stty(1) are needed to make a terminal');
  t.pass();
  return false;
}

/** How a program on a terminal ended. */
export interface TerminalEnd {
  /** Its exit status as the shell has it. */
  status: string;
  /** All that was shown. */
  screen: string;
  /** As stty(1) writes them, before it and after it. */
  settings: { before: string; after: string };
}

/** A program on a terminal. */
export interface TerminalProgram {
  /** The one that makes the terminal: what is written to it is typed, what is read from it was shown. */
  child: RunningProgram['child'];
  /** Resolves when the screen has the text. */
  printed: RunningProgram['printed'];
  /** Types text. */
  type(text: string): void;
  /** The terminal's settings now, as `stty -a` has them. */
  settings(): string;
  /** Changes the terminal's size, of which the program is told. */
  resize(rows: number, columns: number): void;
  /** Changes the terminal's settings. */
  stty(...args: string[]): void;
  /** Its process id, once it has started. */
  pid(): Promise<number>;
  /** Resolves when the process has ended, though the terminal is still there. */
  gone(): Promise<void>;
  outcome: Promise<TerminalEnd>;
}

/** Starts a program on a terminal of 24 rows and 80 columns. */
export function startOnTerminal(t: ExecutionContext, command: readonly string[]): TerminalProgram {
  const folder = mkdtempSync(join(tmpdir(), 'vmhatch-terminal-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = (what: string): string => join(folder, what);
  const read = (what: string): string => readFileSync(file(what), 'utf8').trim();
  const words = command.map((text) => `'${text.replaceAll("'", String.raw`'\''`)}'`).join(' ');
  // The shell ignores the interrupt that a terminal in its usual mode makes of Ctrl-C; the program is asked to have it.
  const lines = [
    'trap : INT; stty rows 24 columns 80',
    `tty > ${file('tty')}; stty -g > ${file('before')}`,
    `sh -c 'echo $$ > ${file('pid.new')}; mv ${file('pid.new')} ${file('pid')}; exec "$@"' sh ${words}`,
    `echo $? > ${file('status')}; stty -g > ${file('after')}`,
  ];
  const { child, outcome, printed } = startProgram(t, ['script', '-qec', lines.join('\n'), '/dev/null']);
  const stty = (...args: string[]): string =>
    spawnSync('stty', ['-F', read('tty'), ...args], { encoding: 'utf8' }).stdout;
  return {
    child,
    printed,
    type: (text) => void child.stdin!.write(text),
    settings: () => stty('-a'),
    resize: (rows, columns) => void stty('rows', String(rows), 'columns', String(columns)),
    stty: (...args) => void stty(...args),
    pid: async () => {
      await until(() => existsSync(file('pid')));
      return Number(read('pid'));
    },
    gone: () => until(() => existsSync(file('after'))),
    outcome: outcome.then(({ stdout }) => ({
      status: read('status'),
      screen: stdout,
      settings: { before: read('before'), after: read('after') },
    })),
  };
}

/** Runs a program on a terminal, and types `keys` there, each when the screen has what comes before it. */
export async function onTerminal(
  t: ExecutionContext,
  command: readonly string[],
  keys: readonly (readonly [after: string, key: string])[],
): Promise<TerminalEnd> {
  const { type, printed, outcome } = startOnTerminal(t, command);
  for (const [after, key] of keys) {
    await printed(after);
    type(key);
  }
  return outcome;
}
