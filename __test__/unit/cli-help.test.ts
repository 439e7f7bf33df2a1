import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';

import { commands } from '../../lib/cli/commands.ts';
import { exitCodeMeanings, exitCodeOfError } from '../../lib/cli/exit-codes.ts';

const main = fileURLToPath(new URL('../../lib/cli/main.ts', import.meta.url));

/** Nothing here may load the addon: help, versions and refusals work on every platform, and at once. */
const noAddon = `data:text/javascript,${encodeURIComponent(`
  const load = process.dlopen;
  process.dlopen = (module, path, ...rest) => {
    if (path.includes('vmhatch.')) throw new Error('the addon was loaded');
    return load(module, path, ...rest);
  };
`)}`;

function cli(...args: string[]): { code: number | null; stdout: string; stderr: string } {
  const env = { ...process.env };
  delete env['NO_COLOR'];
  delete env['FORCE_COLOR'];
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', noAddon, '--import', '@oxc-node/core/register', main, ...args],
    { encoding: 'utf8', env },
  );
  return { code: status, stdout, stderr };
}

test('--help lists every command and every exit status', (t) => {
  const { code, stdout } = cli('--help');
  t.is(code, 0);
  for (const { name, summary } of commands) t.true(stdout.includes(name) && stdout.includes(summary), name);
  for (const [status, meaning] of exitCodeMeanings)
    t.true(stdout.includes(`${status}  ${meaning}`), String(status));
  t.false(stdout.includes('\u001b'), 'no colours into a pipe');
});

for (const { name } of commands) {
  test(`${name} --help has a usage, options, examples and exit statuses`, (t) => {
    const { code, stdout, stderr } = cli(name, '--help');
    t.is(code, 0, stderr);
    t.regex(stdout, new RegExp(`Usage:.* vmhatch ${name}`));
    t.regex(stdout, /Examples/);
    t.regex(stdout, /130 +interrupted/);
    t.true(stdout.split('\n').every((line) => line.length <= 120));
  });
}

test('--version is the package’s, wherever it stands', (t) => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  t.is(cli('--version').stdout, `vmhatch ${version}\n`);
  t.is(cli('run', '--version').stdout, `vmhatch ${version}\n`);
});

test('without a command: the help, on standard error, status 2', (t) => {
  const { code, stdout, stderr } = cli();
  t.is(code, 2);
  t.is(stdout, '');
  t.regex(stderr, /Usage:/);
});

for (const [args, message] of [
  [['dcotor'], /unknown command 'dcotor' \(did you mean 'doctor'\?\)/],
  [['frobnicate'], /unknown command 'frobnicate'\n/],
  [['--hepl'], /unknown option '--hepl' \(did you mean '--help'\?\)/],
  [['doctor', '--jsno'], /unknown option '--jsno' \(did you mean '--json'\?\)/],
  [['doctor', 'me'], /doctor takes no 'me'/],
  [['run'], /run wants an image/],
  [['run', 'a', 'b'], /run takes one image/],
  [['run', '/nonexistent/image'], /\/nonexistent\/image.*ENOENT/],
  [['run', '/'], /cannot read '\/'/],
  [['run', '--mode', 'lnog', 'a'], /--mode.*did you mean 'long'/],
  [['run', '--memory', 'lots', 'a'], /--memory: 'lots'/],
  [['run', '--firmware', '--load', '0', 'a'], /--load.*--firmware/],
  [['boot', 'a', 'b'], /boot takes one kernel/],
  [['boot', '--protcol', 'pvh'], /did you mean '--protocol'/],
] as const) {
  test(`status 2: vmhatch ${args.join(' ')}`, (t) => {
    const { code, stdout, stderr } = cli(...args);
    t.is(code, 2);
    t.is(stdout, '');
    t.regex(stderr, message);
  });
}

test('doctor explains a missing addon, and nothing else can be run: 3', (t) => {
  const { code, stdout } = cli('doctor', '--device', '/dev/null');
  t.is(code, 3);
  t.regex(stdout, process.platform === 'linux' ? /cannot use it\s+\[ERR_KVM_PLATFORM\]/ : /UNAVAILABLE/);
});

test('an error’s code decides the exit status', (t) => {
  const failure = (code: string): Error => Object.assign(new Error(), { code });
  t.is(exitCodeOfError(failure('ERR_KVM_PERMISSION')), 3);
  t.is(exitCodeOfError(failure('ERR_KVM_PLATFORM')), 3);
  t.is(exitCodeOfError(failure('ERR_KVM_BOOT')), 2);
  t.is(exitCodeOfError(failure('ERR_KVM_IOCTL')), 1);
  t.is(exitCodeOfError(new Error('x')), 1);
  t.is(exitCodeOfError('x'), 1);
});
