/** `vmhatch boot` as far as it needs no KVM: its command line, its words, what an end means. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';

import { bootEnding, isHopeless } from '../../lib/cli/boot/ending.ts';
import type { BootEnding } from '../../lib/cli/boot/ending.ts';
import { optionError } from '../../lib/cli/boot/option-error.ts';
import { bootOptions } from '../../lib/cli/boot/options.ts';
import { bootPlan } from '../../lib/cli/boot/plan.ts';
import type { BootPlan } from '../../lib/cli/boot/plan.ts';
import { JsonBootReporter, TextBootReporter } from '../../lib/cli/boot/reporter.ts';
import { sizeCommand, terminalSize } from '../../lib/cli/boot/terminal-size.ts';
import { parseOptions } from '../../lib/cli/options.ts';
import { EscapeDecoder } from '../../lib/cli/shared/escape.ts';
import { runsLinuxGuests } from '../../lib/cli/shared/linux-guests.ts';
import { UsageError } from '../../lib/cli/usage-error.ts';
import { KvmError } from '../../lib/internal/errors.ts';
import { machinePlan } from '../../lib/machine/config.ts';
import type { MachineConfig } from '../../lib/machine/config.ts';
import { temporaryFolder } from '../helpers/boot-guests.ts';

const size = { rows: 24, columns: 80 };

function plan(args: readonly string[], terminal?: typeof size): BootPlan {
  const { values, positionals } = parseOptions(bootOptions, args);
  return bootPlan(values, positionals, terminal);
}

test('no option: a machine as Machine makes it', (t) => {
  t.deepEqual(plan([]), {
    config: { console2: false, onReset: 'exit' },
    console2: undefined,
    eot: false,
    json: false,
    bootTime: false,
    quiet: false,
    timeoutMs: undefined,
  });
});

test('every option reaches the machine’s configuration', (t) => {
  const { config, ...rest } = plan(
    [
      ['--initrd', 'initrd.cpio', '--cmdline', 'console=ttyS0', '--append', 'a b', '--append=c'],
      ['--cpus', '4', '--memory', '512MiB', '--protocol', 'pvh', '--no-acpi', '--restart'],
      ['--module', 'one', '--module', 'two,with a, comma', '--console2', 'file', '--debug-console', '0x402'],
      ['--eot', '--json', '--boot-time', '--quiet', '--timeout', '1.5', 'vmlinux'],
    ].flat(),
  );
  const expected: MachineConfig = {
    kernel: 'vmlinux',
    initrd: 'initrd.cpio',
    protocol: 'pvh',
    cmdline: 'console=ttyS0 a b c',
    cpus: 4,
    memory: 512 * 2 ** 20,
    modules: [{ image: 'one' }, { image: 'two', cmdline: 'with a, comma' }],
    acpi: false,
    debugConsole: 0x402,
    console2: true,
    onReset: 'restart',
  };
  t.deepEqual(config, expected);
  t.deepEqual(rest, {
    console2: 'file',
    eot: true,
    json: true,
    bootTime: true,
    quiet: true,
    timeoutMs: 1500,
  });
});

test('a flat image has an address, an entry and a mode', (t) => {
  const { config } = plan([
    '--protocol',
    'flat',
    '--load',
    '1MiB',
    '--entry',
    '0x100010',
    '--mode',
    'long',
    'x',
  ]);
  t.deepEqual(config.flat, { address: 0x10_0000, entry: 0x10_0010, mode: 'long' });
});

for (const [args, terminal, cmdline] of [
  [[], undefined, undefined],
  [[], size, 'console=ttyS0 panic=-1 vmhatch.rows=24 vmhatch.columns=80'],
  [['--append', 'quiet'], undefined, 'console=ttyS0 panic=-1 quiet'],
  [['--append', 'quiet'], size, 'console=ttyS0 panic=-1 vmhatch.rows=24 vmhatch.columns=80 quiet'],
  [['--cmdline', 'x'], size, 'x'],
  [['--cmdline', 'x', '--append', 'y'], size, 'x y'],
  [['--protocol', 'flat', 'x'], size, undefined],
  [['--protocol', 'firmware', '--append', 'y', 'x'], size, 'y'],
] as const) {
  test(`the command line of: ${args.join(' ')}${terminal === undefined ? '' : ', on a terminal'}`, (t) => {
    t.is(plan(args, terminal).config.cmdline, cmdline);
  });
}

test('paths, and URLs by their scheme', (t) => {
  const { kernel, initrd, modules } = plan([
    '--initrd',
    'FILE:///boot/initrd',
    '--module',
    'https://host/module%2c1,words',
    'C:kernel',
  ]).config;
  t.is(kernel, 'C:kernel');
  t.deepEqual(initrd, new URL('file:///boot/initrd'));
  t.deepEqual(modules, [{ image: new URL('https://host/module%2c1'), cmdline: 'words' }]);
});

for (const [args, message] of [
  [['a', 'b'], /boot takes one kernel, and 'b' is a second/],
  [['--cpus', '0'], /^--cpus: '0' is no whole number above 0$/],
  [['--cpus', '33'], /^--cpus: a machine has at most 32 vCPUs$/],
  [['--memory', 'lots'], /^--memory: 'lots'/],
  [['--protocol', 'pvhh'], /^--protocol: 'pvhh' is none of .* \(did you mean 'pvh'\?\)$/],
  [['--protocol', 'flat', '--mode', 'lnog'], /did you mean 'long'/],
  [['--mode', 'long'], /^--mode is for flat images: --protocol flat$/],
  [['--protocol', 'pvh', '--load', '0'], /^--load is for flat images/],
  [['--module', ',x'], /no path before the comma/],
  [['--debug-console', '0x10000'], /^--debug-console: 0x10000 is no port$/],
  [['--timeout', '0'], /^--timeout: '0'/],
  [['http://'], /^KERNEL: 'http:\/\/' is no URL$/],
  [['--initrd', 'https://:x'], /^--initrd: 'https:\/\/:x' is no URL$/],
  [['--no-restart'], /unknown option '--no-restart'/],
  [['--inird', 'x'], /did you mean '--initrd'/],
] as const) {
  test(`refused: ${args.join(' ')}`, (t) => {
    t.throws(() => plan(args), { code: 'ERR_USAGE', message });
  });
}

for (const [config, message] of [
  [{ memory: 1 }, /^--memory is out of range\. It must be >= 4096 bytes\. Received 1$/],
  [{ memory: 4097 }, /^--memory is out of range\. It must be a multiple of 4096 bytes/],
  [{ cpus: 0 }, /^--cpus is out of range/],
  [{ kernel: '' }, /^KERNEL must be a path\. Received ''$/],
  [{ initrd: '' }, /^--initrd must be a path/],
  [{ protocol: 'flat', flat: { address: -1 } }, /^--load is out of range/],
  [{ modules: [{ image: '' }] }, /^--module must be a path/],
] as const satisfies readonly (readonly [MachineConfig, RegExp])[]) {
  test(`a refusal of Machine in the words of the command line: ${JSON.stringify(config)}`, (t) => {
    const error = optionError(t.throws(() => machinePlan({ kernel: 'x', ...config })));
    t.true(error instanceof UsageError);
    t.regex((error as UsageError).message, message);
  });
}

test('other errors stay as they are', (t) => {
  const error = new KvmError('ERR_KVM_BOOT', 'kernel: none');
  t.is(optionError(error), error);
  t.is(optionError('x'), 'x');
});

test('the terminal’s size, where there is a terminal', (t) => {
  const terminal = { isTTY: true };
  t.deepEqual(terminalSize(terminal, { ...terminal, ...size }), size);
  t.is(terminalSize({}, { ...terminal, ...size }), undefined);
  t.is(terminalSize(terminal, size), undefined);
  t.is(terminalSize(terminal, { ...terminal, rows: 0, columns: 0 }), undefined);
  t.is(sizeCommand(size), ' stty rows 24 columns 80\n');
});

test('Ctrl-C is the guest’s, and ctrl-a r a command', (t) => {
  const keys = new EscapeDecoder({ ctrlC: 'typed', commands: { x: 'quit', r: 'resize' } });
  const typed = Buffer.from('a\u0003\u0001r\u0001R\u0001x\u0001c\u0001z\u0001a', 'latin1');
  t.deepEqual(keys.decode(typed), {
    bytes: Uint8Array.of(0x61, 0x03, 0x03, 0x01),
    actions: ['resize', 'resize', 'quit', 'help'],
  });
});

const guestError = new KvmError('ERR_KVM_GUEST', 'vCPU 0 cannot go on: internalError');

for (const [end, exitCode, message, failed] of [
  [{ reason: 'poweroff' }, 0, /powered off/, false],
  [{ reason: 'reset' }, 0, /asked for a reset/, false],
  [{ reason: 'panic', message: 'no init' }, 1, /kernel panicked: no init$/, true],
  [{ reason: 'panic', message: undefined }, 1, /kernel panicked$/, true],
  [{ reason: 'tripleFault', vcpu: 3 }, 1, /triple fault on vCPU 3$/, true],
  [{ reason: 'exit', code: 0x121 }, 0x21, /code 289/, false],
  [{ reason: 'killed' }, 1, /stopped/, false],
  [{ reason: 'error', error: guestError }, 1, /cannot go on: internalError \[ERR_KVM_GUEST\]$/, true],
  [{ reason: 'error', error: new Error('a device threw') }, 1, /^a device threw$/, true],
] as const) {
  test(`an end: ${end.reason}, ${exitCode}, ${String(message)}`, (t) => {
    const found = bootEnding(end, false);
    t.like(found, { reason: end.reason, exitCode, failed, note: undefined });
    t.regex(found.message, message);
    t.is(found.quiet === true, end.reason === 'poweroff');
  });
}

test('where KVM is KVM-PVM, Linux is said not to run, and why it did not', (t) => {
  const root = temporaryFolder(t);
  t.true(runsLinuxGuests(root));
  t.false(isHopeless('pvh', root));
  mkdirSync(join(root, 'sys/module/kvm_pvm'), { recursive: true });
  t.false(runsLinuxGuests(root));
  t.true(isHopeless('linux64', root));
  t.false(isHopeless('multiboot', root));
  t.false(isHopeless('flat', root));
  t.regex(bootEnding({ reason: 'error', error: guestError }, true).note!, /hardware\s+virtualisation/);
  t.is(bootEnding({ reason: 'tripleFault', vcpu: 0 }, true).note, undefined);
});

/** What a reporter writes, as one text. */
function sink(isTTY = false): { isTTY: boolean; written: string; write(data: string | Uint8Array): boolean } {
  return {
    isTTY,
    written: '',
    write(data) {
      this.written += typeof data === 'string' ? data : Buffer.from(data).toString('latin1');
      return false;
    },
  };
}

const figures = { ms: 1520, bootTimeMs: 12.34 };
const panicked: BootEnding = {
  reason: 'panic',
  message: 'gone\u001b[1m',
  exitCode: 1,
  failed: true,
  note: 'so',
};
const off: BootEnding = { reason: 'poweroff', message: 'off', exitCode: 0, failed: false, quiet: true };
const reset: BootEnding = { reason: 'reset', message: 'reset', exitCode: 0, failed: false };

test('for a person: ends, hints and warnings, unless --quiet', (t) => {
  const say = (quiet: boolean, bootTime: boolean, ending: BootEnding): string => {
    const err = sink();
    const reporter = new TextBootReporter(sink(), err, { quiet, bootTime });
    reporter.hint('hint');
    reporter.warning('warning');
    reporter.end(ending, figures);
    return err.written.replaceAll('vmhatch: ', '');
  };
  t.is(say(false, false, panicked), 'hint\nwarning\ngone?[1m (after 1.52 s)\nso\n');
  t.is(say(true, false, panicked), 'gone?[1m (after 1.52 s)\nso\n');
  t.is(say(false, false, off), 'hint\nwarning\n');
  t.is(say(false, false, reset), 'hint\nwarning\nreset (after 1.52 s)\n');
  t.is(say(true, false, reset), '');
  t.is(say(true, true, off), 'boot time: 12.3 ms\n');
});

test('for a person: output goes on as it is, its reader’s pace comes back, a terminal is restored', (t) => {
  for (const isTTY of [true, false]) {
    const out = sink(isTTY);
    const reporter = new TextBootReporter(out, sink(isTTY), { quiet: false, bootTime: false });
    t.is(reporter.output('serial', Buffer.from('# ')), false);
    t.is(reporter.output('serial', Buffer.alloc(0)), true);
    reporter.restore();
    t.is(out.written.includes('\u001b[0m') && out.written.includes('\u001b[?7h'), isTTY);
    t.true(out.written.endsWith(isTTY ? '\n' : '# '));
  }
});

test('for a program: lines, with characters whole', (t) => {
  const out = sink();
  const reporter = new JsonBootReporter(out);
  const text = Buffer.from('é');
  t.is(reporter.output('serial', text.subarray(0, 1)), true);
  t.is(reporter.output('debug-console', Buffer.from('d')), false);
  reporter.output('serial', text.subarray(1));
  reporter.hint();
  reporter.restore();
  reporter.warning('slow');
  reporter.end(off, { ms: 1, bootTimeMs: undefined });
  const lines = out.written
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
  t.deepEqual(lines, [
    { type: 'output', device: 'debug-console', text: 'd' },
    { type: 'output', device: 'serial', text: 'é' },
    { type: 'warning', message: 'slow' },
    { type: 'end', reason: 'poweroff', message: 'off', exitCode: 0, ms: 1 },
  ]);
});
