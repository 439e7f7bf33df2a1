import * as fc from 'fast-check';
import test from 'ava';

import { ElfError, parseElf } from '../../lib/cli/run/elf.ts';

interface Shape {
  bits?: 32 | 64;
  machine?: number;
  type?: number;
  entry?: bigint;
  phoff?: bigint;
  phentsize?: number;
  phnum?: number;
  segments?: {
    type?: number;
    offset?: bigint;
    vaddr?: bigint;
    paddr?: bigint;
    filesz?: bigint;
    memsz?: bigint;
  }[];
  /** Bytes after the headers. */
  body?: number;
}

/** Where a program header has its offset, vaddr, paddr, filesz and memsz. */
const wideFields = [8, 16, 24, 32, 40] as const;
const narrowFields = [4, 8, 12, 16, 20] as const;

/** Writes an ELF that is right unless the shape says otherwise. */
function elf(shape: Shape = {}): Uint8Array {
  const bits = shape.bits ?? 64;
  const wide = bits === 64;
  const [headerSize, phentsize] = wide ? [64, 56] : [52, 32];
  const segments = shape.segments ?? [{}];
  const bodyAt = headerSize + phentsize * segments.length;
  const bytes = new Uint8Array(bodyAt + (shape.body ?? 16));
  bytes.fill(0xf4, bodyAt);
  const view = new DataView(bytes.buffer);
  const word = (at: number, value: bigint): void =>
    wide ? view.setBigUint64(at, value, true) : view.setUint32(at, Number(BigInt.asUintN(32, value)), true);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1]);
  view.setUint16(16, shape.type ?? 2, true);
  view.setUint16(18, shape.machine ?? (wide ? 62 : 3), true);
  word(24, shape.entry ?? 0x10_0000n);
  word(wide ? 32 : 28, shape.phoff ?? BigInt(headerSize));
  view.setUint16(wide ? 54 : 42, shape.phentsize ?? phentsize, true);
  view.setUint16(wide ? 56 : 44, shape.phnum ?? segments.length, true);
  segments.forEach((segment, index) => {
    const at = headerSize + index * phentsize;
    const [offset, vaddr, paddr, filesz, memsz] = wide ? wideFields : narrowFields;
    view.setUint32(at, segment.type ?? 1, true);
    word(at + offset, segment.offset ?? BigInt(bodyAt));
    word(at + paddr, segment.paddr ?? 0x10_0000n);
    word(at + vaddr, segment.vaddr ?? segment.paddr ?? 0x10_0000n);
    word(at + filesz, segment.filesz ?? 16n);
    word(at + memsz, segment.memsz ?? 32n);
  });
  return bytes;
}

for (const bits of [32, 64] as const) {
  test(`${bits} bits: entry and segments`, (t) => {
    const image = parseElf(elf({ bits, entry: 0x10_0004n }));
    t.is(image.class, bits);
    t.is(image.entry, 0x10_0004);
    t.like(image.segments, [{ address: 0x10_0000, memorySize: 32 }]);
    t.deepEqual(image.segments[0]!.bytes, new Uint8Array(16).fill(0xf4));
  });

  test(`${bits} bits: cut off anywhere, it is an ElfError`, (t) => {
    const whole = elf({ bits });
    for (let length = 0; length < whole.length; length++) {
      t.throws(() => parseElf(whole.subarray(0, length)), { instanceOf: ElfError }, `${length} bytes`);
    }
  });
}

test('a program linked high and loaded low starts where it was loaded', (t) => {
  const image = parseElf(
    elf({ entry: 0xffff_ffff_8000_0008n, segments: [{ vaddr: 0xffff_ffff_8000_0000n, paddr: 0x20_0000n }] }),
  );
  t.is(image.entry, 0x20_0008);
});

test('segments come sorted; empty and other ones are left out', (t) => {
  const image = parseElf(
    elf({
      segments: [
        { paddr: 0x30_0000n },
        { paddr: 0x10_0000n },
        { type: 0x6474e551, filesz: 1n << 60n },
        { paddr: 0x20_0000n, filesz: 0n, memsz: 0n },
      ],
    }),
  );
  t.deepEqual(
    image.segments.map(({ address }) => address),
    [0x10_0000, 0x30_0000],
  );
});

const bytesChanged = (change: (bytes: Uint8Array) => void): Uint8Array => {
  const bytes = elf();
  change(bytes);
  return bytes;
};

for (const [what, bytes, code] of [
  ['text', new TextEncoder().encode('#!/bin/sh\necho'), 'ERR_ELF_NOT_ELF'],
  ['class 0', bytesChanged((b) => b.fill(0, 4, 5)), 'ERR_ELF_CLASS'],
  ['class 3', bytesChanged((b) => b.fill(3, 4, 5)), 'ERR_ELF_CLASS'],
  ['big-endian', bytesChanged((b) => b.fill(2, 5, 6)), 'ERR_ELF_ENCODING'],
  ['version 9', bytesChanged((b) => b.fill(9, 6, 7)), 'ERR_ELF_ENCODING'],
  ['ARM', elf({ machine: 183 }), 'ERR_ELF_MACHINE'],
  ['i386 in 64 bits', elf({ machine: 3 }), 'ERR_ELF_MACHINE'],
  ['x86-64 in 32 bits (x32)', elf({ bits: 32, machine: 62 }), 'ERR_ELF_MACHINE'],
  ['an object file', elf({ type: 1 }), 'ERR_ELF_TYPE'],
  ['position-independent', elf({ type: 3 }), 'ERR_ELF_TYPE'],
  ['dynamic', elf({ segments: [{ type: 3 }, {}] }), 'ERR_ELF_TYPE'],
  ['no headers', elf({ phnum: 0 }), 'ERR_ELF_HEADERS'],
  ['extended numbering', elf({ phnum: 0xffff }), 'ERR_ELF_HEADERS'],
  ['a header size of 0', elf({ phentsize: 0 }), 'ERR_ELF_HEADERS'],
  ['more headers than file', elf({ phnum: 0xfffe }), 'ERR_ELF_TRUNCATED'],
  ['headers at 2^64 - 1', elf({ phoff: 2n ** 64n - 1n }), 'ERR_ELF_TRUNCATED'],
  ['nothing to load', elf({ segments: [{ type: 4 }] }), 'ERR_ELF_SEGMENT'],
  ['more in the file than in memory', elf({ segments: [{ filesz: 16n, memsz: 8n }] }), 'ERR_ELF_SEGMENT'],
  [
    'a segment beyond the file',
    elf({ segments: [{ filesz: 1n << 40n, memsz: 1n << 40n }] }),
    'ERR_ELF_TRUNCATED',
  ],
  ['a segment whose end wraps', elf({ segments: [{ offset: 2n ** 64n - 8n }] }), 'ERR_ELF_TRUNCATED'],
  ['an address beyond 52 bits', elf({ segments: [{ paddr: 1n << 52n }] }), 'ERR_ELF_SEGMENT'],
  ['an address that wraps', elf({ segments: [{ paddr: 2n ** 64n - 1n }] }), 'ERR_ELF_SEGMENT'],
  ['overlapping segments', elf({ segments: [{}, { paddr: 0x10_001fn }] }), 'ERR_ELF_SEGMENT'],
  ['an entry outside', elf({ entry: 0x10_0020n }), 'ERR_ELF_ENTRY'],
] as const) {
  test(`refused: ${what}`, (t) => {
    t.throws(() => parseElf(bytes), { instanceOf: ElfError, code });
  });
}

test('whatever is changed in an ELF, it is parsed or refused, and what is parsed lies in the file', (t) => {
  const template = elf({ segments: [{}, { paddr: 0x20_0000n }] });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(template.length - 1), fc.integer({ min: 0, max: 255 })), { maxLength: 8 }),
      fc.nat(template.length),
      (changes, length) => {
        const bytes = template.slice(0, Math.max(length, 24));
        for (const [at, value] of changes) if (at >= 4 && at < bytes.length) bytes[at] = value;
        try {
          for (const segment of parseElf(bytes).segments) {
            if (segment.bytes.length > segment.memorySize || !Number.isSafeInteger(segment.address))
              return false;
          }
          return true;
        } catch (error) {
          return error instanceof ElfError;
        }
      },
    ),
    { numRuns: 5000 },
  );
  t.pass();
});
