// The examples that boot Linux, and the README's program, as a newcomer runs them: in processes of their own.
import { execFileSync } from 'node:child_process';
import { accessSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';

import { root } from '../../scripts/shared/paths.mjs';
import { runExample, startExample, startProgram } from '../helpers/example.ts';
import { onLinux } from '../helpers/linux.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const { VMHATCH_TEST_INITRD: initrd = '', VMHATCH_TEST_VMLINUX: vmlinux = '' } = process.env;

onLinux(test, 'linux-command prints what the command prints, and nothing else', 'own', async (t) => {
  const command = 'echo $((6 * 7)); nproc; echo wrong >&2';
  const end = await runExample(t, 'linux-command', { args: [initrd, command, vmlinux] });
  t.deepEqual(end, { code: 0, signal: null, stdout: '42\n1\nwrong\n', stderr: '' });
});

onLinux(test, 'linux-console: what is typed reaches a shell, exit powers off', 'own', async (t) => {
  const { child, outcome, printed } = startExample(t, 'linux-console', { args: [initrd, vmlinux] });
  await printed('/ # ');
  child.stdin!.write('echo $((6 * 7)) on $(nproc)\n');
  await printed('\n42 on 2\r\n');
  child.stdin!.write('exit\n');
  const { code, signal, stdout, stderr } = await outcome;
  t.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
  t.true(stdout.endsWith('\npoweroff\n'), stdout);
});

onLinux(test, 'linux-console: Ctrl-] ends the machine', 'own', async (t) => {
  const { child, outcome, printed } = startExample(t, 'linux-console', { args: [initrd, vmlinux] });
  await printed('Linux version');
  child.stdin!.write('\u001d');
  const { code, stdout } = await outcome;
  t.is(code, 0);
  t.true(stdout.endsWith('\nkilled\n'), stdout);
});

onLinux(test, 'platform-device: a program in Linux uses a device in JavaScript', 'own', async (t) => {
  const end = await runExample(t, 'platform-device', { args: [initrd, vmlinux] });
  t.deepEqual(end, {
    code: 0,
    signal: null,
    stdout: [21, 22, 23].map((celsius) => `the guest reads ${celsius} degrees\n`).join('') + 'poweroff\n',
    stderr: '',
  });
});

test('the examples say what they need when it is not given', async (t) => {
  for (const name of ['linux-command', 'linux-console', 'platform-device']) {
    const { code, stdout, stderr } = await runExample(t, name);
    t.deepEqual({ code, stdout }, { code: 2, stdout: '' });
    t.regex(stderr, new RegExp(`^Usage: ${name}\\.ts INITRD .*\\n.*scripts/initrd\\.mjs`), name);
  }
});

/** The first block of a language below a heading of a document. */
function block(path: string, heading: string, language: string): string {
  const [, section = ''] = readFileSync(join(root, path), 'utf8').split(`\n## ${heading}\n`);
  const code = new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, 'm').exec(section)?.[1];
  if (code === undefined) throw new Error(`${path} has no ${language} below ${heading}`);
  return code;
}

onLinux(
  test,
  "the README's Linux, with the package's kernel and the initrd of docs/machine.md",
  'own',
  async (t) => {
    try {
      accessSync('/bin/busybox');
      execFileSync('cpio', ['--version']);
    } catch {
      t.log('skipped: no /bin/busybox, or no cpio: apt-get install busybox-static cpio');
      t.pass();
      return;
    }
    const folder = temporaryFolder(t);
    const modules = join(folder, 'node_modules');
    const kernel = join(modules, 'vmhatch-kernel-x64');
    mkdirSync(modules);
    symlinkSync(root, join(modules, 'vmhatch'));
    cpSync(join(root, 'npm/kernel-x64'), kernel, { recursive: true });
    symlinkSync(vmlinux, join(kernel, 'vmlinux'));
    execFileSync('sh', ['-e', '-c', block('docs/machine.md', 'Kernel and initrd', 'sh')], { cwd: folder });
    writeFileSync(join(folder, 'first.ts'), block('README.md', 'Linux in ten lines', 'ts'));

    const loader = join(root, 'node_modules/@oxc-node/core/register.mjs');
    const command = [process.execPath, '--import', loader, 'first.ts'] as const;
    const { child, outcome, printed } = startProgram(t, [...command], {}, folder);
    await printed('/ # ');
    child.stdin!.write('echo $((6 * 7)) on $(nproc)\n');
    await printed('\n42 on 2\r\n');
    child.stdin!.write('exit\n');
    const { code, signal, stdout, stderr } = await outcome;
    t.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
    t.true(stdout.endsWith('\npoweroff\n'), stdout);
  },
);
