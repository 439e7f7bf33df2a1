import test from 'ava';

import { cpuStart, tablesSize } from '../../lib/cli/run/cpu-mode.ts';
import { firmwareLayout } from '../../lib/cli/run/firmware.ts';
import { programLayout, ramRanges } from '../../lib/cli/run/layout.ts';
import { PciHost } from '../../lib/cli/run/board/pci-host.ts';

const MIB = 2 ** 20;
const hlt = Uint8Array.of(0xf4);

test('a flat binary starts in real mode at 0x1000, its stack below', (t) => {
  const layout = programLayout(hlt, { memory: 16 * MIB });
  t.like(layout, { kind: 'flat', mode: 'real' });
  t.deepEqual(layout.placements, [{ address: 0x1000, bytes: hlt }]);
  t.deepEqual(layout.start.regs, { rip: 0x1000n, rsp: 0x1000n, rflags: 2n });
  t.like(layout.start.sregs.cs, { base: 0n, selector: 0 });
});

test('real mode above 64 KiB: the segment takes the high bits', (t) => {
  const { start } = programLayout(hlt, { memory: 16 * MIB, load: 0x2_0000, entry: 0x2_1234 });
  t.like(start.sregs.cs, { base: 0x2_0000n, selector: 0x2000 });
  t.like(start.regs, { rip: 0x1234n, rsp: 0xfff0n });
});

/** Walks the page tables as the processor would. */
function translate(
  tables: readonly { address: number; bytes: Uint8Array }[],
  cr3: bigint,
  address: bigint,
): bigint {
  const entry = (table: bigint, index: bigint): bigint => {
    const page = tables.find((candidate) => BigInt(candidate.address) === table)!;
    return new DataView(page.bytes.buffer).getBigUint64(Number(index) * 8, true);
  };
  const present = (value: bigint): bigint => {
    if ((value & 1n) === 0n) throw new Error('not present');
    return value & 0x000f_ffff_ffff_f000n;
  };
  const pdpt = present(entry(cr3, (address >> 39n) & 511n));
  const directory = present(entry(pdpt, (address >> 30n) & 511n));
  const leaf = entry(directory, (address >> 21n) & 511n);
  if ((leaf & 0x80n) === 0n) throw new Error('no 2 MiB page');
  return (present(leaf) & ~0x1f_ffffn) | (address & 0x1f_ffffn);
}

test('long mode: everything up to 4 GiB is mapped one to one, the tables lie at the end of memory', (t) => {
  const { start, placements } = programLayout(hlt, { memory: 16 * MIB, mode: 'long' });
  const { sregs, regs, tables } = start;
  for (const address of [0n, 0x1000n, 0x1f_ffffn, 0x20_0000n, 0x4000_0000n, 0xc012_3456n, 0xffff_ffffn]) {
    t.is(translate(tables, sregs.cr3!, address), address);
  }
  t.throws(() => translate(tables, sregs.cr3!, 0x1_0000_0000n));
  t.like(sregs, { efer: 0x500n, cr4: 0x620n, cr0: 0x8001_0031n });
  t.like(sregs.cs, { l: 1, db: 0 });
  const first = Number(sregs.gdt!.base);
  t.is(first, 16 * MIB - tablesSize('long', 16 * MIB));
  t.is(regs.rsp, BigInt(first));
  t.is(placements.length, 1 + tables.length);
  t.is(Math.max(...tables.map(({ address }) => address)) + 0x1000, 16 * MIB);
});

test('memory beyond 3 GiB goes on at 4 GiB, and long mode maps it', (t) => {
  const memory = 6 * 2 ** 30;
  t.deepEqual(ramRanges(memory), [
    { guestAddress: 0, size: 0xc000_0000 },
    { guestAddress: 2 ** 32, size: 3 * 2 ** 30 },
  ]);
  const { start } = programLayout(hlt, { memory, mode: 'long' });
  t.is(translate(start.tables, start.sregs.cr3!, 0x1_bfff_ffffn), 0x1_bfff_ffffn);
});

test('protected mode: flat descriptors', (t) => {
  const { sregs, tables } = cpuStart({
    mode: 'protected',
    entry: 0x10_0000,
    stackTop: 0x8000,
    tables: 0x9000,
    mapped: MIB,
  });
  t.like(sregs.cs, { limit: 0xffff_ffff, db: 1, l: 0, selector: 8 });
  const gdt = new DataView(tables[0]!.bytes.buffer);
  t.is(gdt.getBigUint64(8, true), 0x00cf_9b00_0000_ffffn);
  t.is(gdt.getBigUint64(16, true), 0x00cf_9300_0000_ffffn);
});

for (const [what, make] of [
  ['an empty image', () => programLayout(new Uint8Array(), { memory: MIB })],
  ['an image beyond memory', () => programLayout(new Uint8Array(MIB), { memory: MIB })],
  ['an image in the hole', () => programLayout(hlt, { memory: 6 * 2 ** 30, load: 0xd000_0000 })],
  ['an entry outside memory', () => programLayout(hlt, { memory: MIB, entry: MIB })],
  ['a real-mode entry above 1 MiB', () => programLayout(hlt, { memory: 16 * MIB, load: 2 * MIB })],
  ['an image where the tables go', () => programLayout(hlt, { memory: MIB, load: MIB - 1, mode: 'long' })],
  ['memory that is no pages', () => programLayout(hlt, { memory: 5000 })],
  ['no memory', () => programLayout(hlt, { memory: 0 })],
  ['memory too small for the tables', () => programLayout(hlt, { memory: 0x3000, mode: 'long' })],
  ['a firmware of odd size', () => firmwareLayout(new Uint8Array(100_000), 16 * MIB)],
  ['a firmware of 32 MiB', () => firmwareLayout(new Uint8Array(32 * MIB), 64 * MIB)],
  ['a firmware with too little memory', () => firmwareLayout(new Uint8Array(128 * 1024), MIB)],
] as const) {
  test(`refused: ${what}`, (t) => {
    t.throws(make, { code: 'ERR_USAGE' });
  });
}

test('an ELF refuses --load', (t) => {
  const elf = Uint8Array.of(0x7f, 0x45, 0x4c, 0x46);
  t.throws(() => programLayout(elf, { memory: MIB, load: 0 }), { code: 'ERR_USAGE' });
  t.is(programLayout(elf, { memory: MIB, load: 0, format: 'flat' }).kind, 'flat');
});

test('firmware ends at 4 GiB, its last 128 KiB end at 1 MiB', (t) => {
  const image = new Uint8Array(256 * 1024).map((_, index) => index >> 10);
  const { rom, shadow } = firmwareLayout(image, 16 * MIB);
  t.is(rom.guestAddress + rom.size, 2 ** 32);
  t.is(shadow.address, 0xe_0000);
  t.deepEqual(shadow.bytes, image.slice(128 * 1024));
});

test('the PCI host bridge answers as the one that SeaBIOS looks for, alone on its bus', (t) => {
  const host = new PciHost();
  const config = (bdf: number, register: number): number => 0x8000_0000 + (bdf << 8) + register;
  host.write(0, config(0, 0), 4);
  t.is(host.read(0, 4), config(0, 0));
  t.is(host.read(4, 4), 0x1237_8086);
  t.is(host.read(6, 2), 0x1237);
  host.write(4, 0, 4);
  t.is(host.read(4, 4), 0x1237_8086, 'the identity is read-only');
  host.write(0, config(0, 0x2c), 4);
  t.is(host.read(4, 4), 0x1100_1af4);
  host.write(0, config(0, 0x58), 4);
  host.write(5, 0x30, 1);
  t.is(host.read(5, 1), 0x30, 'PAM registers are storage');
  host.write(0, config(1 << 3, 0), 4);
  t.is(host.read(4, 4), 0xffff_ffff, 'no other device');
  host.write(0, config(0, 0) - 0x8000_0000, 4);
  t.is(host.read(4, 2), 0xffff, 'not enabled');
});
