/** Flat images: where they go, and the state in which they start. */
import test, { type ExecutionContext } from 'ava';

import type { FlatImage, Machine } from '../../index.ts';
import { POWER_OFF, flat, guest, makeMachine, print, soon, startMachine } from '../helpers/whole-machine.ts';

/** Where the guests entry-real, entry-protected and entry-long note their registers. */
const NOTES = 0x2000;

/** Runs one of them to its end and gives what it noted. */
async function notesOf(t: ExecutionContext, name: string): Promise<{ machine: Machine; notes: DataView }> {
  const machine = await startMachine(t, guest(name));
  t.like(await soon('the end', machine.exited), { reason: 'poweroff' });
  const bytes = machine.vm.memory.read(NOTES, 0x100);
  return { machine, notes: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) };
}

/** Words from an offset of the notes. */
function words(notes: DataView, at: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => notes.getUint16(at + 2 * index, true));
}

const CR0_PE = 1;
const CR0_PG = 2 ** 31;

test('real mode: flat segments, interrupts off, no paging', async (t) => {
  const { notes } = await notesOf(t, 'entry-real');
  const [eax, ebx, ecx, , esi, edi, ebp, esp, eflags, cr0] = Array.from({ length: 10 }, (_, index) =>
    notes.getUint32(4 * index, true),
  );
  t.deepEqual([eax, ebx, ecx, esi, edi, ebp, esp], [0, 0, 0, 0, 0, 0, 0]);
  t.is(eflags! & 0x202, 2);
  t.is(cr0! & CR0_PE, 0);
  t.deepEqual(words(notes, 0x28, 6), [0, 0, 0, 0, 0, 0]);
});

test('protected mode: flat segments of a table in memory, interrupts and paging off', async (t) => {
  const { machine, notes } = await notesOf(t, 'entry-protected');
  const [eax, ebx, , , , , , , eflags, cr0, , cr4] = Array.from({ length: 12 }, (_, index) =>
    notes.getUint32(4 * index, true),
  );
  t.deepEqual([eax, ebx, eflags! & 0x202, cr4], [0, 0, 2, 0]);
  t.is(cr0! & CR0_PE, CR0_PE);
  t.is(cr0! >>> 31, 0);
  t.deepEqual(words(notes, 0x30, 7), [0x10, 0x18, 0x18, 0x18, 0x18, 0x18, 0x20]);
  const gdt = notes.getUint32(0x40, true);
  t.is(notes.getUint16(0x3e, true), 47, 'the limit of the table');
  t.is(machine.placed.find(({ name }) => name === 'GDT')?.address, gdt);
  // Intel SDM volume 3, 3.4.5: present, code that is read, 32-bit, base 0, limit 4 GiB; likewise data.
  t.is(machine.vm.memory.readBigUint64(gdt + 0x10), 0x00cf_9b00_0000_ffffn);
  t.is(machine.vm.memory.readBigUint64(gdt + 0x18), 0x00cf_9300_0000_ffffn);
});

test('long mode: a stack, page tables, 64-bit code, interrupts off', async (t) => {
  const { machine, notes } = await notesOf(t, 'entry-long');
  const quads = Array.from({ length: 13 }, (_, index) => notes.getBigUint64(8 * index, true));
  const [rax, rbx, , , rsi, , , rsp, rflags, cr0, cr3, cr4, efer] = quads;
  t.deepEqual([rax, rbx, rsi, rflags! & 0x202n], [0n, 0n, 0n, 2n]);
  t.is(cr0! & BigInt(CR0_PE + CR0_PG), BigInt(CR0_PE + CR0_PG));
  t.is(cr4! & 0x20n, 0x20n, 'PAE');
  t.is(efer! & 0x500n, 0x500n, 'LME and LMA');
  t.is(machine.placed.find(({ name }) => name === 'page tables')?.address, Number(cr3));
  t.true(rsp! > 0x1000n && rsp! < cr3!, `the stack is at ${rsp}`);
  t.deepEqual(words(notes, 0x68, 7), [0x10, 0x18, 0x18, 0x18, 0x18, 0x18, 0x20]);
  t.is(
    machine.vm.memory.readBigUint64(Number(notes.getBigUint64(0x78, true)) + 0x10),
    0x00af_9b00_0000_ffffn,
  );
});

test('real mode above 64 KiB: the segments take the high bits', async (t) => {
  // mov ax, cs; mov bx, ds; mov cx, es; mov dx, ss; call next; next: pop si; then off
  const code = [0x8c, 0xc8, 0x8c, 0xdb, 0x8c, 0xc1, 0x8c, 0xd2, 0xe8, 0, 0, 0x5e];
  const rest = [0x89, 0xd7, ...POWER_OFF]; // mov di, dx
  const machine = await startMachine(t, {
    kernel: Uint8Array.from([0x90, ...code, ...rest]),
    protocol: 'flat',
    flat: { address: 0x2_1233, entry: 0x2_1234 },
  });
  await soon('the end', machine.exited);
  const { rbx, rcx, rsi, rdi } = machine.vm.vcpus[0]!.getRegs();
  t.deepEqual([rbx, rcx, rdi, rsi], [0x2000n, 0x2000n, 0x2000n, 0x123fn]);
  t.is(machine.vm.vcpus[0]!.getSregs().cs.selector, 0x2000);
});

/** Places for an image that prints and powers off; each is position-independent. */
const PLACES: readonly (readonly [name: string, flat: FlatImage | undefined, mode: 16 | 32 | 64])[] = [
  ['by default', undefined, 16],
  ['in the first page', { address: 0x600 }, 16],
  ['at the top of what real mode reaches', { address: 0x9_f000 }, 16],
  ['above 1 MiB', { address: 0x10_0000, mode: 'protected' }, 32],
  ['at the end of memory', { address: 0x1f_f000, mode: 'long' }, 64],
  ['entered in its middle', { address: 0x7c00, entry: 0x7c05 }, 16],
];

for (const [name, place, mode] of PLACES) {
  test(`an image ${name}`, async (t) => {
    // In 32-bit and 64-bit code `mov dx` has a prefix.
    const code = [...print('here'), ...POWER_OFF];
    const fit = mode === 16 ? code : code.flatMap((byte) => (byte === 0xba ? [0x66, byte] : [byte]));
    const before = place?.entry === undefined ? [] : Array.from({ length: 5 }, () => 0xf4);
    const machine = await startMachine(t, {
      kernel: Uint8Array.from([...before, ...fit]),
      protocol: 'flat',
      ...(place === undefined ? {} : { flat: place }),
    });
    t.deepEqual(await soon('the end', machine.exited), { reason: 'poweroff', consoleTail: 'here' });
    const { address, length } = machine.placed.find((one) => one.name === 'flat image')!;
    t.deepEqual([address, length], [place?.address ?? 0x7c00, before.length + fit.length]);
  });
}

/** What is refused, and with which words. */
const REFUSED: readonly (readonly [name: string, config: object, message: RegExp])[] = [
  [
    'an image over the end of memory',
    { flat: { address: 0x1f_ffff, mode: 'long' } },
    /^memory: flat image needs/,
  ],
  ['an image far away', { flat: { address: 2 ** 40, mode: 'long' } }, /^kernel: the entry of the flat image/],
  [
    'an entry before it',
    { flat: { address: 0x7c00, entry: 0x7bff } },
    /^kernel: the entry of the flat image/,
  ],
  [
    'an entry behind it',
    { flat: { address: 0x7c00, entry: 0x8000 } },
    /^kernel: the entry of the flat image/,
  ],
  [
    'real mode above 1 MiB',
    { flat: { address: 0x10_0000 } },
    /^kernel: the entry .* is 0x100000.* below 1 MiB/,
  ],
  [
    'an image on the ACPI tables',
    { flat: { address: 0xe_0000 } },
    /^kernel: flat image at .* overlaps ACPI tables/,
  ],
  [
    'an image on the MP table',
    { flat: { address: 0x9_fff0 } },
    /^kernel: flat image at .* overlaps MP table/,
  ],
  ['an image on the page tables', { flat: { address: 0x9000, mode: 'long' } }, /overlaps page tables/],
  ['an image on the GDT', { flat: { address: 0x500, mode: 'protected' } }, /overlaps GDT/],
  ['nothing at all', { kernel: new Uint8Array(0) }, /^kernel: the image is empty$/],
  ['an initrd', { initrd: Uint8Array.of(1) }, /^initrd: the protocol flat takes no initrd$/],
  ['a command line', { cmdline: 'x' }, /^cmdline: the protocol flat takes no cmdline$/],
  ['modules', { modules: [{ image: Uint8Array.of(1) }] }, /^modules: the protocol flat takes no modules$/],
  ['no room for tables', { memory: '512K' }, /^memory: MP table needs/],
];

for (const [name, config, message] of REFUSED) {
  test(`refused: ${name}`, async (t) => {
    const kernel = Uint8Array.from([...print('x'), ...POWER_OFF]);
    await t.throwsAsync(makeMachine(t, { kernel, protocol: 'flat', ...config }), {
      code: 'ERR_KVM_BOOT',
      message,
    });
  });
}

test('without ACPI there is room where the tables would be', async (t) => {
  const kernel = Uint8Array.from([...print('x'), ...POWER_OFF]);
  const config = { kernel, protocol: 'flat', acpi: false, flat: { address: 0xe_0000 } } as const;
  const machine = await startMachine(t, config);
  t.like(await soon('the end', machine.exited), { consoleTail: 'x' });
  t.deepEqual(
    machine.placed.map(({ name }) => name),
    ['MP table', 'flat image'],
  );
});

test('what was placed is told by address', async (t) => {
  const machine = await makeMachine(t, flat(POWER_OFF));
  const addresses = machine.placed.map(({ address }) => address);
  t.deepEqual(
    addresses,
    addresses.toSorted((a, b) => a - b),
  );
  t.true(machine.placed.every(({ length }) => length > 0));
  t.like(machine.placed[0], { name: 'flat image', address: 0x7c00, length: POWER_OFF.length });
});
