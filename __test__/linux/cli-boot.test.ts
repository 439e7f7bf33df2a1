/** `vmhatch boot` with Linux behind it. */
import test from 'ava';

import { bootCommand } from '../helpers/boot-guests.ts';
import { startProgram } from '../helpers/example.ts';
import { onLinux } from '../helpers/linux.ts';
import { hasTerminal, startOnTerminal } from '../helpers/terminal.ts';
import { until } from '../helpers/wait.ts';

/** The own kernel with the shell of the minimal initrd. */
function linuxCommand(...args: readonly string[]): [program: string, ...args: string[]] {
  const { VMHATCH_TEST_INITRD: initrd = '', VMHATCH_TEST_VMLINUX: kernel = '' } = process.env;
  return bootCommand('--append', 'quiet', '--initrd', initrd, ...args, kernel);
}

onLinux(
  test,
  'commands from a pipe, typed before anybody reads them, and a power-off: 0',
  'own',
  async (t) => {
    const { child, outcome } = startProgram(t, linuxCommand('--cpus', '2', '--boot-time'));
    child.stdin!.end('echo $((6 * 7)) $(uname -s) $(nproc)\npoweroff\n');
    const { code, stdout, stderr } = await outcome;
    t.is(code, 0, stderr);
    t.regex(stdout, /^42 Linux 2\r$/m);
    t.regex(stderr, /^vmhatch: boot time: [\d.]+ m?s\n$/);
  },
);

onLinux(test, 'the shell of a terminal: its size, Ctrl-C, ctrl-a r and x', 'own', async (t) => {
  if (!hasTerminal(t)) return;
  const program = startOnTerminal(t, linuxCommand());
  const { printed, type } = program;
  await printed('/ # ');
  type('echo size $(stty size)\r');
  await printed('size 24 80');
  // In a process of its own: between two of them the shell takes no interrupt, and would wait for the second.
  type(`sh -c "echo be''gun; exec sleep 1000"\r`);
  await printed('begun');
  type('\u0003');
  type('echo still $((40 + 2))\r');
  await printed('still 42');
  program.resize(30, 90);
  await printed('the terminal has another size');
  type('\u0001r');
  await printed(' stty rows 30 columns 90');
  type('echo size $(stty size)\r');
  await printed('size 30 90');
  type('\u0001x');
  const { status, settings } = await program.outcome;
  t.is(status, '0');
  t.is(settings.after, settings.before);
});

onLinux(test, 'a panic: 1, with what the kernel says about it', 'own', async (t) => {
  const { child, outcome } = startProgram(t, linuxCommand('--append', 'vmhatch_run=true vmhatch_end=panic'));
  child.stdin!.end();
  const { code, stderr } = await outcome;
  t.is(code, 1);
  t.regex(stderr, /^vmhatch: the guest’s kernel panicked: sysrq triggered crash \(after .*\)\n$/);
});

onLinux(test, 'a reboot: 0 and a line; --restart boots again', 'own', async (t) => {
  const args = ['--append', 'vmhatch_run=true vmhatch_end=reboot'];
  const once = await startProgram(t, linuxCommand(...args)).outcome;
  t.is(once.code, 0);
  t.regex(once.stderr, /^vmhatch: the guest asked for a reset /);
  const { child, outcome } = startProgram(t, linuxCommand('--restart', ...args));
  let screen = '';
  child.stdout!.on('data', (text: string) => (screen += text));
  await until(() => screen.split('status 0').length > 2);
  child.kill('SIGTERM');
  t.is((await outcome).code, 143);
});
