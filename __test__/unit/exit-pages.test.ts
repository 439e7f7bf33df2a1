// Every exit reason that x86_64 KVM has, from pages as KVM would fill them: most cannot be had from a guest at will.
import { inspect } from 'node:util';

import test, { type ExecutionContext } from 'ava';

import type { Exit, IoOutExit } from '../../index.ts';
import { STATUS } from '../../lib/generated/control-page.ts';
import { EXIT_REASONS } from '../../lib/generated/exit-reasons.ts';
import { RUN } from '../../lib/generated/run-page.ts';
import { EXIT_KINDS } from '../../lib/internal/exits/kinds.ts';
import { ExitSet, copyExit, reasonName, type AnyExit } from '../../lib/internal/exits/set.ts';
import { stepExit } from '../../lib/internal/exits/step.ts';
import { RunView } from '../../lib/internal/run-view.ts';

const PAGES = 5;
const DATA = 4096;
const CONTROL = 3 * 4096;

/** The union of struct kvm_run begins here. Offsets below are those of linux/kvm.h, written out once more. */
const UNION = 32;

interface Page {
  view: RunView;
  exits: ExitSet;
  stops: () => number;
}

function makePage(reason: number): Page {
  const view = new RunView(new ArrayBuffer(PAGES * 4096), CONTROL);
  view.u32[2] = reason;
  let stops = 0;
  const exits = new ExitSet({ view, requestStop: () => void stops++, checkCurrent: () => {} });
  return { view, exits, stops: () => stops };
}

interface Field {
  at: number;
  bits: 8 | 16 | 32 | 64;
  value: number | bigint;
}

const u8 = (at: number, value: number): Field => ({ at: UNION + at, bits: 8, value });
const u32 = (at: number, value: number): Field => ({ at: UNION + at, bits: 32, value });
const u64 = (at: number, value: bigint): Field => ({ at: UNION + at, bits: 64, value });

function fill({ view: { data } }: Page, fields: readonly Field[]): void {
  for (const { at, bits, value } of fields) {
    if (bits === 8) data.setUint8(at, Number(value));
    else if (bits === 16) data.setUint16(at, Number(value), true);
    else if (bits === 32) data.setUint32(at, Number(value), true);
    else data.setBigUint64(at, BigInt(value), true);
  }
}

/** The exit that a page has, as its handler and as a copy would see it. */
function readExit(t: ExecutionContext, reason: number, fields: readonly Field[]): Exit {
  const page = makePage(reason);
  fill(page, fields);
  const exit = page.exits.other();
  const copy = copyExit(exit);
  for (const [name, value] of Object.entries(copy)) {
    t.deepEqual((exit as unknown as Record<string, unknown>)[name], value, name);
  }
  exit.stop();
  t.is(page.stops(), 1);
  return copy;
}

const BIG = 0xfedc_ba98_7654_3210n;

const onArm = process.arch === 'arm64';
const DEBUG: Exit = { kind: 'debug', exception: 1, pc: BIG, dr6: 0x4000n, dr7: 0x400n };
const ARM_DEBUG: Exit = { kind: 'armDebug', hsr: 0x1_f200_0000n, far: BIG };

const CASES: [name: string, reason: number, fields: Field[], expected: Exit][] = [
  ['unknown', 0, [u64(0, BIG)], { kind: 'unknown', reason: 0, hardwareExitReason: BIG }],
  ['exception', 1, [u32(0, 14), u32(4, 2)], { kind: 'exception', exception: 14, errorCode: 2 }],
  [
    'hypercall',
    3,
    [u64(0, 12n), ...[1n, 2n, 3n, 4n, 5n, BIG].map((value, at) => u64(8 + 8 * at, value)), u32(64, 1)],
    { kind: 'hypercall', nr: 12n, args: [1n, 2n, 3n, 4n, 5n, BIG], longmode: true },
  ],
  // What the page of a debug exit holds depends on the processor.
  onArm
    ? ['armDebug', 4, [u32(0, 0xf200_0000), u32(4, 1), u64(8, BIG)], ARM_DEBUG]
    : ['debug', 4, [u32(0, 1), u64(8, BIG), u64(16, 0x4000n), u64(24, 0x400n)], DEBUG],
  ['hlt', 5, [], { kind: 'hlt' }],
  ['irqWindowOpen', 7, [], { kind: 'irqWindowOpen' }],
  ['shutdown', 8, [], { kind: 'shutdown' }],
  ['failEntry', 9, [u64(0, BIG), u32(8, 3)], { kind: 'failEntry', hardwareEntryFailureReason: BIG, cpu: 3 }],
  ['intr', 10, [], { kind: 'intr' }],
  ['setTpr', 11, [], { kind: 'setTpr' }],
  ['tprAccess', 12, [u64(0, BIG), u32(8, 1)], { kind: 'tprAccess', rip: BIG, isWrite: true }],
  ['nmi', 16, [], { kind: 'nmi' }],
  [
    'internalError of delivery',
    17,
    [u32(0, 3), u32(4, 2), u64(8, 7n), u64(16, BIG), u64(24, 99n)],
    { kind: 'internalError', suberror: 3, data: [7n, BIG] },
  ],
  [
    'internalError of emulation, with the instruction',
    17,
    [u32(0, 1), u32(4, 3), u64(8, 1n), u8(16, 2), u8(17, 0xd9), u8(18, 0x17), u8(19, 0xff)],
    {
      kind: 'internalError',
      suberror: 1,
      data: [1n, 0xff_17d9_02n, 0n],
      instruction: Uint8Array.of(0xd9, 0x17),
    },
  ],
  [
    'internalError of emulation, without the instruction',
    17,
    [u32(0, 1), u32(4, 0), u64(8, 1n), u8(16, 2)],
    { kind: 'internalError', suberror: 1, data: [] },
  ],
  [
    'systemEvent',
    24,
    [u32(0, 2), u32(4, 3), u64(8, 1n), u64(16, 2n), u64(24, BIG)],
    { kind: 'systemEvent', type: 2, data: [1n, 2n, BIG] },
  ],
  ['ioapicEoi', 26, [u8(0, 0x31)], { kind: 'ioapicEoi', vector: 0x31 }],
  [
    'hyperv SynIC',
    27,
    [u32(0, 1), u32(8, 0x4000_0080), u64(16, 1n), u64(24, 2n), u64(32, BIG)],
    { kind: 'hyperv', type: 1, msr: 0x4000_0080, control: 1n, params: [2n, BIG] },
  ],
  [
    'hyperv hypercall',
    27,
    [u32(0, 2), u64(8, BIG), u64(16, 77n), u64(24, 2n), u64(32, 3n)],
    { kind: 'hyperv', type: 2, msr: 0, control: BIG, params: [2n, 3n] },
  ],
  [
    'armNisv',
    28,
    [u64(0, 0x1_0047n), u64(8, 0x900_0000n)],
    { kind: 'armNisv', esrIss: 0x1_0047n, faultIpa: 0x900_0000 },
  ],
  ['x86Rdmsr', 29, [u32(8, 2), u32(12, 0xc000_0080)], { kind: 'x86Rdmsr', index: 0xc000_0080, why: 2 }],
  [
    'x86Wrmsr',
    30,
    [u32(8, 4), u32(12, 0x10), u64(16, BIG)],
    { kind: 'x86Wrmsr', index: 0x10, why: 4, data: BIG },
  ],
  ['dirtyRingFull', 31, [], { kind: 'dirtyRingFull' }],
  ['apResetHold', 32, [], { kind: 'apResetHold' }],
  ['x86BusLock', 33, [], { kind: 'x86BusLock' }],
  [
    'xen',
    34,
    [
      u32(0, 1),
      u32(8, 1),
      u32(12, 3),
      u64(16, 29n),
      u64(24, 0n),
      ...[1n, 2n, 3n, 4n, 5n, BIG].map((value, at) => u64(32 + 8 * at, value)),
    ],
    { kind: 'xen', type: 1, longmode: true, cpl: 3, input: 29n, params: [1n, 2n, 3n, 4n, 5n, BIG] },
  ],
  ['notify', 37, [u32(0, 1)], { kind: 'notify', flags: 1 }],
  [
    'memoryFault',
    39,
    [u64(0, 8n), u64(8, 0x1_2345_6000n), u64(16, 0x1000n)],
    { kind: 'memoryFault', flags: 8n, gpa: 0x1_2345_6000, size: 0x1000 },
  ],
  ['a reason of another architecture', EXIT_REASONS.epr, [], { kind: 'unknown', reason: 23 }],
  ['a reason of the future', 63, [], { kind: 'unknown', reason: 63 }],
  ['a reason beyond the counters', 1000, [], { kind: 'unknown', reason: 1000 }],
];

for (const [name, reason, fields, expected] of CASES) {
  test(`the page of ${name}`, (t) => {
    t.deepEqual(readExit(t, reason, fields), expected);
  });
}

test('every kind of exit has a page here', (t) => {
  const accesses = ['ioIn', 'ioOut', 'mmioRead', 'mmioWrite', onArm ? 'debug' : 'armDebug'];
  const seen = new Set([...CASES.map(([, , , exit]) => exit.kind as string), ...accesses]);
  t.deepEqual([...seen].toSorted(), [...EXIT_KINDS].toSorted());
});

test('numbers of data beyond what the page holds are cut', (t) => {
  const internal = readExit(t, 17, [u32(0, 3), u32(4, 0xffff_ffff)]);
  t.is(internal.kind === 'internalError' && internal.data.length, 16);
  const event = readExit(t, 24, [u32(0, 1), u32(4, 0xffff_ffff)]);
  t.is(event.kind === 'systemEvent' && event.data.length, 16);
  const emulation = readExit(t, 17, [u32(0, 1), u32(4, 4), u64(8, 1n), u8(16, 255)]);
  t.is(emulation.kind === 'internalError' && emulation.instruction?.length, 15);
});

test('every reason has a name for the counters', (t) => {
  t.is(reasonName(EXIT_REASONS.io), 'io');
  t.is(reasonName(EXIT_REASONS.mmio), 'mmio');
  t.is(reasonName(EXIT_REASONS.hlt), 'hlt');
  t.is(reasonName(EXIT_REASONS.x86Rdmsr), 'x86Rdmsr');
  t.is(reasonName(EXIT_REASONS.s390Sieic), 'unknown');
  t.is(reasonName(63), 'unknown');
});

// ---- port accesses

function ioPage(size: number, count: number): Page {
  const page = makePage(EXIT_REASONS.io);
  fill(page, [u8(1, size), { at: UNION + 2, bits: 16, value: 0x3f8 }, u32(4, count), u64(8, BigInt(DATA))]);
  return page;
}

for (const [size, value] of [
  [1, 1],
  [2, 0x0201],
  [4, 0x0403_0201],
] as const) {
  test(`a port write of 3 elements of ${size} bytes`, (t) => {
    const { view, exits } = ioPage(size, 3);
    for (let byte = 0; byte < size * 3; byte++) view.u8[DATA + byte] = byte + 1;
    t.deepEqual(copyExit(exits.ioOut), {
      kind: 'ioOut',
      port: 0x3f8,
      size,
      count: 3,
      value,
      data: Uint8Array.from({ length: size * 3 }, (_, byte) => byte + 1),
    });
  });

  test(`a port read of 3 elements of ${size} bytes, answered`, (t) => {
    const { view, exits } = ioPage(size, 3);
    t.deepEqual(copyExit(exits.ioIn), { kind: 'ioIn', port: 0x3f8, size, count: 3 });
    exits.ioIn.reply(value);
    const element = Array.from({ length: size }, (_, byte) => byte + 1);
    t.deepEqual(Array.from(view.u8.subarray(DATA, DATA + size * 3)), [...element, ...element, ...element]);
    const bytes = Uint8Array.from({ length: size * 3 }, (_, byte) => 100 + byte);
    exits.ioIn.reply(bytes);
    t.deepEqual(view.u8.slice(DATA, DATA + size * 3), bytes);
    t.is(view.u8[DATA + size * 3], 0);
    t.throws(() => exits.ioIn.reply(2 ** (size * 8)), { code: 'ERR_OUT_OF_RANGE' });
    t.throws(() => exits.ioIn.reply(bytes.subarray(1)), { code: 'ERR_OUT_OF_RANGE' });
  });
}

// ---- memory accesses

function mmioPage(size: number, bytes: readonly number[] = []): Page {
  const page = makePage(EXIT_REASONS.mmio);
  fill(page, [u64(0, 0xf_0000_1000n), ...bytes.map((byte, at) => u8(8 + at, byte)), u32(16, size)]);
  return page;
}

for (let size = 1; size <= 8; size++) {
  const bytes = [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11];
  const whole = BigInt.asUintN(size * 8, 0x1122_3344_5566_7788n);

  test(`a memory write of ${size} bytes`, (t) => {
    t.deepEqual(copyExit(mmioPage(size, bytes).exits.mmioWrite), {
      kind: 'mmioWrite',
      address: 0xf_0000_1000,
      size,
      value: Number(BigInt.asUintN(32, whole)),
      value64: whole,
    });
  });

  test(`a memory read of ${size} bytes, answered`, (t) => {
    const { view, exits } = mmioPage(size);
    const data = (): number[] => Array.from(view.u8.subarray(UNION + 8, UNION + 16));
    t.deepEqual(copyExit(exits.mmioRead), { kind: 'mmioRead', address: 0xf_0000_1000, size });
    const expected = [...bytes.slice(0, size), ...Array.from({ length: 8 - size }, () => 0)];
    exits.mmioRead.reply(whole);
    t.deepEqual(data(), expected);
    exits.mmioRead.reply(0);
    t.deepEqual(data(), [0, 0, 0, 0, 0, 0, 0, 0]);
    exits.mmioRead.reply(Uint8Array.from(bytes.slice(0, size)));
    t.deepEqual(data(), expected);
    if (size <= 4) {
      exits.mmioRead.reply(Number(whole));
      t.deepEqual(data(), expected);
    }
    t.throws(() => exits.mmioRead.reply(1n << BigInt(size * 8)), { code: 'ERR_OUT_OF_RANGE' });
    t.throws(() => exits.mmioRead.reply(-1), { code: 'ERR_OUT_OF_RANGE' });
    t.throws(() => exits.mmioRead.reply(new Uint8Array(size + 1)), { code: 'ERR_OUT_OF_RANGE' });
    t.throws(() => exits.mmioRead.reply('1' as never), { code: 'ERR_INVALID_ARG_TYPE' });
  });
}

// ---- answers of the rest

const ANSWERS: [name: string, reason: number, fields: Field[], at: number][] = [
  ['hypercall', EXIT_REASONS.hypercall, [], 56],
  ['x86Rdmsr', EXIT_REASONS.x86Rdmsr, [], 16],
  ['hyperv', EXIT_REASONS.hyperv, [u32(0, 2)], 16],
  ['xen', EXIT_REASONS.xen, [u32(0, 1)], 24],
];

for (const [name, reason, fields, at] of ANSWERS) {
  test(`the answer of ${name} goes where KVM looks for it`, (t) => {
    const page = makePage(reason);
    fill(page, fields);
    page.exits.other().reply!(BIG);
    t.is(page.view.data.getBigUint64(UNION + at, true), BIG);
    t.throws(() => page.exits.other().reply!(2n ** 64n), { code: 'ERR_OUT_OF_RANGE' });
  });
}

for (const reason of [EXIT_REASONS.x86Rdmsr, EXIT_REASONS.x86Wrmsr]) {
  test(`${reasonName(reason)} can fail`, (t) => {
    const page = makePage(reason);
    page.exits.other().fail!();
    t.is(page.view.u8[RUN.msr.error], 1);
  });
}

test('exits that want no answer have none', (t) => {
  for (const reason of [EXIT_REASONS.hlt, EXIT_REASONS.debug, EXIT_REASONS.x86Wrmsr, EXIT_REASONS.notify]) {
    t.is(makePage(reason).exits.other().reply, undefined);
  }
  for (const reason of [EXIT_REASONS.hlt, EXIT_REASONS.hypercall]) {
    t.is(makePage(reason).exits.other().fail, undefined);
  }
});

test('one object a kind, read anew', (t) => {
  const page = makePage(EXIT_REASONS.ioapicEoi);
  fill(page, [u8(0, 1)]);
  const first: AnyExit = page.exits.other();
  fill(page, [u8(0, 2)]);
  const second = page.exits.other();
  t.is(first, second);
  t.deepEqual(copyExit(second), { kind: 'ioapicEoi', vector: 2 });
});

test('the exits of step() answer as long as they are current', (t) => {
  const page = makePage(EXIT_REASONS.x86Rdmsr);
  const owner = { sequence: 7 };
  const exit = stepExit(STATUS.exit, page.exits, owner);
  if (exit.kind !== 'x86Rdmsr') return t.fail();
  t.deepEqual(Object.keys(exit), ['kind', 'index', 'why']);
  exit.reply(5);
  exit.fail();
  t.is(page.view.data.getBigUint64(RUN.msr.data, true), 5n);
  t.is(page.view.u8[RUN.msr.error], 1);
  owner.sequence++;
  t.throws(() => exit.reply(6), { code: 'ERR_KVM_STALE_EXIT' });
  t.throws(() => exit.fail(), { code: 'ERR_KVM_STALE_EXIT' });
});

test('the exits of step() stay what they were, and are data', (t) => {
  const page = makePage(EXIT_REASONS.io);
  const { data, u8: bytes } = page.view;
  bytes.set([0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6, 0x17, 0x28], DATA);
  fill(page, [
    u8(0, 1),
    u8(1, 4),
    { at: UNION + 2, bits: 16, value: 0x3f8 },
    u32(4, 1),
    u64(8, BigInt(DATA)),
  ]);
  const one = stepExit(STATUS.ioOut, page.exits, { sequence: 0 });
  fill(page, [u32(4, 2)]);
  const string = stepExit(STATUS.ioOut, page.exits, { sequence: 0 });
  bytes.fill(0, DATA, DATA + 8);
  data.setUint16(UNION + 2, 0x10, true);
  const expected = {
    kind: 'ioOut',
    port: 0x3f8,
    size: 4,
    count: 1,
    value: 0xd4c3b2a1,
    data: Uint8Array.of(0xa1, 0xb2, 0xc3, 0xd4),
  };
  t.deepEqual(one.toJSON() as object, expected);
  t.deepEqual((one as IoOutExit).data, expected.data);
  t.is((one as IoOutExit).data, (one as IoOutExit).data);
  t.deepEqual((string as IoOutExit).data, Uint8Array.of(0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6, 0x17, 0x28));
  t.is(inspect(one), inspect(expected));
});

test('a write of 8 bytes that step() gives has all of them', (t) => {
  const page = makePage(EXIT_REASONS.mmio);
  const mmio = (size: number): Field[] => [u64(0, 0x8000n), u64(8, BIG), u32(16, size)];
  fill(page, mmio(8));
  const wide = stepExit(STATUS.mmioWrite, page.exits, { sequence: 0 }).toJSON();
  fill(page, mmio(2));
  const narrow = stepExit(STATUS.mmioWrite, page.exits, { sequence: 0 }).toJSON();
  const value = Number(BIG & 0xffff_ffffn);
  t.deepEqual(wide, { kind: 'mmioWrite', address: 0x8000, size: 8, value, value64: BIG });
  const low = Number(BIG & 0xffffn);
  t.deepEqual(narrow, { kind: 'mmioWrite', address: 0x8000, size: 2, value: low, value64: BigInt(low) });
});
