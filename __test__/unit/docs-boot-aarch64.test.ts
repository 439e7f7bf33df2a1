// docs/boot-aarch64.md and its picture: every address and every interrupt in them is that of the sources.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';

import * as layout from '../../lib/machine/layout-arm64.ts';
import { armBands, drawArmMemory, hex, readLayouts } from '../../scripts/memory-picture.mjs';
import { root } from '../../scripts/shared/paths.mjs';

const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const page = read('docs/boot-aarch64.md');
const { rust, typescript } = readLayouts('aarch64');

/** The cells of the table below a heading, row by row, without the table's own heads. */
function rows(heading: string): string[][] {
  const [, section = ''] = page.split(`\n## ${heading}\n`);
  const lines = section.split('\n## ')[0]!.split('\n');
  const cells = (line: string): string[] => line.split('|').slice(1, -1);
  return lines
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) => cells(line).map((cell) => cell.trim()));
}

/** The addresses among Rust's constants, by name. */
const addresses = new Map(
  Object.entries(rust).filter(([name, value]) => !name.endsWith('_LENGTH') && value >= 0x10_0000),
);

test('the two sources of the layout agree', (t) => {
  const constants = Object.fromEntries(
    Object.entries(layout).filter(([, value]) => typeof value !== 'function'),
  );
  t.deepEqual(typescript, constants, 'what is read from the text is what is meant');
  const { GIC, DEVICES, DEVICE_WINDOWS, DEVICE_LINES, INTERRUPTS } = layout;
  const pairs: Record<string, number> = {
    RAM_START: layout.RAM_START,
    GIC_DISTRIBUTOR: GIC.distributor,
    GIC_CPU_INTERFACE: GIC.cpuInterface,
    GIC_ITS: GIC.its,
    GIC_REDISTRIBUTORS: GIC.redistributors,
    SERIAL: DEVICES.serial,
    SERIAL_2: DEVICES.serial2,
    RTC: DEVICES.rtc,
    BOOT_TIMER: DEVICES.bootTimer,
    PVPANIC: DEVICES.pvpanic,
    DEVICES: DEVICE_WINDOWS.start,
    DEVICES_END: DEVICE_WINDOWS.end,
    GIC_INTERRUPTS: layout.GIC_INTERRUPTS,
    GIC_V2_MAX_CPUS: layout.GIC_V2_MAX_CPUS,
    SERIAL_INTERRUPT: INTERRUPTS.com1,
    SERIAL_2_INTERRUPT: INTERRUPTS.com2,
    RTC_INTERRUPT: INTERRUPTS.rtc,
    FIRST_DEVICE_INTERRUPT: DEVICE_LINES.first,
    INTERRUPT_LINES: DEVICE_LINES.last + 1,
  };
  for (const [name, value] of Object.entries(pairs)) t.is(rust[name], value, name);
  t.is(layout.GIC_INTERRUPTS, DEVICE_LINES.last + 1 + layout.FIRST_SPI);
  // TypeScript knows one place for redistributors.
  t.true(layout.MAX_CPUS <= rust['FEW_CPUS']);
  t.true(layout.MAX_CPUS <= rust['MAX_CPUS']);
});

test('no part of the layout lies in another', (t) => {
  const starts = armBands({ rust, typescript }).flatMap(({ start }) => start ?? []);
  t.deepEqual(
    starts,
    starts.toSorted((a, b) => a - b),
  );
  t.is(new Set(starts).size, starts.length);
});

test('the table of addresses is that of the sources', (t) => {
  const expected = Array.from(new Set(addresses.values())).toSorted((a, b) => a - b);
  t.true(expected.length > 10);
  t.deepEqual(
    rows('What is put where').map(([from = '']) => from),
    expected.map(hex),
  );
  t.true(page.includes(`more than ${rust['FEW_CPUS']} vCPUs`));
});

test('the picture is what the sources make, and has every address', (t) => {
  const picture = read('docs/pictures/guest-memory-boot-aarch64.svg');
  t.is(picture, drawArmMemory({ rust, typescript }));
  for (const [name, address] of addresses) t.true(picture.includes(`>${hex(address)}<`), name);
  const moved = drawArmMemory({ rust: { ...rust, RAM_START: 0x8000_0000 }, typescript });
  t.true(moved.includes('>0x8000_0000<'));
});

test('the table of interrupts is that of the sources', (t) => {
  const { INTERRUPTS, DEVICE_LINES } = layout;
  t.deepEqual(
    rows('Interrupts').map(([number = '']) => number),
    [
      ...[INTERRUPTS.com1, INTERRUPTS.rtc, INTERRUPTS.com2].map(String),
      `${DEVICE_LINES.first} to ${DEVICE_LINES.last}`,
    ],
  );
  t.regex(page, new RegExp(`the one with ${layout.FIRST_SPI} more`));
});

test('the page has every protocol', (t) => {
  const [, list = ''] = /^ {2}protocols: \[(.*)\],$/m.exec(read('lib/machine/platform-arm64.ts')) ?? [];
  const protocols = Array.from(list.matchAll(/'(\w+)'/g), ([, name = '']) => name);
  t.true(protocols.length > 1);
  for (const name of protocols) t.true(page.includes(`\n## ${name}\n`), name);
});

test('the state of the first vCPU and the nodes of the tree are those of the sources', (t) => {
  const [, pstate = ''] =
    /pub const PSTATE: u64 = (0x[\da-f]+);/.exec(read('crates/boot/src/aarch64/plan.rs')) ?? [];
  t.not(pstate, '');
  t.true(page.includes(`| ${pstate}: EL1`));
  const builder = read('crates/boot/src/aarch64/fdt/mod.rs');
  const made = Array.from(
    builder.matchAll(/(?:begin_node\((?:&at\()?|primecell\()"([a-z-]+)"/g),
    ([, name = '']) => name,
  );
  // What is inside of another node is told with that.
  const expected = Array.from(new Set(made)).filter((name) => !['cpu', 'msi-controller'].includes(name));
  t.true(expected.length > 10);
  const told = rows('What the device tree tells').flatMap(([nodes = '']) =>
    Array.from(nodes.matchAll(/`\/([a-z-]+)`/g), ([, name = '']) => name),
  );
  t.deepEqual(told.toSorted(), expected.toSorted());
});

test('an argument of the picture is read from its architecture', (t) => {
  t.not(readLayouts().rust['RAM_START'], rust['RAM_START']);
  t.is(readLayouts('x86').rust['GDT'], 0x500);
});
