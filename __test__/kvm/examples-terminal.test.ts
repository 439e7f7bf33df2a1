/** The examples that a person types at, on a terminal: what ends them, and that the terminal is itself again after. */
import test from 'ava';

import { hasKvm } from '../helpers/child-program.ts';
import { exampleCommand } from '../helpers/example.ts';
import { hasTerminal, onTerminal } from '../helpers/terminal.ts';

test.serial('adventure: Ctrl-C ends it, with the status of an interrupt', async (t) => {
  if (!hasKvm(t) || !hasTerminal(t)) return;
  const end = await onTerminal(t, exampleCommand('adventure'), [
    ['> ', 'hel'],
    ['> hel', '\u0003'],
  ]);
  t.is(end.status, '130');
  t.is(end.settings.after, end.settings.before);
  t.true(end.screen.endsWith('> hel\r\n'), end.screen);
});

test.serial('adventure: Ctrl-D quits it', async (t) => {
  if (!hasKvm(t) || !hasTerminal(t)) return;
  const end = await onTerminal(t, exampleCommand('adventure'), [['> ', '\u0004']]);
  t.is(end.status, '0');
  t.is(end.settings.after, end.settings.before);
  t.regex(end.screen, /> quit\r\nGoodbye\.\r\n$/);
});

test.serial('adventure: typed on a terminal, with a mistake rubbed out, to the win', async (t) => {
  if (!hasKvm(t) || !hasTerminal(t)) return;
  const end = await onTerminal(t, exampleCommand('adventure'), [
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
  const end = await onTerminal(t, exampleCommand('kick'), [[' rounds\r\n', '\u0003']]);
  t.is(end.status, '130');
  t.is(end.settings.after, end.settings.before);
  t.regex(end.screen, /stopped\r\n$/);
});
