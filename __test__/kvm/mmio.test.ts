// Exits of accesses to addresses that are no memory, and the objects that handlers get: what both architectures have.
import test from 'ava';

import type { Exit } from '../../index.ts';
import { END, OUTPUT, boot, ended, getRegister } from '../helpers/common-guests.ts';
import { LANES } from '../helpers/lanes.ts';
import { exitOf } from '../helpers/machine.ts';

for (const [name, run] of LANES) {
  test(`${name}: memory reads and writes of 1, 2 and 4 bytes have address, size and value`, async (t) => {
    const { vcpu } = boot(t, 'mmio-sizes');
    const exits: Exit[] = [];
    const answers: Record<number, number> = { 1: 0xa1, 2: 0xb2c3, 4: 0xd4e5_f607 };
    const end = await run(vcpu, {
      mmioRead: (exit) => {
        exits.push(exit.toJSON());
        return answers[exit.size]!;
      },
      mmioWrite: (exit) => void exits.push(exit.toJSON()),
    });
    ended(end);
    t.deepEqual(exits, [
      { kind: 'mmioRead', address: OUTPUT, size: 1 },
      { kind: 'mmioWrite', address: OUTPUT + 0x10, size: 1, value: 0xa1, value64: 0xa1n },
      { kind: 'mmioRead', address: OUTPUT + 0x02, size: 2 },
      { kind: 'mmioWrite', address: OUTPUT + 0x12, size: 2, value: 0xb2c3, value64: 0xb2c3n },
      { kind: 'mmioRead', address: OUTPUT + 0x04, size: 4 },
      { kind: 'mmioWrite', address: OUTPUT + 0x14, size: 4, value: 0xd4e5_f607, value64: 0xd4e5_f607n },
    ]);
  });
}

for (const [name, answer] of [
  ['a bigint', 0x8877_6655_4433_2211n],
  ['bytes', Uint8Array.of(0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88)],
] as const) {
  test(`8 bytes of memory are read as ${name} and written as a bigint`, (t) => {
    const { vcpu } = boot(t, 'mmio-8-byte');
    const exits: Exit[] = [];
    const end = vcpu.run({
      mmioRead: (exit) => {
        exits.push(exit.toJSON());
        return answer;
      },
      mmioWrite: (exit) => void exits.push(exit.toJSON()),
    });
    ended(end);
    t.deepEqual(exits, [
      { kind: 'mmioRead', address: OUTPUT, size: 8 },
      {
        kind: 'mmioWrite',
        address: OUTPUT + 8,
        size: 8,
        value: 0x4433_2211,
        value64: 0x8877_6655_4433_2211n,
      },
    ]);
  });
}

test('an unanswered memory read is all ones, at every size', (t) => {
  const { vcpu } = boot(t, 'mmio-sizes');
  const written: number[] = [];
  const end = vcpu.run({ mmioRead: () => undefined, mmioWrite: (exit) => void written.push(exit.value) });
  ended(end);
  t.deepEqual(written, [0xff, 0xffff, 0xffff_ffff]);
  const wide = boot(t, 'mmio-8-byte').vcpu;
  exitOf(wide.run(), 'mmioRead');
  t.is(exitOf(wide.run(), 'mmioWrite').value64, 2n ** 64n - 1n);
});

test('a memory read that is unanswered after one with an answer is all ones', (t) => {
  const { vcpu } = boot(t, 'mmio-echo');
  let turn = 0;
  const written: number[] = [];
  const end = vcpu.run({
    mmioRead: () => (++turn % 2 === 1 ? 0 : undefined),
    mmioWrite: (exit) => {
      written.push(exit.value);
      if (written.length === 3) exit.stop();
    },
  });
  t.is(end.reason, 'stopped');
  t.deepEqual(written, [0, 0xffff_ffff, 0]);
});

test('a memory read takes a bigint at any size, bytes, and refuses what does not fit', (t) => {
  for (const [answer, value] of [
    [0x1234n, 0x1234],
    [Uint8Array.of(4, 5, 6, 7), 0x0706_0504],
  ] as const) {
    const { vcpu } = boot(t, 'mmio-echo');
    t.is(exitOf(vcpu.run({ mmioRead: () => answer }), 'mmioWrite').value, value);
  }
  const refused: [answer: unknown, code: string][] = [
    [2n ** 32n, 'ERR_OUT_OF_RANGE'],
    [-1n, 'ERR_OUT_OF_RANGE'],
    [2 ** 32, 'ERR_OUT_OF_RANGE'],
    [-1, 'ERR_OUT_OF_RANGE'],
    [0.5, 'ERR_OUT_OF_RANGE'],
    [Number.NaN, 'ERR_OUT_OF_RANGE'],
    [Uint8Array.of(1, 2, 3, 4, 5), 'ERR_OUT_OF_RANGE'],
    [new Uint8Array(0), 'ERR_OUT_OF_RANGE'],
    ['1', 'ERR_INVALID_ARG_TYPE'],
    [null, 'ERR_INVALID_ARG_TYPE'],
  ];
  for (const [answer, code] of refused) {
    const { vcpu } = boot(t, 'mmio-echo');
    t.throws(() => vcpu.run({ mmioRead: () => answer as number }), { code }, String(answer));
    t.is(exitOf(vcpu.run(), 'mmioWrite').value, 0xffff_ffff);
  }
});

test('the end of a guest is an exit', (t) => {
  const { vcpu } = boot(t, 'dirty-one-page');
  const exit = ended(vcpu.run());
  t.deepEqual(exit, END === 'hlt' ? { kind: 'hlt' } : { kind: 'systemEvent', type: 1, data: [0n] });
});

// ---- the objects

test('a handler gets one reused object, toJSON gives copies', (t) => {
  const { vcpu } = boot(t, 'mmio-widths');
  const objects: object[] = [];
  const copies: Exit[] = [];
  const end = vcpu.run({
    mmioWrite: (exit) => {
      objects.push(exit);
      copies.push(exit.toJSON());
    },
  });
  ended(end);
  t.is(new Set(objects).size, 1);
  t.is(new Set(copies).size, 3);
  t.deepEqual(
    copies.map((copy) => copy.kind === 'mmioWrite' && copy.size),
    [1, 2, 4],
  );
});

test('an exit object outside of its handler cannot answer', (t) => {
  const { vm, vcpu } = boot(t, 'mmio-sizes');
  const stale = { code: 'ERR_KVM_STALE_EXIT' };
  let kept: { reply(answer: number): void } | undefined;
  vm.mmio.attach(
    { base: OUTPUT + 0x10, length: 1 },
    { write: () => void t.throws(() => kept!.reply(2), stale) },
  );
  const end = vcpu.run({
    mmioRead: (exit) => {
      kept = exit;
      return 1;
    },
    mmioWrite: (exit) => {
      t.throws(() => kept!.reply(2), stale);
      exit.stop();
    },
  });
  t.is(end.reason, 'stopped');
  t.throws(() => kept!.reply(2), stale);
  t.is(getRegister(vcpu, 'value') & 0xffffn, 1n);
});
