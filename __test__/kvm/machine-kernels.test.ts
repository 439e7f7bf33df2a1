/** Kernels that are entered as their files say: Multiboot 1, ELF by its PVH note and by its 64-bit entry. */
import test, { type ExecutionContext } from 'ava';

import type { Machine, MachineConfig } from '../../index.ts';
import { IDENTITY_MAP_ADDRESS } from '../../lib/machine/layout-x86.ts';
import { elfFile } from '../helpers/elf.ts';
import { findGuest } from '../helpers/guests.ts';
import { POWER_OFF, makeMachine, soon, startMachine } from '../helpers/whole-machine.ts';

const MIB = 2 ** 20;
const MULTIBOOT = findGuest('multiboot');

/** The Multiboot guest as a linker makes it. */
const MULTIBOOT_ELF = elfFile({
  bits: 32,
  entry: MULTIBOOT.entry,
  address: MULTIBOOT.loadAddress,
  bytes: MULTIBOOT.bytes,
  memorySize: 0x3000,
});

/** What the Multiboot guest prints: a line for each fact. */
async function factsOf(t: ExecutionContext, config: MachineConfig): Promise<string[]> {
  const machine = await startMachine(t, { kernel: MULTIBOOT_ELF, ...config });
  const exit = await soon('the end', machine.exited);
  t.is(exit.reason, 'poweroff');
  t.is(machine.protocol, 'multiboot');
  return exit.consoleTail.trimEnd().split('\n');
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

test('Multiboot: magic, memory, command line, the loader’s name', async (t) => {
  const facts = await factsOf(t, { memory: '16MiB', cmdline: 'root=none quiet' });
  t.deepEqual(facts, [
    'magic 2badb002',
    'flags 00000245',
    `lower ${hex(0x9_fc00 / 1024, 8)}`,
    `upper ${hex(15 * 1024, 8)}`,
    'cmdline root=none quiet',
    'loader vmhatch',
    `map ${hex(0, 16)} ${hex(0x9_fc00, 16)} 00000001`,
    `map ${hex(0x9_fc00, 16)} ${hex(0x400, 16)} 00000002`,
    `map ${hex(0xe_0000, 16)} ${hex(0x2_0000, 16)} 00000002`,
    `map ${hex(MIB, 16)} ${hex(15 * MIB, 16)} 00000001`,
    ...facts.slice(10),
  ]);
  // What KVM keeps for itself, below 4 GiB.
  const [last, ...rest] = facts.slice(10);
  t.deepEqual(rest, []);
  t.is(last, `map ${hex(IDENTITY_MAP_ADDRESS, 16)} ${hex(2 ** 32 - IDENTITY_MAP_ADDRESS, 16)} 00000002`);
});

test('Multiboot: modules with their words, the initrd first', async (t) => {
  const facts = await factsOf(t, {
    memory: '16MiB',
    cmdline: '',
    initrd: Uint8Array.of(0x44, 0x33, 0x22, 0x11),
    modules: [
      { image: Uint8Array.of(1, 2, 3, 4, 5), cmdline: 'first one two' },
      { image: new Uint8Array(5000).fill(7) },
    ],
  });
  t.is(facts[1], 'flags 0000024d');
  t.is(facts[4], 'cmdline ');
  const modules = facts.filter((fact) => fact.startsWith('module ')).map((fact) => fact.split(' '));
  t.deepEqual(
    modules.map(([, , length, bytes, ...words]) => [Number.parseInt(length!, 16), bytes, words.join(' ')]),
    [
      [4, '11223344', ''],
      [5, '04030201', 'first one two'],
      [5000, '07070707', ''],
    ],
  );
  for (const [, address] of modules) t.is(Number.parseInt(address!, 16) % 4096, 0, 'aligned to a page');
});

test('Multiboot: the bytes after the file’s are zero, the modules are clear of the kernel', async (t) => {
  const machine = await makeMachine(t, { kernel: MULTIBOOT_ELF, modules: [{ image: new Uint8Array(8192) }] });
  const { bytes, loadAddress } = MULTIBOOT;
  const memory = machine.vm.memory.read(loadAddress, 0x3000);
  t.deepEqual(memory.slice(0, bytes.length), bytes);
  t.true(memory.slice(bytes.length).every((byte) => byte === 0));
  const ranges = machine.placed.map(({ address, length }) => [address, address + length] as const);
  for (const [index, [start]] of ranges.entries()) {
    if (index > 0) t.true(start >= ranges[index - 1]![1], 'two parts overlap');
  }
});

test('Multiboot: an image that says its own addresses', async (t) => {
  // The guest's header, with flag 16 and the five addresses (3.1.1 of the specification), before the guest itself.
  const header = Buffer.alloc(32);
  const flags = 0x1_0003;
  const start = MULTIBOOT.loadAddress - header.length;
  const fields = [0x1bad_b002, flags, -(0x1bad_b002 + flags) >>> 0, start, start, 0, 0, MULTIBOOT.entry];
  for (const [index, field] of fields.entries()) header.writeUInt32LE(field, index * 4);
  const facts = await factsOf(t, { kernel: Buffer.concat([header, MULTIBOOT.bytes]), cmdline: 'flat' });
  t.is(facts[0], 'magic 2badb002');
  t.true(facts.includes('cmdline flat'));
});

/** Where the guests that note their registers do so. */
const NOTES = 0x2000;

async function runToOff(t: ExecutionContext, config: MachineConfig): Promise<Machine> {
  const machine = await startMachine(t, config);
  t.like(await soon('the end', machine.exited), { reason: 'poweroff' });
  return machine;
}

function programOf(name: string): { entry: number; address: number; bytes: Uint8Array } {
  const { bytes, loadAddress, entry } = findGuest(name);
  return { entry, address: loadAddress, bytes };
}

for (const bits of [32, 64] as const) {
  test(`PVH: an ELF${bits} with the note is entered in protected mode, with its start info`, async (t) => {
    const program = programOf('entry-protected');
    const kernel = elfFile({ bits, ...program, entry: 0, pvhEntry: program.entry });
    const config = { kernel, cmdline: 'pvh words', memory: '4MiB', initrd: Uint8Array.of(1, 2, 3) };
    const machine = await runToOff(t, config);
    t.is(machine.protocol, 'pvh');
    const { memory } = machine.vm;
    const [eax, ebx] = [memory.readUint32(NOTES), memory.readUint32(NOTES + 4)];
    t.is(eax, 0);
    // Xen's start_info.h: magic, version, flags, modules, their list, command line.
    t.is(memory.readUint32(ebx), 0x336e_c578);
    t.is(memory.readUint32(ebx + 4), 1);
    t.is(memory.readUint32(ebx + 12), 1);
    const list = Number(memory.readBigUint64(ebx + 16));
    const words = Number(memory.readBigUint64(ebx + 24));
    t.is(Buffer.from(memory.read(words, 10)).toString(), 'pvh words\0');
    t.deepEqual([...memory.read(Number(memory.readBigUint64(list)), 3)], [1, 2, 3]);
    t.is(memory.readBigUint64(list + 8), 3n);
    // The tables of ACPI.
    const rsdp = Number(memory.readBigUint64(ebx + 32));
    t.is(Buffer.from(memory.read(rsdp, 8)).toString(), 'RSD PTR ');
    t.is(memory.readUint32(NOTES + 0x24) & 0x8000_0001, 1, 'CR0: PE without PG');
  });
}

test('elf64: an ELF64 without the note is entered in long mode, with a zero page', async (t) => {
  const program = programOf('entry-long');
  const machine = await runToOff(t, { kernel: elfFile({ bits: 64, ...program }), cmdline: 'elf words' });
  t.is(machine.protocol, 'elf64');
  const { memory } = machine.vm;
  const page = Number(memory.readBigUint64(NOTES + 0x20));
  // boot_params: "HdrS" at 0x202, the command line's address at 0x228, e820 entries at 0x1e8.
  t.is(Buffer.from(memory.read(page + 0x202, 4)).toString(), 'HdrS');
  const words = memory.readUint32(page + 0x228);
  t.is(Buffer.from(memory.read(words, 10)).toString(), 'elf words\0');
  t.true(memory.readUint8(page + 0x1e8) >= 3);
  t.is(memory.readBigUint64(NOTES + 0x48) & 0x8000_0001n, 0x8000_0001n, 'CR0: PE and PG');
});

test('a kernel with the note can be entered by its 64-bit entry all the same', async (t) => {
  const program = programOf('entry-long');
  const kernel = elfFile({ bits: 64, ...program, pvhEntry: 0x1234 });
  t.is((await runToOff(t, { kernel, protocol: 'elf64' })).protocol, 'elf64');
});

test('an ELF kernel’s virtual addresses are not its physical ones', async (t) => {
  const program = programOf('entry-protected');
  const kernel = Buffer.from(elfFile({ bits: 64, ...program, entry: 0, pvhEntry: program.entry }));
  // p_vaddr of the first program header, as a vmlinux has it.
  kernel.writeBigUInt64LE(0xffff_ffff_8000_1000n, 64 + 16);
  t.is((await runToOff(t, { kernel })).protocol, 'pvh');
});

test('each protocol is refused for a file that it cannot boot, with those that can', async (t) => {
  const elf64 = elfFile({ bits: 64, ...programOf('entry-long') });
  for (const [kernel, protocol, message] of [
    [
      elf64,
      'pvh',
      /^protocol: an ELF64 file without a PVH note cannot be booted by pvh; it can be by elf64$/,
    ],
    [elf64, 'multiboot', /^protocol: .* cannot be booted by multiboot/],
    [elf64, 'linux64', /^protocol: .* cannot be booted by linux64/],
    [MULTIBOOT_ELF, 'elf64', /^protocol: an ELF32 file with a Multiboot header .* it can be by multiboot$/],
    [MULTIBOOT_ELF, 'linux64', /^protocol: /],
  ] as const) {
    await t.throwsAsync(makeMachine(t, { kernel, protocol }), { code: 'ERR_KVM_BOOT', message });
  }
  const raw = Uint8Array.from(POWER_OFF);
  for (const protocol of ['linux64', 'pvh', 'elf64', 'multiboot', undefined] as const) {
    const config = protocol === undefined ? { kernel: raw } : { kernel: raw, protocol };
    await t.throwsAsync(makeMachine(t, config), {
      code: 'ERR_KVM_BOOT',
      message: /^kernel: the image is \d+ bytes that start with .* must be asked for by their protocol/,
    });
  }
});
