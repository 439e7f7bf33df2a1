import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { ExecutionContext } from 'ava';

const main = fileURLToPath(new URL('../../lib/cli/main.ts', import.meta.url));
const guest = (name: string): string =>
  fileURLToPath(new URL(`../../crates/test-guests/guests/${name}.bin`, import.meta.url));

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

interface Running {
  child: ChildProcessWithoutNullStreams;
  outcome: Promise<Outcome>;
  /** Resolves when standard output has the text. */
  printed(text: string): Promise<void>;
}

function start(t: ExecutionContext, ...args: string[]): Running {
  const child = spawn(process.execPath, ['--import', '@oxc-node/core/register', main, ...args], {
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' },
  });
  t.teardown(() => child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  const waiting = new Set<() => void>();
  child.stdout.on('data', (bytes: Buffer) => {
    stdout += bytes.toString('latin1');
    for (const look of waiting) look();
  });
  child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
  const outcome = new Promise<Outcome>((resolve) =>
    child.on('close', (code) => resolve({ code, stdout, stderr })),
  );
  const printed = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (!stdout.includes(text)) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
      void outcome.then(() => reject(new Error(`it ended without printing ${text}: ${stdout}\n${stderr}`)));
    });
  return { child, outcome, printed };
}

/** Runs to the end; standard input is empty. */
function run(t: ExecutionContext, ...args: string[]): Promise<Outcome> {
  const { child, outcome } = start(t, ...args);
  child.stdin.end();
  return outcome;
}

/** Writes a program of these bytes. */
function program(t: ExecutionContext, ...bytes: number[]): string {
  const directory = mkdtempSync(join(tmpdir(), 'vmhatch-cli-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'program.bin');
  writeFileSync(path, Uint8Array.from(bytes));
  return path;
}

/** A static ELF at 1 MiB that prints an E; it starts 4 bytes into its segment. */
function elf(bits: 32 | 64): Uint8Array {
  // four bytes that no processor executes, then: mov al, 'E'; mov dx, 0x3f8; out dx, al; hlt
  const code = [0x0f, 0x0b, 0x0f, 0x0b, 0xb0, 0x45, 0x66, 0xba, 0xf8, 0x03, 0xee, 0xf4];
  const [headerSize, entrySize] = bits === 64 ? [64, 56] : [52, 32];
  const bytes = new Uint8Array(headerSize + entrySize + code.length);
  const view = new DataView(bytes.buffer);
  const word = (at: number, value: number): void =>
    bits === 64 ? view.setBigUint64(at, BigInt(value), true) : view.setUint32(at, value, true);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, bits / 32, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, bits === 64 ? 62 : 3, true);
  word(24, 0x10_0004);
  word(bits === 64 ? 32 : 28, headerSize);
  view.setUint16(headerSize - 10, entrySize, true);
  view.setUint16(headerSize - 8, 1, true);
  view.setUint32(headerSize, 1, true);
  const fields = bits === 64 ? [8, 16, 24, 32, 40] : [4, 8, 12, 16, 20];
  const values = [headerSize + entrySize, 0x10_0000, 0x10_0000, code.length, 0x1000];
  fields.forEach((field, index) => word(headerSize + field, values[index]!));
  bytes.set(code, headerSize + entrySize);
  return bytes;
}

const jsonLines = (text: string): Record<string, unknown>[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('a real-mode program prints on COM1 and halts: 0', async (t) => {
  // mov al, 'H'; mov dx, 0x3f8; out dx, al; hlt
  const { code, stdout, stderr } = await run(t, 'run', program(t, 0xb0, 0x48, 0xba, 0xf8, 0x03, 0xee, 0xf4));
  t.is(code, 0, stderr);
  t.is(stdout, 'H');
  t.regex(stderr, /the guest halted \(2 exits/);
});

test('a 64-bit program runs on tables that the command makes', async (t) => {
  const { code, stdout } = await run(t, 'run', '--mode', 'long', guest('long-mode-hello'));
  t.is(code, 0);
  t.is(stdout, 'Hello from 64 bits\n');
});

test('--trace --registers: each exit, one a line, answers included', async (t) => {
  // in al, 0x60 … from a port that nothing answers; mov dx, 0x3f8; out dx, al; hlt
  const image = program(t, 0xe4, 0x10, 0xba, 0xf8, 0x03, 0xee, 0xf4);
  const { code, stdout, stderr } = await run(t, 'run', '--registers', image);
  t.is(code, 0, stderr);
  t.is(stdout, '\u00ff');
  const lines = stderr.trimEnd().split('\n');
  t.regex(lines[0]!, /^ +1 {2}ioIn +0x0010\/1 +ff .*rip=0x100[02]/);
  t.regex(lines[1]!, /^ +2 {2}ioOut +0x03f8\/1 +ff .*rax=0xff /);
  t.regex(lines[2]!, /^ +3 {2}hlt .*rip=0x1007/);
  t.is(lines.length, 4);
});

test('--trace sees string I/O whole, and MMIO', async (t) => {
  const string = await run(t, 'run', '--trace', '--max-exits', '50', guest('string-out'));
  t.regex(string.stderr, /ioOut +0x[0-9a-f]{4}\/1/);
  // xor ax, ax; dec ax; mov ds, ax; mov bx, [0x10]; hlt: a word at 1 MiB, beyond the memory
  const image = program(t, 0x31, 0xc0, 0x48, 0x8e, 0xd8, 0x8b, 0x1e, 0x10, 0x00, 0xf4);
  const mmio = await run(t, 'run', '--trace', '--memory', '64KiB', image);
  t.regex(mmio.stderr, /mmioRead +0x00100000\/2 +ff ff\n/);
});

test('--json: output, exits and the end as lines', async (t) => {
  const image = program(t, 0xb0, 0x48, 0xba, 0xf8, 0x03, 0xee, 0xf4);
  const { code, stdout, stderr } = await run(t, 'run', '--json', '--registers', image);
  t.is(code, 0, stderr);
  t.is(stderr, '');
  const lines = jsonLines(stdout);
  t.deepEqual(
    lines.map(({ type }) => String(type)).toSorted((a, b) => a.localeCompare(b)),
    ['end', 'exit', 'exit', 'output'],
  );
  t.like(
    lines.find(({ type }) => type === 'output'),
    { device: 'serial', text: 'H' },
  );
  t.like(
    lines.find(({ type }) => type === 'exit'),
    {
      number: 1,
      kind: 'ioOut',
      port: 0x3f8,
      size: 1,
      count: 1,
      data: [0x48],
      registers: { rax: '0x48' },
    },
  );
  t.like(lines.at(-1), { type: 'end', reason: 'hlt', exitCode: 0, exits: 2 });
});

test('a triple fault: 1, with the registers', async (t) => {
  const { code, stderr } = await run(t, 'run', '--mode', 'protected', guest('triple-fault'));
  t.is(code, 1);
  t.regex(stderr, /triple fault/);
  t.regex(stderr, /rip 0x[0-9a-f]{16}/);
  const json = await run(t, 'run', '--json', '--mode', 'protected', guest('triple-fault'));
  t.is(json.code, 1);
  t.like(jsonLines(json.stdout).at(-1), { reason: 'shutdown', exitCode: 1 });
});

for (const traced of [[], ['--trace']]) {
  test(`isa-debug-exit gives the exit status ${traced.join()}`, async (t) => {
    // mov al, 0x10; out 0xf4, al; hlt
    const image = program(t, 0xb0, 0x10, 0xe6, 0xf4, 0xf4);
    t.is((await run(t, 'run', ...traced, image)).code, 0x21);
    t.is((await run(t, 'run', ...traced, '--debug-exit', 'none', image)).code, 0);
  });

  test(`a reset by the keyboard controller: 0 ${traced.join()}`, async (t) => {
    // mov al, 0xfe; out 0x64, al; jmp $
    const { code, stderr } = await run(t, 'run', ...traced, program(t, 0xb0, 0xfe, 0xe6, 0x64, 0xeb, 0xfe));
    t.is(code, 0, stderr);
    t.regex(stderr, /asked for a reset/);
  });
}

test('--max-exits and --timeout: 4', async (t) => {
  const storm = await run(t, 'run', '--max-exits', '10', guest('exit-storm'));
  t.is(storm.code, 4);
  t.regex(storm.stderr, /--max-exits/);
  const spin = await run(t, 'run', '--timeout', '0.2', guest('spin'));
  t.is(spin.code, 4);
  t.regex(spin.stderr, /--timeout/);
});

test('a guest that waits for an interrupt in the kernel hears Ctrl-C, too', async (t) => {
  // mov al, '!'; mov dx, 0x3f8; out dx, al; hlt; jmp to the hlt
  const image = program(t, 0xb0, 0x21, 0xba, 0xf8, 0x03, 0xee, 0xf4, 0xeb, 0xfd);
  const { child, outcome, printed } = start(t, 'run', '--irqchip', image);
  await printed('!');
  child.kill('SIGINT');
  t.is((await outcome).code, 130);
});

test('firmware starts at the reset vector and finds itself below 1 MiB, and a PCI host bridge', async (t) => {
  const image = new Uint8Array(64 * 1024);
  // At the reset vector: jmp f000:0000
  image.set([0xea, 0x00, 0x00, 0x00, 0xf0], 0xfff0);
  // mov eax, 0x80000000; mov dx, 0xcf8; out dx, eax; mov dl, 0xfc; in ax, dx (vendor 8086); mov dx, 0x402;
  // out dx, al; mov al, ah; out dx, al; hlt
  image.set([0x66, 0xb8, 0, 0, 0, 0x80, 0xba, 0xf8, 0x0c, 0x66, 0xef, 0xb2, 0xfc, 0xed]);
  image.set([0xba, 0x02, 0x04, 0xee, 0x88, 0xe0, 0xee, 0xf4], 14);
  const { code, stdout, stderr } = await run(t, 'run', '--firmware', '--no-irqchip', program(t, ...image));
  t.is(code, 0, stderr);
  t.is(stdout, '\u0086\u0080');
});

for (const bits of [32, 64] as const) {
  test(`an ELF of ${bits} bits starts where it says, in its own mode`, async (t) => {
    const { code, stdout, stderr } = await run(t, 'run', program(t, ...elf(bits)));
    t.is(code, 0, stderr);
    t.is(stdout, 'E');
  });
}

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  test(`${signal} to a guest that spins: ${code}`, async (t) => {
    // mov al, '!'; mov dx, 0x3f8; out dx, al; jmp $
    const image = program(t, 0xb0, 0x21, 0xba, 0xf8, 0x03, 0xee, 0xeb, 0xfe);
    const { child, outcome, printed } = start(t, 'run', image);
    await printed('!');
    const before = performance.now();
    child.kill(signal);
    t.is((await outcome).code, code);
    t.true(performance.now() - before < 10_000);
  });
}

test('SIGINT to a guest that does nothing but exit, traced into a pipe', async (t) => {
  const { child, outcome, printed } = start(t, 'run', '--trace', '--json', guest('exit-storm'));
  await printed('"number":1000,');
  child.kill('SIGINT');
  t.is((await outcome).code, 130);
});

for (const traced of [[], ['--trace']]) {
  test(`the shell: typed lines are answered ${traced.join()}`, async (t) => {
    const { child, outcome, printed } = start(t, 'run', ...traced, guest('shell'));
    await printed('Type help.');
    child.stdin.write('add 2 3\r');
    await printed('5\n');
    child.stdin.write('quit\r');
    await printed('Bye.');
    t.is((await outcome).code, 0);
  });
}

for (const traced of [[], ['--trace']]) {
  test(`--irqchip: a typed byte interrupts the guest ${traced.join()}`, async (t) => {
    const code = [
      // cli; xor ax, ax; mov ds, ax; mov word [0x30], 0x1031 (the handler below); mov [0x32], ax
      [0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0xc7, 0x06, 0x30, 0x00, 0x31, 0x10, 0xa3, 0x32, 0x00],
      // the interrupt controller: IRQ 4 is vector 12, and the only one
      [0xb0, 0x11, 0xe6, 0x20, 0xb0, 0x08, 0xe6, 0x21, 0xb0, 0x04, 0xe6, 0x21, 0xb0, 0x01, 0xe6, 0x21],
      [0xb0, 0xef, 0xe6, 0x21],
      // mov dx, 0x3f9; mov al, 1; out dx, al; mov dl, 0xf8; mov al, '?'; out dx, al; sti; hlt; jmp to the hlt
      [0xba, 0xf9, 0x03, 0xb0, 0x01, 0xee, 0xb2, 0xf8, 0xb0, 0x3f, 0xee, 0xfb, 0xf4, 0xeb, 0xfd],
      // the handler: in al, dx; out dx, al; mov al, 0x10; out 0xf4, al
      [0xec, 0xee, 0xb0, 0x10, 0xe6, 0xf4],
    ];
    const image = program(t, ...code.flat());
    const { child, outcome, printed } = start(t, 'run', '--irqchip', ...traced, image);
    await printed('?');
    child.stdin.write('Q');
    const end = await outcome;
    t.is(end.code, 0x21);
    t.is(end.stdout, '?Q');
  });
}

test('the shell: input that comes all at once, faster than the guest reads', async (t) => {
  const { child, outcome } = start(t, 'run', guest('shell'));
  child.stdin.end(`${'echo x\n'.repeat(200)}quit\n`);
  const { code, stdout } = await outcome;
  t.is(code, 0);
  t.is(stdout.split('\n').filter((line) => line === 'x').length, 200);
});

test('a reader that goes away: 141', async (t) => {
  const { child, outcome, printed } = start(t, 'run', '--json', '--trace', guest('exit-storm'));
  await printed('"number":10,');
  child.stdout.destroy();
  t.is((await outcome).code, 141);
});

test('doctor: a verdict, and the same as data', async (t) => {
  const text = await run(t, 'doctor');
  t.is(text.code, 0, text.stdout);
  t.regex(text.stdout, /(READY|LIMITED): /);
  t.regex(text.stdout, /trial guest +ran/);
  const json = await run(t, 'doctor', '--json');
  t.is(json.code, 0);
  const data = JSON.parse(json.stdout) as { verdict: string; kvm: { apiVersion: number } };
  t.true(['ready', 'limited'].includes(data.verdict));
  t.is(data.kvm.apiVersion, 12);
});

test('doctor and run without the device: 3', async (t) => {
  const { code, stdout } = await run(t, 'doctor', '--device', '/dev/no-such-kvm');
  t.is(code, 3);
  t.regex(stdout, /UNAVAILABLE/);
});
