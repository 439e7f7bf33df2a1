import test from 'ava';

import type { Exit } from '../../index.ts';
import { realModeGuest } from '../helpers/guests.ts';
import { boot, exitOf } from '../helpers/machine.ts';

const OUT_SIZES = realModeGuest(
  [0xba, 0x00, 0x05], //                         mov dx, 0x500
  [0x66, 0xb8, 0x78, 0x56, 0x34, 0x12], //       mov eax, 0x12345678
  [0xee], //                                     out dx, al
  [0xef], //                                     out dx, ax
  [0x66, 0xef], //                               out dx, eax
  [0xf4], //                                     hlt
);

const IN_SIZES = realModeGuest(
  [0xba, 0x00, 0x05], //  mov dx, 0x500
  [0xec], //              in al, dx
  [0x88, 0xc3], //        mov bl, al
  [0xed], //              in ax, dx
  [0x89, 0xc1], //        mov cx, ax
  [0x66, 0xed], //        in eax, dx
  [0xf4], //              hlt
);

/** `rep outs` of four elements from 0x1100, of a size that the prefix and opcode say. */
const stringOut = (instruction: readonly number[]) =>
  realModeGuest(
    [0xfc], //              cld
    [0xbe, 0x00, 0x11], //  mov si, 0x1100
    [0xb9, 0x04, 0x00], //  mov cx, 4
    [0xba, 0x00, 0x05], //  mov dx, 0x500
    instruction,
    [0xf4], //              hlt
  );

test('out tells port, size and value', (t) => {
  const { vcpu } = boot(t, OUT_SIZES);
  const exits: Exit[] = [];
  exitOf(vcpu.run({ ioOut: (exit) => void exits.push(exit.toJSON()) }), 'hlt');
  const common = { kind: 'ioOut', port: 0x500, count: 1 } as const;
  t.deepEqual(exits, [
    { ...common, size: 1, value: 0x78, data: Uint8Array.of(0x78) },
    { ...common, size: 2, value: 0x5678, data: Uint8Array.of(0x78, 0x56) },
    { ...common, size: 4, value: 0x1234_5678, data: Uint8Array.of(0x78, 0x56, 0x34, 0x12) },
  ]);
});

test('in takes what the handler returns, at every size', (t) => {
  const { vcpu } = boot(t, IN_SIZES);
  const answers = { 1: 0xa5, 2: 0xbeef, 4: 0xfedc_ba98 };
  const exits: Exit[] = [];
  const end = vcpu.run({
    ioIn: (exit) => {
      exits.push(exit.toJSON());
      return answers[exit.size];
    },
  });
  exitOf(end, 'hlt');
  t.deepEqual(exits, [
    { kind: 'ioIn', port: 0x500, size: 1, count: 1 },
    { kind: 'ioIn', port: 0x500, size: 2, count: 1 },
    { kind: 'ioIn', port: 0x500, size: 4, count: 1 },
  ]);
  const { rax, rbx, rcx } = vcpu.getRegs();
  t.is(rbx & 0xffn, 0xa5n);
  t.is(rcx & 0xffffn, 0xbeefn);
  t.is(rax, 0xfedc_ba98n);
});

test('in takes reply() as well as a return value, and bytes', (t) => {
  const { vcpu } = boot(t, IN_SIZES);
  const end = vcpu.run({
    ioIn: (exit) => {
      if (exit.size === 1) exit.reply(0x11);
      else if (exit.size === 2) exit.reply(Uint8Array.of(0x22, 0x33));
      else return Uint8Array.of(4, 5, 6, 7);
      return undefined;
    },
  });
  exitOf(end, 'hlt');
  const { rax, rbx, rcx } = vcpu.getRegs();
  t.is(rbx & 0xffn, 0x11n);
  t.is(rcx & 0xffffn, 0x3322n);
  t.is(rax, 0x0706_0504n);
});

test('an unanswered in reads all ones', (t) => {
  const { vcpu } = boot(t, IN_SIZES);
  exitOf(vcpu.run({ ioIn: () => undefined }), 'hlt');
  const { rax, rbx, rcx } = vcpu.getRegs();
  t.deepEqual([rbx & 0xffn, rcx & 0xffffn, rax], [0xffn, 0xffffn, 0xffff_ffffn]);
});

test('an unanswered in reads all ones although the last one had an answer', (t) => {
  const { vcpu } = boot(t, 'pio-in-loop');
  let turn = 0;
  const read: bigint[] = [];
  const end = vcpu.run({
    ioIn: (exit) => {
      if (turn > 0) read.push(vcpu.regs.rax & 0xffn);
      if (++turn === 4) exit.stop();
      return turn % 2 === 1 ? 0 : undefined;
    },
  });
  t.is(end.reason, 'stopped');
  t.deepEqual(read, [0n, 0xffn, 0n]);
});

test('an answer that does not fit is an error, not a conversion', (t) => {
  const refused: [answer: unknown, code: string][] = [
    [0x100, 'ERR_OUT_OF_RANGE'],
    [-1, 'ERR_OUT_OF_RANGE'],
    [1.5, 'ERR_OUT_OF_RANGE'],
    [Number.NaN, 'ERR_OUT_OF_RANGE'],
    ['1', 'ERR_INVALID_ARG_TYPE'],
    [1n, 'ERR_INVALID_ARG_TYPE'],
    [null, 'ERR_INVALID_ARG_TYPE'],
    [Uint8Array.of(1, 2), 'ERR_OUT_OF_RANGE'],
    [new Uint8Array(0), 'ERR_OUT_OF_RANGE'],
  ];
  for (const [answer, code] of refused) {
    const { vcpu } = boot(t, 'pio-in-loop');
    t.throws(() => vcpu.run({ ioIn: () => answer as number }), { code }, String(answer));
    t.is(exitOf(vcpu.run(), 'ioIn').port, 0x500);
    t.is(vcpu.getRegs().rax & 0xffn, 0xffn);
  }
});

test('a string out has all its elements, whatever their number an exit', (t) => {
  const { vcpu } = boot(t, 'string-out');
  const text: number[] = [];
  const end = vcpu.run({
    ioOut: (exit) => {
      t.is(exit.size, 1);
      t.is(exit.data.length, exit.count);
      t.is(exit.value, exit.data[0]!);
      text.push(...exit.data);
    },
  });
  exitOf(end, 'hlt');
  t.is(String.fromCharCode(...text), 'Hello, strings!\n');
});

for (const [size, instruction] of [
  [1, [0xf3, 0x6e]],
  [2, [0xf3, 0x6f]],
  [4, [0xf3, 0x66, 0x6f]],
] as const) {
  test(`a string out of ${size}-byte elements keeps size and order`, (t) => {
    const { vm, vcpu } = boot(t, stringOut(instruction));
    const bytes = Uint8Array.from({ length: size * 4 }, (_, index) => index + 1);
    vm.memory.write(0x1100, bytes);
    const seen: number[] = [];
    let elements = 0;
    const end = vcpu.run({
      ioOut: (exit) => {
        t.is(exit.size, size);
        elements += exit.count;
        seen.push(...exit.data);
      },
    });
    exitOf(end, 'hlt');
    t.is(elements, 4);
    t.deepEqual(Uint8Array.from(seen), bytes);
  });
}

for (const [guest, size] of [
  ['string-in', 1],
  ['string-in-word', 2],
  ['string-in-dword', 4],
] as const) {
  test(`${guest}: bytes answer all elements of an exit`, (t) => {
    const { vm, vcpu } = boot(t, guest);
    let next = 1;
    let elements = 0;
    const counts: number[] = [];
    const end = vcpu.run({
      ioIn: (exit) => {
        t.is(exit.size, size);
        elements += exit.count;
        counts.push(exit.count);
        return Uint8Array.from({ length: exit.size * exit.count }, () => next++);
      },
    });
    exitOf(end, 'hlt');
    t.is(elements, 16 / size);
    t.true(Math.max(...counts) > 1, 'KVM asks for several elements at once');
    t.deepEqual([...vm.memory.read(0x2000, 17)], [...Array.from({ length: 16 }, (_, at) => at + 1), 0]);
  });

  test(`${guest}: a number answers each element of an exit`, (t) => {
    const { vm, vcpu } = boot(t, guest);
    exitOf(vcpu.run({ ioIn: () => 0x5a }), 'hlt');
    const element = [0x5a, 0, 0, 0].slice(0, size);
    t.deepEqual([...vm.memory.read(0x2000, 16)], Array.from({ length: 16 / size }, () => element).flat());
  });

  test(`${guest}: unanswered, all elements are all ones`, (t) => {
    const { vm, vcpu } = boot(t, guest);
    exitOf(vcpu.run({ ioIn: () => {} }), 'hlt');
    t.deepEqual(vm.memory.read(0x2000, 16), new Uint8Array(16).fill(0xff));
  });
}

test('hlt is an exit', (t) => {
  const { vcpu } = boot(t, 'hlt-loop');
  t.deepEqual(vcpu.run(), { reason: 'exit', exit: { kind: 'hlt' } });
  let halts = 0;
  const end = vcpu.run({
    hlt: (exit) => {
      if (++halts === 3) exit.stop();
    },
  });
  t.deepEqual(end, { reason: 'stopped', exit: { kind: 'hlt' } });
});

test('a triple fault is a shutdown', (t) => {
  const { vcpu } = boot(t, 'triple-fault');
  t.deepEqual(vcpu.run(), { reason: 'exit', exit: { kind: 'shutdown' } });
});

test('an instruction that KVM cannot emulate is an internal error with its bytes', (t) => {
  const { vcpu } = boot(t, 'emulation-failure');
  const exit = exitOf(vcpu.run(), 'internalError');
  t.is(exit.suberror, 1);
  if (exit.instruction === undefined) {
    t.log('this host gives no instruction bytes');
    return;
  }
  t.deepEqual(exit.instruction.slice(0, 2), Uint8Array.of(0xd9, 0x17));
});

test('a single step is a debug exit an instruction', (t) => {
  const { vcpu } = boot(t, 'single-step');
  vcpu.setGuestDebug({ singleStep: true });
  for (const pc of [0x1001n, 0x1002n, 0x1003n]) {
    const exit = exitOf(vcpu.run(), 'debug');
    t.is(exit.exception, 1);
    t.is(exit.pc, pc);
    t.is(exit.dr6 & 0x4000n, 0x4000n, 'BS');
  }
  vcpu.setGuestDebug();
  exitOf(vcpu.run(), 'hlt');
  t.is(vcpu.getRegs().rax & 0xffffn, 1n);
});

test('a hardware breakpoint is a debug exit before the instruction', (t) => {
  const { vcpu } = boot(t, 'single-step');
  vcpu.setGuestDebug({ hardwareBreakpoints: [0x1002] });
  const exit = exitOf(vcpu.run(), 'debug');
  t.is(exit.pc, 0x1002n);
  t.is(exit.dr6 & 1n, 1n, 'B0');
  const { rax, rbx } = vcpu.getRegs();
  t.deepEqual([rax & 0xffffn, rbx & 0xffffn], [1n, 0n]);
  vcpu.setGuestDebug();
  exitOf(vcpu.run(), 'hlt');
});

// ---- the objects

test('the data of an exit is a copy', (t) => {
  const { vcpu } = boot(t, OUT_SIZES);
  const kept: Uint8Array[] = [];
  exitOf(vcpu.run({ ioOut: (exit) => void kept.push(exit.data) }), 'hlt');
  t.deepEqual(kept[0], Uint8Array.of(0x78));
  vcpu.vm.close();
  t.deepEqual(kept[2], Uint8Array.of(0x78, 0x56, 0x34, 0x12));
});

test('the exit object of a port outside of its handler cannot answer', (t) => {
  // mov dx, 0x500; in al, dx; inc dx; out dx, al; hlt
  const { vcpu } = boot(t, realModeGuest(0xba, 0x00, 0x05, 0xec, 0x42, 0xee, 0xf4));
  vcpu.vm.io.attach(
    { base: 0x501, length: 1 },
    { write: () => void t.throws(() => kept!.reply(2), { code: 'ERR_KVM_STALE_EXIT' }) },
  );
  let kept: { reply(answer: number): void } | undefined;
  const end = vcpu.run({
    ioIn: (exit) => {
      kept = exit;
      return 1;
    },
    hlt: (exit) => {
      t.throws(() => kept!.reply(2), { code: 'ERR_KVM_STALE_EXIT' });
      exit.stop();
    },
  });
  t.is(end.reason, 'stopped');
  t.throws(() => kept!.reply(2), { code: 'ERR_KVM_STALE_EXIT' });
});

test('step gives accesses to ports as objects that stay', (t) => {
  const { vcpu } = boot(t, 'kvm-ioctls-example', { regs: { rax: 2, rbx: 3 } });
  const out = vcpu.step();
  const inside = vcpu.step();
  if (out.kind !== 'ioOut' || inside.kind !== 'ioIn') return t.fail();
  t.deepEqual(inside.toJSON(), { kind: 'ioIn', port: 0x3f8, size: 1, count: 1 });
  const access = { kind: 'ioOut', port: 0x3f8, size: 1, count: 1, value: 0x35, data: Uint8Array.of(0x35) };
  t.deepEqual(out.toJSON(), access);
});
