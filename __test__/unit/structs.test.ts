import test from 'ava';
import * as fc from 'fast-check';

import * as generated from '../../lib/generated/structs.ts';
import {
  decode,
  decodeArray,
  encode,
  encodeArray,
  preparePatch,
  type StructField,
  type StructLayout,
} from '../../lib/internal/structs.ts';

const { kvmCpuidEntry2, kvmFpu, kvmMsrEntry, kvmPitState2, kvmRegs, kvmSegment, kvmSregs, kvmVcpuEvents } =
  generated;

const LAYOUTS = (Object.values(generated) as object[]).filter(
  (value): value is StructLayout => 'fields' in value,
);

test('registers are read and written where the kernel has them', (t) => {
  const bytes = new Uint8Array(kvmRegs.size);
  encode(kvmRegs, { rax: 0x1122334455667788n, rip: 0x1000, rflags: 2 }, bytes);
  t.deepEqual([...bytes.subarray(0, 8)], [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11]);
  const regs = decode(kvmRegs, bytes);
  t.is(regs.rax, 0x1122334455667788n);
  t.is(regs.rip, 0x1000n);
  t.is(regs.rflags, 2n);
  t.is(regs.rbx, 0n);
  t.deepEqual(Object.keys(regs), [...generated.REGISTER_ORDER]);
});

test('what is absent keeps its bytes, in nested structures too', (t) => {
  const bytes = new Uint8Array(kvmSregs.size).fill(0x5a);
  encode(kvmSregs, { cs: { base: 0n, selector: 0 }, cr0: undefined }, bytes);
  const sregs = decode(kvmSregs, bytes);
  t.is(sregs.cs.base, 0n);
  t.is(sregs.cs.selector, 0);
  t.is(sregs.cs.limit, 0x5a5a5a5a);
  t.is(sregs.cs.type, 0x5a);
  t.is(sregs.ds.base, 0x5a5a5a5a5a5a5a5an);
  t.is(sregs.cr0, 0x5a5a5a5a5a5a5a5an);
  // Padding is not ours to change.
  t.is(bytes[23], 0x5a);
});

test('a structure inside a longer buffer leaves its neighbours alone', (t) => {
  const bytes = new Uint8Array(64).fill(1);
  encode(kvmMsrEntry, { index: 0, data: 0 }, bytes.subarray(8, 8 + kvmMsrEntry.size));
  t.deepEqual(
    [...bytes.subarray(0, 8)],
    Array.from({ length: 8 }, () => 1),
  );
  t.is(bytes[8 + kvmMsrEntry.size], 1);
  t.deepEqual(decode(kvmMsrEntry, bytes.subarray(8)), { index: 0, data: 0n });
});

test('bytes that are read are copies', (t) => {
  const bytes = new Uint8Array(kvmFpu.size);
  const fpu = decode(kvmFpu, bytes);
  t.is(fpu.xmm.length, 16);
  t.is(fpu.fpr.length, 8);
  fpu.xmm[0]!.fill(1);
  t.true(bytes.every((byte) => byte === 0));
  encode(kvmFpu, { xmm: fpu.xmm }, bytes);
  t.deepEqual(decode(kvmFpu, bytes).xmm, fpu.xmm);
});

test('every structure comes back from its own bytes', (t) => {
  t.true(LAYOUTS.length >= 20);
  for (const layout of LAYOUTS) {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: layout.size, maxLength: layout.size }), (source) => {
        const target = new Uint8Array(layout.size);
        const value = decode(layout, source);
        encode(layout, value as never, target);
        t.deepEqual(decode(layout, target), value);
      }),
      { numRuns: 20 },
    );
  }
});

test('fields lie inside their structure, one after the other', (t) => {
  const sizes = { u8: 1, u16: 2, u32: 4, u64: 8, i64: 8 };
  const width = (field: StructField): number => {
    if (field.struct !== undefined) return field.struct.size;
    return field.type === 'bytes' ? field.size : sizes[field.type];
  };
  for (const layout of LAYOUTS) {
    let end = 0;
    for (const field of layout.fields) {
      t.true(field.offset >= end, `${layout.name}.${field.name}`);
      end = field.offset + width(field) * (field.length ?? 1);
    }
    t.true(end <= layout.size, layout.name);
  }
});

test('values are checked by width, and the message has the path', (t) => {
  const bytes = new Uint8Array(kvmSregs.size);
  const sregs = (value: unknown) => (): void => encode(kvmSregs, value as never, bytes);
  const range = (message: RegExp) => ({ instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE', message });
  const type = (message: RegExp) => ({ instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE', message });
  const unfit = (message: RegExp) => ({ instanceOf: TypeError, code: 'ERR_INVALID_ARG_VALUE', message });
  t.throws(sregs({ cs: { selector: 65536 } }), range(/"sregs\.cs\.selector".*<= 65535/));
  t.throws(sregs({ cs: { type: 256 } }), range(/"sregs\.cs\.type"/));
  t.throws(sregs({ cs: { base: -1n } }), range(/"sregs\.cs\.base"/));
  t.throws(sregs({ cs: { base: 2n ** 64n } }), range(/"sregs\.cs\.base"/));
  t.throws(sregs({ cr3: 2 ** 53 }), range(/"sregs\.cr3"/));
  t.throws(sregs({ cr3: 1.5 }), range(/"sregs\.cr3"/));
  t.throws(sregs({ cr3: '1' }), type(/"sregs\.cr3"/));
  t.throws(sregs({ cs: { selector: 1n } }), type(/"sregs\.cs\.selector" property must be of type number/));
  t.throws(sregs({ cs: null }), type(/"sregs\.cs"/));
  t.throws(sregs(null), type(/"sregs"/));
  t.throws(sregs(5), type(/"sregs"/));
  t.throws(sregs({ interruptBitmap: [1n, 2n] }), unfit(/'sregs\.interruptBitmap' must have 4 elements/));
  t.throws(sregs({ interruptBitmap: [1n, 2n, 3n, undefined] }), type(/"sregs\.interruptBitmap\[3\]"/));
  t.throws(sregs({ interruptBitmap: 5n }), type(/"sregs\.interruptBitmap"/));
  t.throws(
    sregs({ cs: { selctor: 0 } }),
    unfit(/'sregs\.cs\.selctor' is not known; did you mean 'selector'\?/),
  );
  t.throws(sregs({ apic_base: 0n }), unfit(/did you mean 'apicBase'\?/));
  t.throws(() => encode(kvmRegs, { rax: -1 }, bytes, 'state.regs'), range(/"state\.regs\.rax"/));
});

test('nothing is written if anything is wrong', (t) => {
  const bytes = new Uint8Array(kvmRegs.size).fill(7);
  t.throws(() => encode(kvmRegs, { rax: 1n, rflags: -1n }, bytes), { code: 'ERR_OUT_OF_RANGE' });
  t.true(bytes.every((byte) => byte === 7));
});

test('objects of every kind either work or are refused', (t) => {
  const bytes = new Uint8Array(kvmRegs.size);
  const write = (value: unknown) => (): void => encode(kvmRegs, value as never, bytes);
  class Registers {
    get rax(): bigint {
      return 9n;
    }
  }
  encode(kvmRegs, new Registers(), bytes);
  t.is(decode(kvmRegs, bytes).rax, 9n);
  encode(kvmRegs, Object.assign(Object.create(null) as object, { rax: 8n }), bytes);
  t.is(decode(kvmRegs, bytes).rax, 8n);
  t.notThrows(write({}));
  for (const value of [[], new Map([['rax', 1n]]), new Date(), new Uint8Array(0)]) {
    t.throws(write(value), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  const thrower = {
    get rax(): bigint {
      throw new Error('touched');
    },
  };
  t.throws(write(thrower), { code: 'ERR_INVALID_ARG_VALUE', message: /regs\.rax/ });
});

test('a value with all fields is written as one with some, mistakes included', (t) => {
  const bytes = new Uint8Array(kvmRegs.size).fill(9);
  const before = decode(kvmRegs, bytes);
  const whole = { ...decode(kvmRegs, new Uint8Array(kvmRegs.size)), r8: 2n ** 64n - 1n };
  const write = (change: object) => (): void => encode(kvmRegs, { ...whole, ...change }, bytes);
  t.throws(write({ r9: -1n }), { code: 'ERR_OUT_OF_RANGE', message: /"regs\.r9"/ });
  t.throws(write({ r9: 2n ** 64n }), { code: 'ERR_OUT_OF_RANGE', message: /"regs\.r9"/ });
  t.throws(write({ r9: '1' }), { code: 'ERR_INVALID_ARG_TYPE', message: /"regs\.r9"/ });
  t.throws(write({ r99: 1n }), { code: 'ERR_INVALID_ARG_VALUE', message: /'regs\.r99' is not known/ });
  const thrower = { ...whole };
  Object.defineProperty(thrower, 'rip', {
    enumerable: true,
    get: () => {
      throw new Error('touched');
    },
  });
  t.throws(() => encode(kvmRegs, thrower, bytes), { code: 'ERR_INVALID_ARG_VALUE', message: /regs\.rip/ });
  t.deepEqual(decode(kvmRegs, bytes), before);
  write({ r9: 5, r10: undefined })();
  t.deepEqual(decode(kvmRegs, bytes), { ...whole, r9: 5n, r10: before.r10 });
});

test('a change that is prepared is that of its time, and is made once', (t) => {
  const sregs = { cs: { base: 1n, selector: 2 }, cr3: 3n };
  const patch = preparePatch(kvmSregs, sregs, 'sregs');
  // Another one meanwhile, and another value.
  const other = preparePatch(kvmSregs, { cs: { base: 9n }, efer: 9n }, 'sregs');
  sregs.cs.base = 7n;
  const bytes = new Uint8Array(kvmSregs.size + 4).fill(0x5a);
  patch(new DataView(bytes.buffer), 4);
  const changed = decode(kvmSregs, bytes.subarray(4));
  t.deepEqual([changed.cs.base, changed.cs.selector, changed.cr3], [1n, 2, 3n]);
  t.is(changed.efer, 0x5a5a5a5a5a5a5a5an);
  t.deepEqual([...bytes.subarray(0, 4)], [0x5a, 0x5a, 0x5a, 0x5a]);
  t.throws(() => patch(new DataView(bytes.buffer), 4));
  other(new DataView(bytes.buffer), 4);
  t.is(decode(kvmSregs, bytes.subarray(4)).cr3, 3n);
  t.is(decode(kvmSregs, bytes.subarray(4)).efer, 9n);
});

test('arrays of structures, typed arrays and signed fields', (t) => {
  const bytes = new Uint8Array(kvmPitState2.size);
  const channel = { ...decode(kvmPitState2, bytes).channels[0]!, countLoadTime: -5n };
  encode(kvmPitState2, { channels: [{}, channel, { count: 65536 }] }, bytes);
  const pit = decode(kvmPitState2, bytes);
  t.is(pit.channels[1]!.countLoadTime, -5n);
  t.is(pit.channels[2]!.count, 65536);
  t.throws(() => encode(kvmPitState2, { channels: [{}, {}, { countLoadTime: 2n ** 63n }] }, bytes), {
    code: 'ERR_OUT_OF_RANGE',
    message: /"pit_state2\.channels\[2\]\.countLoadTime"/,
  });
  const sregs = new Uint8Array(kvmSregs.size);
  encode(kvmSregs, { interruptBitmap: BigUint64Array.of(1n, 2n, 3n, 4n) as never }, sregs);
  t.deepEqual(decode(kvmSregs, sregs).interruptBitmap, [1n, 2n, 3n, 4n]);
});

test('lists of structures', (t) => {
  const bytes = encodeArray(kvmCpuidEntry2, [{ function: 1, eax: 0xffffffff }, { function: 7 }], 'entries');
  t.is(bytes.length, 2 * kvmCpuidEntry2.size);
  const entries = decodeArray(kvmCpuidEntry2, bytes);
  t.deepEqual(
    entries.map((entry) => [entry.function, entry.eax]),
    [
      [1, 0xffffffff],
      [7, 0],
    ],
  );
  t.deepEqual(encodeArray(kvmCpuidEntry2, [], 'entries'), new Uint8Array(0));
  t.throws(() => encodeArray(kvmCpuidEntry2, [{}, { eax: -1 }], 'entries'), {
    code: 'ERR_OUT_OF_RANGE',
    message: /"entries\[1\]\.eax"/,
  });
  t.throws(() => encodeArray(kvmCpuidEntry2, {} as never, 'entries'), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => encodeArray(kvmCpuidEntry2, [undefined] as never, 'entries'), {
    code: 'ERR_INVALID_ARG_TYPE',
    message: /"entries\[0\]"/,
  });
});

test('too few bytes are refused', (t) => {
  t.throws(() => decode(kvmSegment, new Uint8Array(3)), { code: 'ERR_OUT_OF_RANGE', message: /kvm_segment/ });
  t.throws(() => encode(kvmSegment, {}, new Uint8Array(3)), { code: 'ERR_OUT_OF_RANGE' });
});

test('events have their nested structures', (t) => {
  const bytes = new Uint8Array(kvmVcpuEvents.size);
  encode(kvmVcpuEvents, { exception: { nr: 14, errorCode: 2 }, nmi: { pending: 1 } }, bytes);
  const events = decode(kvmVcpuEvents, bytes);
  t.like(events, { exception: { nr: 14, errorCode: 2, injected: 0 }, nmi: { pending: 1 } });
  t.deepEqual([...bytes.subarray(0, 8)], [0, 14, 0, 0, 2, 0, 0, 0]);
});
