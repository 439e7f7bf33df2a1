/** Every program of examples/, run as a person runs it, and all that it prints. */
import { readFileSync, readdirSync } from 'node:fs';

import test from 'ava';

import { findFirmware } from '../../scripts/firmware.mjs';
import { hasKvm } from '../helpers/child-program.ts';
import { examplesFolder, runExample, startExample } from '../helpers/example.ts';

/** What an example prints; `input` is typed at it through a pipe. */
interface Golden {
  input?: string;
  output: string;
}

/** The registers of real-mode-ports: most of them are zero throughout. */
function dump(rax: string, rbx: string, rip: string, rflags: string): string {
  const cell = (name: string, value = '0'): string => `${name.padStart(6)} ${value.padStart(16, '0')}`;
  return [
    [cell('rax', rax), cell('rbx', rbx), cell('rcx'), cell('rdx')],
    ['rsi', 'rdi', 'rsp', 'rbp'].map((name) => cell(name)),
    ['r8', 'r9', 'r10', 'r11'].map((name) => cell(name)),
    ['r12', 'r13', 'r14', 'r15'].map((name) => cell(name)),
    [cell('rip', rip), cell('rflags', rflags)],
  ]
    .map((row) => ` ${row.join(' ')}`)
    .join('\n');
}

const deterministic: Readonly<Record<string, Golden>> = {
  hello: { output: '4\nhlt\n' },
  'real-mode-ports': {
    output: `in  port 0x60: 30
${dump('1e', '0', '1002', '2')}
in  port 0x61: 12
${dump('c', '1e', '1006', '2')}
out port 0x80: 42
${dump('2a', '1e', '100a', '12')}
hlt
${dump('2a', '1e', '100b', '12')}
`,
  },
  'kvm-ioctls': {
    output: `Received an I/O out exit. Address: 0x3f8. Data: 0x35
Received an I/O in exit. Address: 0x3f8. Data: 0x0
Received an MMIO Write Request to the address 0x8000.
Dirty pages: 1
Received an MMIO Read Request for the address 0x8000.
hlt
`,
  },
  'long-mode': { output: 'Hello from 64 bits\nhlt r8 = 0x400000000000\n' },
  'two-vcpus': {
    output: `vCPU 0 says A
vCPU 1 says B
vCPU 0 ended: hlt
vCPU 1 ended: hlt
the counter is 2
`,
  },
  'timer-interrupt': { output: 'tick 1\ntick 2\ntick 3\ntick 4\ntick 5\nstopped\n' },
  'device-interrupt': {
    output: `the guest was told: 21 degrees
the guest was told: 22 degrees
the guest was told: 23 degrees
the guest was told: 24 degrees
stopped
`,
  },
  worker: {
    output: `main:   the device stores 21
worker: the guest got 42
worker: hlt
`,
  },
  'background-async': {
    output: `the guest reads port 0x60
the event loop has its turns
the answer is found
the guest got it and adds one: 42
hlt
`,
  },
  'posted-writes': {
    output: `one by one: abcdefghijklmnopqrstuvwxyz, exits: 27
posted:     abcdefghijklmnopqrstuvwxyz, exits: 1
`,
  },
  'single-step': {
    output: `1000  mov cx, 3    ax=0 cx=0
1003  add ax, cx   ax=0 cx=3
1005  loop -4      ax=3 cx=3
1003  add ax, cx   ax=3 cx=2
1005  loop -4      ax=5 cx=2
1003  add ax, cx   ax=5 cx=1
1005  loop -4      ax=6 cx=1
1007  hlt          ax=6 cx=0
`,
  },
  'guest-memory': {
    output: `pages written by the host: [ 2, 3 ]
found at 0x6ffe
before: hello, world
after:  HELLO, world
pages written by the guest: [ 2, 3 ]
pages written by the host: [ 0 ]
after close the window has 0 bytes
`,
  },
  'many-machines': {
    output: `${'created '.repeat(10).trimEnd()}
${Array.from('abcdefghij', (letter) => `${letter.repeat(10)} poweroff\n`).join('')}`,
  },
  adventure: {
    input: 'down\nnorth\ntake lamp\nsouth\ndown\n',
    output: `The Cellar: a small adventure. Type help.

You are in a hall. A door leads north, stairs lead down.
> down
It is pitch dark. You dare not go down.
> north
You are in a garden. A door leads south.
A lamp hangs on a tree.
> take lamp
You take the lamp. It is lit.
> south
You are in a hall. A door leads north, stairs lead down.
> down
By the light of the lamp you find a chest of gold. You win!
`,
  },
};
/** Those that need a firmware, or never end by themselves; examples-terminal.test.ts has more of them. */
const others = ['kick', 'seabios'];
/** Those that boot Linux: __test__/linux/examples.test.ts. */
const linux = ['linux-command', 'linux-console', 'platform-device'];

test('each example has a test, fits on a page, says what it shows, and uses the public package only', (t) => {
  const files = readdirSync(examplesFolder).toSorted();
  const tested = [...Object.keys(deterministic), ...others, ...linux].map((name) => `${name}.ts`);
  t.deepEqual(files, tested.toSorted());
  for (const file of files) {
    const lines = readFileSync(`${examplesFolder}/${file}`, 'utf8').trimEnd().split('\n');
    t.true(lines.length < 60, `${file} has ${lines.length} lines`);
    t.regex(lines[0]!, /^\/\/ [A-Z].*[.:`a-z]/, `${file} begins with what it shows`);
    const imported = lines.flatMap((line) => /^import .* from '(.*)';$/.exec(line)?.[1] ?? []);
    t.true(imported.includes('vmhatch'), file);
    for (const specifier of imported) t.regex(specifier, /^(vmhatch|node:[a-z_/]+)$/, file);
    t.false(/import\(|require\(/.test(lines.join('\n')), file);
  }
});

for (const [name, { input, output }] of Object.entries(deterministic)) {
  test.serial(`${name} prints what it should`, async (t) => {
    if (!hasKvm(t)) return;
    const end = await runExample(t, name, { input });
    t.deepEqual(end, { code: 0, signal: null, stdout: output, stderr: '' });
  });
}

test.serial('adventure: quit ends it, and so does the end of the input', async (t) => {
  if (!hasKvm(t)) return;
  const hall = 'You are in a hall. A door leads north, stairs lead down.\n';
  const begin = `The Cellar: a small adventure. Type help.\n\n${hall}> look\n${hall}`;
  for (const input of ['look\nquit\n', 'look']) {
    const { code, stdout } = await runExample(t, 'adventure', { input });
    t.is(stdout, `${begin}> quit\nGoodbye.\n`);
    t.is(code, 0);
  }
});

test.serial('adventure: an interrupt while it waits for input ends it', async (t) => {
  if (!hasKvm(t)) return;
  const { child, outcome, printed } = startExample(t, 'adventure');
  await printed('> ');
  child.kill('SIGINT');
  const { code, signal, stdout, stderr } = await outcome;
  t.deepEqual({ code, signal, stderr }, { code: 130, signal: null, stderr: '' });
  t.true(stdout.endsWith('> \n'), stdout);
});

test.serial('kick: the first guest is kicked, the second runs until the interrupt', async (t) => {
  if (!hasKvm(t)) return;
  const { child, outcome, printed } = startExample(t, 'kick');
  await printed(' rounds\n');
  child.kill('SIGINT');
  const { code, signal, stdout, stderr } = await outcome;
  t.deepEqual({ code, signal, stderr }, { code: 130, signal: null, stderr: '' });
  t.regex(stdout, /^kicked\nrunning: Ctrl-C ends it\n([1-9][0-9]* rounds\n)+stopped\n$/);
});

test.serial('seabios: the firmware runs to its boot attempt', async (t) => {
  if (!hasKvm(t)) return;
  const { path, missing } = await findFirmware();
  if (path === undefined) {
    t.log(`skipped: ${missing}`);
    t.pass();
    return;
  }
  const { code, signal, stdout, stderr } = await runExample(t, 'seabios', { args: [path] });
  t.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
  t.regex(stdout, /^SeaBIOS \(version \S+\)\n/);
  t.regex(stdout, /^Running on QEMU \(i440fx\)$/m);
  t.regex(stdout, /^Running on KVM$/m);
  t.regex(stdout, /^RamSize: 0x02000000 \[cmos\]$/m);
  t.regex(stdout, /^PCI: init bdf=00:00\.0 id=8086:1237$/m);
  t.regex(stdout, /^Booting from Hard Disk\.\.\.$/m);
  t.regex(stdout, /\nNo bootable device\.  Retrying in 60 seconds\.\n$/);
});

test.serial(
  'seabios: an interrupt ends it, and the place of the image may be an environment variable',
  async (t) => {
    if (!hasKvm(t)) return;
    const { path, missing } = await findFirmware();
    if (path === undefined) {
      t.log(`skipped: ${missing}`);
      t.pass();
      return;
    }
    const { child, outcome, printed } = startExample(t, 'seabios', { env: { VMHATCH_FIRMWARE: path } });
    await printed('RamSize');
    child.kill('SIGINT');
    const { code, stderr } = await outcome;
    t.deepEqual({ code, stderr }, { code: 130, stderr: '' });
  },
);

test.serial('seabios: without an image it says how to get one', async (t) => {
  const { code, stdout, stderr } = await runExample(t, 'seabios', { args: ['/nowhere/bios.bin'] });
  t.is(code, 2);
  t.is(stdout, '');
  t.regex(stderr, /^No firmware at \/nowhere\/bios\.bin: .*apt-get install seabios.*VMHATCH_FIRMWARE\.\n$/);
});
