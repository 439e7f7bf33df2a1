// docs/boot.md and the pictures of machines: every address, port, line and state in them is that of the sources.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';

import * as layout from '../../lib/machine/layout-x86.ts';
import { bands, constantsOf, drawMemory, hex, readLayouts } from '../../scripts/memory-picture.mjs';
import { root } from '../../scripts/shared/paths.mjs';

const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const page = read('docs/boot.md');
const machinePage = read('docs/machine.md');
const { rust, typescript } = readLayouts();
const { PAGE } = layout;

/** The cells of the table below a heading, row by row, without the table's own heads. */
function rows(heading: string, document = page): string[][] {
  const [, section = ''] = document.split(`\n## ${heading}\n`);
  const lines = section.split('\n## ')[0]!.split('\n');
  const table = lines.filter((line) => line.startsWith('|')).slice(2);
  return table.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

const numbersOf = (text: string): number[] =>
  (text.match(/0x[\da-f_]+/g) ?? []).map((number) => Number(number.replaceAll('_', '')));

test('the two sources of the layout agree', (t) => {
  const constants = Object.fromEntries(
    Object.entries(layout).filter(([, value]) => typeof value !== 'function'),
  );
  t.deepEqual(typescript, constants, 'what is read from the text is what is meant');
  for (const name of ['LOW_RAM_END', 'RAM_ABOVE_HOLE', 'MAX_CPUS']) t.is(rust[name], typescript[name], name);
  t.is(rust['PAGE_SIZE'], PAGE);
  t.is(rust['KVM_PRIVATE'], layout.IDENTITY_MAP_ADDRESS);
  t.is(rust['KVM_IDENTITY_MAP'], layout.IDENTITY_MAP_ADDRESS);
  t.is(rust['KVM_TSS'], layout.TSS_ADDRESS);
  t.is(rust['IO_APIC'], layout.DEVICE_WINDOWS.end);
  const flat = constantsOf(read('crates/boot/src/x86_64/flat.rs'), 'pub const');
  t.is(flat['FIRMWARE_MAX'], layout.FIRMWARE_LIMIT);
  t.true(layout.IDENTITY_MAP_ADDRESS + 4 * PAGE <= layout.RAM_ABOVE_HOLE - layout.FIRMWARE_LIMIT);
});

test('no part of the layout lies in another', (t) => {
  const { all, first } = bands({ rust, typescript });
  for (const list of [all, first]) {
    const starts = list.flatMap(({ start }) => start ?? []);
    t.deepEqual(
      starts,
      starts.toSorted((a, b) => a - b),
    );
    t.is(new Set(starts).size, starts.length);
  }
});

test('the table of addresses is that of the sources', (t) => {
  const found = rows('What is put where').map(([from = '']) => from);
  const { start } = layout.DEVICE_WINDOWS;
  const expected = [
    ...['GDT', 'START_INFO', 'ZERO_PAGE', 'BOOT_STACK_TOP', 'PAGE_TABLES', 'MULTIBOOT_INFO'].map(
      (name) => rust[name] as number,
    ),
    ...['COMMAND_LINE', 'EBDA', 'BASE_MEMORY_END', 'ACPI', 'RESET_VECTOR', 'HIGH_MEMORY', 'LOW_RAM_END'].map(
      (name) => rust[name] as number,
    ),
    layout.BOOT_TIMER_ADDRESS,
    start,
    rust['IO_APIC'] as number,
    rust['LOCAL_APIC'] as number,
    layout.IDENTITY_MAP_ADDRESS,
    layout.TSS_ADDRESS,
    layout.RAM_ABOVE_HOLE - layout.FIRMWARE_LIMIT,
    layout.RAM_ABOVE_HOLE,
  ];
  t.deepEqual(found, expected.map(hex));
  const sizes = new Set(['COMMAND_LINE_ROOM', 'MAX_CPUS', 'PAGE_SIZE']);
  const addresses = Object.entries(rust).filter(([name]) => !sizes.has(name));
  t.deepEqual(
    addresses.filter(([, address]) => !found.includes(hex(address))).map(([name]) => name),
    [],
    'an address of the sources is not on the page',
  );
  t.regex(page, new RegExp(`IOAPIC, ${layout.INTERRUPT_LINES} lines`));
  t.regex(page, new RegExp(`at most ${layout.FIRMWARE_LIMIT / 2 ** 20} MiB`));
});

test('the picture of guest memory is what the sources make', (t) => {
  t.is(read('docs/pictures/guest-memory-boot.svg'), drawMemory({ rust, typescript }));
});

test('a layout that changes changes the picture', (t) => {
  const moved = drawMemory({ rust: { ...rust, ZERO_PAGE: 0x7100 }, typescript });
  t.true(moved.includes('>0x7100<'));
  t.false(drawMemory({ rust, typescript }).includes('>0x7100<'));
});

test('the table of ports is that of the sources', (t) => {
  const table = rows('Ports and interrupts');
  const { com1, com2, bootTimer, pvpanic, acpiPower, i8042, cmos } = layout.PORTS;
  const span = ({ base, length }: { base: number; length: number }): number[] =>
    length === 1 ? [base] : [base, base + length - 1];
  const power = Array.from({ length: acpiPower.length }, (_, index) => acpiPower.base + index);
  t.deepEqual(
    table.slice(0, 8).map(([where = '']) => numbersOf(where)),
    [
      span(com1),
      span(com2),
      [0xe9],
      [...span(bootTimer), layout.BOOT_TIMER_ADDRESS],
      span(pvpanic),
      power,
      span(i8042),
      span(cmos),
    ],
  );
  const { com1: line1, com2: line2 } = layout.INTERRUPTS;
  t.deepEqual(
    table.slice(0, 2).map(([, , line]) => line),
    [String(line1), String(line2)],
  );
  t.regex(page, new RegExp(`Lines 5 to ${layout.INTERRUPT_LINES - 1} are free`));
  t.regex(
    read('lib/machine/platform-x86.ts'),
    /^ {2}deviceLines: \{ first: 5, last: INTERRUPT_LINES - 1 \},$/m,
  );
});

test('every other address on the page is of the sources or of a specification', (t) => {
  // 0x1f1, 0x200: boot.rst. 0x2badb002: Multiboot. 0x80000008 …, 0x40000010: CPUID. 0xf0000: a real-mode segment.
  const ofSpecifications = [
    0x1f1, 0x200, 0x2badb002, 0x80000008, 0x8000001d, 0x8000001e, 0x40000010, 0xf0000, 0x7c00,
  ];
  const small = 0x100; // selectors, leaves, values
  const ports = Object.values(layout.PORTS).flatMap(({ base, length }) =>
    Array.from({ length }, (_, index) => base + index),
  );
  const known = new Set<number>([
    ...Object.values(rust).filter((value): value is number => typeof value === 'number'),
    ...Object.values(layout).filter((value) => typeof value === 'number'),
    layout.DEVICE_WINDOWS.start,
    layout.DEVICE_WINDOWS.end,
    layout.RAM_ABOVE_HOLE - layout.FIRMWARE_LIMIT,
    ...ports,
    ...ofSpecifications,
  ]);
  t.deepEqual(
    numbersOf(page).filter((number) => number >= small && !known.has(number)),
    [],
  );
});

test('the page has every protocol, and every field that an error can name', (t) => {
  const [, list = ''] = /^ {2}protocols: \[(.*)\],$/m.exec(read('lib/machine/platform-x86.ts')) ?? [];
  const protocols = Array.from(list.matchAll(/'(\w+)'/g), ([, name = '']) => name);
  t.is(protocols.length, 6);
  const named = new Set(
    rows('Which protocol')
      .flat()
      .flatMap((cell) => Array.from(cell.matchAll(/`(\w+)`/g), ([, name = '']) => name)),
  );
  t.deepEqual([...named].toSorted(), protocols.toSorted());

  const [, field = ''] =
    /pub fn field[\s\S]*?match self \{([\s\S]*?)\n {8}\}/.exec(read('crates/boot/src/error.rs')) ?? [];
  const fields = Array.from(field.matchAll(/=> "(\w+)"/g), ([, name = '']) => name);
  t.true(fields.length > 5);
  // The number of vCPUs is an option that is checked before: ERR_OUT_OF_RANGE.
  const expected = fields.filter((name) => name !== 'cpus').map((name) => `\`${name}:\``);
  t.deepEqual(
    rows('What is checked, and the error')
      .map(([name = '']) => name)
      .toSorted(),
    expected.toSorted(),
  );
});

test('docs/machine.md has every option, and every reason of an end', (t) => {
  const names = (heading: string): string[] =>
    rows(heading, machinePage).map(([cell = '']) => cell.replaceAll(/[`']/g, ''));
  const [, list = ''] = /^const KEYS = \[([^\]]*)\] as const;$/m.exec(read('lib/machine/config.ts')) ?? [];
  const keys = Array.from(list.matchAll(/'(\w+)'/g), ([, name = '']) => name);
  t.true(keys.length > 10);
  t.deepEqual(names('Boot'), keys);
  t.deepEqual(names('Ends'), reasons());
});

/** Why machines end, in the order of the sources. */
function reasons(): string[] {
  const text = read('lib/machine/exit.ts');
  return Array.from(text.matchAll(/readonly reason: '(\w+)'/g), ([, name = '']) => name);
}

test('the picture of the states has those of the sources, and the ways between them', (t) => {
  const machine = read('lib/machine/machine.ts');
  const [, union = ''] = /^export type MachineState = (.*);$/m.exec(machine) ?? [];
  const states = Array.from(union.matchAll(/'(\w+)'/g), ([, name = '']) => name);
  t.is(states.length, 4);
  const picture = read('docs/pictures/machine-states.svg');
  const drawn = Array.from(picture.matchAll(/class="state"[^>]*>(\w+)</g), ([, name = '']) => name);
  t.deepEqual(drawn.toSorted(), states.toSorted());
  for (const method of ['start', 'pause', 'resume', 'reset', 'stop']) {
    t.regex(machine, new RegExp(String.raw`^ {2}async ${method}\(\)`, 'm'));
    t.true(picture.includes(`${method}()`), method);
  }
  t.is(reasons().length, 7);
  for (const reason of reasons()) t.regex(picture, new RegExp(String.raw`\b${reason}\b`), reason);
});
