/** `vmhatch boot` on a terminal: whose keys are whose, and that the terminal is itself again after every end. */
import test, { type ExecutionContext } from 'ava';

import { ECHO, FLOOD, PANIC, bootCommand, flatCommand, guestFile, says } from '../helpers/boot-guests.ts';
import { hasKvm } from '../helpers/child-program.ts';
import { hasTerminal, startOnTerminal, type TerminalEnd, type TerminalProgram } from '../helpers/terminal.ts';
import { until } from '../helpers/wait.ts';

/** Boots the guest that echoes, and waits until it does. */
async function echo(t: ExecutionContext, ...args: string[]): Promise<TerminalProgram> {
  const program = startOnTerminal(t, flatCommand(t, ECHO, ...args));
  await program.printed('>');
  return program;
}

function isRestored(t: ExecutionContext, { settings }: TerminalEnd): void {
  t.is(settings.after, settings.before);
}

test.serial(
  'the terminal is raw meanwhile; Ctrl-C, Ctrl-Z and Ctrl-D reach the guest as bytes',
  async (t) => {
    if (!hasKvm(t) || !hasTerminal(t)) return;
    const program = await echo(t);
    const settings = program.settings();
    for (const off of ['-isig', '-icanon', '-echo', '-ixon']) t.true(settings.includes(off), settings);
    program.type('a\u0003b\u001ac\u0004\r');
    await program.printed('a^Cb^Zc^D^M');
    program.type('q');
    const end = await program.outcome;
    t.is(end.status, '0');
    isRestored(t, end);
    t.true(
      end.screen.endsWith('\u001b[0m\u000f\u001b(B\u001b[?1l\u001b>\u001b[?7h\u001b[?25h\u001b[?2004l\r\n'),
    );
  },
);

test.serial('ctrl-a x quits; ctrl-a a, c and h; what is to be pressed is said first', async (t) => {
  if (!hasKvm(t) || !hasTerminal(t)) return;
  const program = await echo(t);
  program.type('\u0001a\u0001c\u0001h-');
  await program.printed('^A^C-');
  await program.printed('c a Ctrl-C, a a ctrl-a');
  program.type('\u0001x');
  const end = await program.outcome;
  t.is(end.status, '0');
  isRestored(t, end);
  t.regex(end.screen, /^vmhatch: ctrl-a x quits/);
  t.regex(end.screen, /vmhatch: quit \(ctrl-a x\) \(after .*\)\r\n$/);
});

test.serial('--quiet says nothing', async (t) => {
  if (!hasKvm(t) || !hasTerminal(t)) return;
  const program = await echo(t, '--quiet');
  program.resize(30, 90);
  program.type('\u0001r');
  await program.printed('> stty rows ');
  program.type('\u0001x');
  const { status, screen } = await program.outcome;
  t.is(status, '0');
  t.false(screen.includes('vmhatch'), screen);
});

test.serial('another size is told once; ctrl-a r types it', async (t) => {
  if (!hasKvm(t) || !hasTerminal(t)) return;
  const program = await echo(t);
  program.type('\u0001r');
  await program.printed(' stty rows 24 columns 80^J');
  program.resize(30, 90);
  await program.printed('the terminal has another size');
  program.resize(31, 91);
  // The process is told by a signal, which may come after the key.
  const typing = setInterval(() => program.type('\u0001r'), 200);
  await program.printed(' stty rows 31 columns 91^J');
  clearInterval(typing);
  program.type('q');
  const { screen } = await program.outcome;
  t.is(screen.split('the terminal has another size').length, 2);
});

for (const [signal, status] of [
  ['SIGINT', '130'],
  ['SIGTERM', '143'],
  ['SIGHUP', '129'],
] as const) {
  test.serial(`${signal}: ${status}, and the terminal is restored`, async (t) => {
    if (!hasKvm(t) || !hasTerminal(t)) return;
    const program = await echo(t);
    process.kill(await program.pid(), signal);
    const end = await program.outcome;
    t.is(end.status, status);
    isRestored(t, end);
  });
}

test.serial('a process that is stopped and goes on has a raw terminal again', async (t) => {
  if (!hasKvm(t) || !hasTerminal(t)) return;
  const program = await echo(t);
  const pid = await program.pid();
  process.kill(pid, 'SIGSTOP');
  program.stty('sane');
  t.regex(program.settings(), / icanon/);
  process.kill(pid, 'SIGCONT');
  await until(() => program.settings().includes('-icanon'));
  program.type('\u0003');
  await program.printed('>^C');
  program.type('q');
  isRestored(t, await program.outcome);
});

test.serial('an exception in the process leaves the terminal restored, and the screen', async (t) => {
  if (!hasKvm(t) || !hasTerminal(t)) return;
  const [node, ...args] = flatCommand(t, says('\u001b[31m>', [0xeb, 0xfe]));
  const bomb = 'process.on("SIGUSR2", () => { throw new Error("boom"); })';
  const program = startOnTerminal(t, [node, '--import', `data:text/javascript,${bomb}`, ...args]);
  await program.printed('>');
  t.regex(program.settings(), /-icanon/);
  process.kill(await program.pid(), 'SIGUSR2');
  const end = await program.outcome;
  t.is(end.status, '1');
  t.regex(end.screen, /Error: boom/);
  t.true(end.screen.lastIndexOf('\u001b[0m') > end.screen.indexOf('\u001b[31m>'));
  isRestored(t, end);
});

test.serial('a panic: its line begins a line of its own', async (t) => {
  if (!hasKvm(t) || !hasTerminal(t)) return;
  const said = 'Kernel panic - not syncing: \u001b[1mgone';
  const end = await startOnTerminal(t, flatCommand(t, says(said, PANIC))).outcome;
  t.is(end.status, '1');
  isRestored(t, end);
  t.regex(end.screen, /\r\nvmhatch: the guest’s kernel panicked: \?\[1mgone \(after .*\)\r\n$/);
});

test.serial('a flood on a terminal that shows no more: SIGTERM is heard', async (t) => {
  if (!hasKvm(t) || !hasTerminal(t)) return;
  const program = startOnTerminal(t, flatCommand(t, FLOOD));
  await program.printed('xyz');
  const pid = await program.pid();
  program.child.stdout!.pause();
  // Until every buffer between here and there is full.
  await new Promise((resolve) => setTimeout(resolve, 2000));
  process.kill(pid, 'SIGTERM');
  await program.gone();
  program.child.stdout!.resume();
  const end = await program.outcome;
  t.is(end.status, '143');
  isRestored(t, end);
});

test.serial('an image that cannot be booted: 2, and the terminal was not touched', async (t) => {
  if (!hasKvm(t) || !hasTerminal(t)) return;
  const program = startOnTerminal(t, bootCommand('--protocol', 'elf64', guestFile(t, ECHO)));
  const end = await program.outcome;
  t.is(end.status, '2');
  t.regex(end.screen, /^vmhatch: kernel: .* \[ERR_KVM_BOOT\]\r\n$/);
  isRestored(t, end);
});
