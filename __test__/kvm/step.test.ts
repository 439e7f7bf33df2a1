import test from 'ava';

import type { StepExit, StepInterruption } from '../../index.ts';
import { boot } from '../helpers/machine.ts';

function isExit(step: StepExit | StepInterruption): step is StepExit {
  return step.kind !== 'timeout' && step.kind !== 'kicked' && step.kind !== 'device';
}

/** What a step gave, as data. */
function data(step: StepExit | StepInterruption): object {
  return isExit(step) ? step.toJSON() : step;
}

test('step gives a fresh object for each exit', (t) => {
  const { vcpu } = boot(t, 'kvm-ioctls-example', { regs: { rax: 2, rbx: 3 } });
  const first = vcpu.step();
  t.deepEqual(data(first), {
    kind: 'ioOut',
    port: 0x3f8,
    size: 1,
    count: 1,
    value: 0x35,
    data: Uint8Array.of(0x35),
  });
  t.deepEqual(data(vcpu.step()), { kind: 'ioIn', port: 0x3f8, size: 1, count: 1 });
  t.deepEqual(data(vcpu.step()), {
    kind: 'mmioWrite',
    address: 0x8000,
    size: 1,
    value: 0,
    value64: 0n,
  });
  const read = vcpu.step();
  t.deepEqual(data(read), { kind: 'mmioRead', address: 0x8000, size: 1 });
  if (read.kind === 'mmioRead') read.reply(0x77);
  t.deepEqual(data(vcpu.step()), { kind: 'hlt' });
  // The first one still says what it said.
  t.is(first.kind === 'ioOut' && first.value, 0x35);
  t.is(vcpu.getRegs().rdx & 0xffn, 0x77n);
  t.is(vcpu.getRegs().rax & 0xffn, 0xffn);
});

test('step refuses an answer that comes too late', (t) => {
  const { vcpu } = boot(t, 'pio-in-loop');
  const first = vcpu.step();
  const second = vcpu.step();
  if (first.kind !== 'ioIn' || second.kind !== 'ioIn') return t.fail();
  t.throws(() => first.reply(1), { code: 'ERR_KVM_STALE_EXIT' });
  second.reply(0x42);
  vcpu.complete();
  t.throws(() => second.reply(1), { code: 'ERR_KVM_STALE_EXIT' });
  t.is(vcpu.getRegs().rax & 0xffn, 0x42n);
});

test('step comes back from a guest without exits', (t) => {
  const { vcpu } = boot(t, 'spin');
  t.deepEqual(vcpu.step({ timeoutMs: 20 }), { kind: 'timeout' });
  vcpu.kickHandle.kick();
  t.deepEqual(vcpu.step(), { kind: 'kicked' });
});

test('exits gives one after the other, and they can be answered', (t) => {
  const { vcpu } = boot(t, 'kvm-ioctls-example', { regs: { rax: 2, rbx: 3 } });
  const kinds: string[] = [];
  for (const exit of vcpu.exits()) {
    kinds.push(exit.kind);
    if (exit.kind === 'ioIn') exit.reply(0x21);
    if (exit.kind === 'hlt') break;
  }
  t.deepEqual(kinds, ['ioOut', 'ioIn', 'mmioWrite', 'mmioRead', 'hlt']);
  t.is(vcpu.getRegs().rax & 0xffn, 0x21n);
});

test('exits ends, with the reason, when there is no exit', (t) => {
  const { vcpu } = boot(t, 'hlt-loop');
  const exits = vcpu.exits();
  t.is(exits.next().value.kind, 'hlt');
  vcpu.kickHandle.kick();
  t.deepEqual(exits.next(), { done: true, value: { kind: 'kicked' } });
  t.true(exits.next().done);
  const { vcpu: spinning } = boot(t, 'spin');
  t.deepEqual(spinning.exits({ timeoutMs: 20 }).next(), { done: true, value: { kind: 'timeout' } });
});

test('a loop over exits may use other methods in between', (t) => {
  const { vcpu } = boot(t, 'pio-out-loop');
  const values: number[] = [];
  for (const exit of vcpu.exits()) {
    if (!isExit(exit) || exit.kind !== 'ioOut') break;
    values.push(exit.value);
    if (values.length === 3) break;
    vcpu.regs.rax += 1n;
  }
  t.deepEqual(values, [0, 1, 2]);
});

test('a device that answers in between does not end a step', (t) => {
  const { vm, vcpu } = boot(t, 'kvm-ioctls-example', { regs: { rax: 2, rbx: 3 } });
  const written: number[] = [];
  vm.io.attach(
    { base: 0x3f8, length: 1 },
    { write: (_at, value) => void written.push(value), read: () => 7 },
  );
  t.is(vcpu.step().kind, 'mmioWrite');
  t.deepEqual(written, [0x35]);
});

test('a handler that stopped a run ends no later step', (t) => {
  const { vm, vcpu } = boot(t, 'pio-out-loop');
  vcpu.run({ ioOut: (exit) => exit.stop() });
  const seen = vcpu.step();
  if (seen.kind !== 'ioOut') return t.fail();
  let writes = 0;
  const write = (): void => {
    // A change of state in a device goes another way than one without.
    vcpu.regs.rbx = 5n;
    if (++writes === 3) vcpu.kickHandle.kick();
  };
  vm.io.attach({ base: seen.port, length: 1 }, { write });
  t.deepEqual(vcpu.step(), { kind: 'kicked' });
  t.is(writes, 3);
});
