/** The examples that a person types at, on a terminal: what ends them, and that the terminal is itself again after. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test, { type ExecutionContext } from 'ava';

import { hasKvm } from '../helpers/child-program.ts';
import { exampleCommand, startProgram } from '../helpers/example.ts';

/** util-linux's script(1) gives its command a terminal, with our pipe as the keyboard. */
function hasTerminal(t: ExecutionContext): boolean {
  const found = spawnSync('script', ['-qec', 'stty -a', '/dev/null'], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  if (found.status === 0) return true;
  t.log('skipped: script(1) and stty(1) are needed to make a terminal');
  t.pass();
  return false;
}

interface TerminalEnd {
  status: string;
  screen: string;
  settings: { before: string; after: string };
}

/** Runs an example on a terminal, and types `keys` there, each when the screen has what comes before it. */
async function onTerminal(
  t: ExecutionContext,
  name: string,
  keys: readonly (readonly [after: string, key: string])[],
): Promise<TerminalEnd> {
  const folder = mkdtempSync(join(tmpdir(), 'vmhatch-terminal-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = (what: string): string => join(folder, what);
  // The shell ignores the interrupt that a terminal in its usual mode makes of Ctrl-C; the example is asked to have it.
  const command = `trap : INT; stty -g > ${file('before')}; ${exampleCommand(name).join(' ')}; echo $? > ${file('status')}; stty -g > ${file('after')}`;
  const { child, outcome, printed } = startProgram(t, ['script', '-qec', command, '/dev/null']);
  for (const [after, key] of keys) {
    await printed(after);
    child.stdin!.write(key);
  }
  const { stdout } = await outcome;
  const read = (what: string): string => readFileSync(file(what), 'utf8').trim();
  return {
    status: read('status'),
    screen: stdout,
    settings: { before: read('before'), after: read('after') },
  };
}

test.serial('adventure: Ctrl-C ends it, with the status of an interrupt', async (t) => {
  if (!hasKvm(t) || !hasTerminal(t)) return;
  const end = await onTerminal(t, 'adventure', [
    ['> ', 'hel'],
    ['> hel', '\u0003'],
  ]);
  t.is(end.status, '130');
  t.is(end.settings.after, end.settings.before);
  t.true(end.screen.endsWith('> hel\r\n'), end.screen);
});

test.serial('adventure: Ctrl-D quits it', async (t) => {
  if (!hasKvm(t) || !hasTerminal(t)) return;
  const end = await onTerminal(t, 'adventure', [['> ', '\u0004']]);
  t.is(end.status, '0');
  t.is(end.settings.after, end.settings.before);
  t.regex(end.screen, /> quit\r\nGoodbye\.\r\n$/);
});

test.serial('adventure: typed on a terminal, with a mistake rubbed out, to the win', async (t) => {
  if (!hasKvm(t) || !hasTerminal(t)) return;
  const end = await onTerminal(t, 'adventure', [
    ['stairs lead down.\r\n> ', 'nortx\u007fh\r'],
    ['lamp hangs on a tree.\r\n> ', 'take lamp\r'],
    ['It is lit.\r\n> ', 'south\rdown\r'],
  ]);
  t.is(end.status, '0');
  t.is(end.settings.after, end.settings.before);
  t.regex(end.screen, /You win!\r\n$/);
});

test.serial('kick: Ctrl-C ends the endless guest', async (t) => {
  if (!hasKvm(t) || !hasTerminal(t)) return;
  const end = await onTerminal(t, 'kick', [[' rounds\r\n', '\u0003']]);
  t.is(end.status, '130');
  t.is(end.settings.after, end.settings.before);
  t.regex(end.screen, /stopped\r\n$/);
});
