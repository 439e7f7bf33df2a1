import test from 'ava';

import type { StepExit, StepInterruption } from '../../index.ts';
import { OUTPUT, boot, getRegister, setRegisters } from '../helpers/common-guests.ts';

function isExit(step: StepExit | StepInterruption): step is StepExit {
  return step.kind !== 'timeout' && step.kind !== 'kicked' && step.kind !== 'device';
}

/** What a step gave, as data. */
function data(step: StepExit | StepInterruption): object {
  return isExit(step) ? step.toJSON() : step;
}

test('step gives a fresh object for each exit', (t) => {
  const { vcpu } = boot(t, 'mmio-echo', { regs: { step: 1 } });
  const first = vcpu.step();
  t.deepEqual(data(first), { kind: 'mmioRead', address: OUTPUT, size: 4 });
  if (first.kind === 'mmioRead') first.reply(0x77);
  const write = { kind: 'mmioWrite', address: OUTPUT + 4, size: 4, value: 0x78, value64: 0x78n };
  const second = vcpu.step();
  t.deepEqual(data(second), write);
  // Unanswered it is all ones.
  t.is(vcpu.step().kind, 'mmioRead');
  const wrapped = vcpu.step();
  t.is(wrapped.kind === 'mmioWrite' && wrapped.value, 0);
  t.deepEqual(data(second), write, 'it still says what it said');
});

test('step refuses an answer that comes too late', (t) => {
  const { vcpu } = boot(t, 'mmio-echo');
  const first = vcpu.step();
  vcpu.step();
  const second = vcpu.step();
  if (first.kind !== 'mmioRead' || second.kind !== 'mmioRead') return t.fail();
  t.throws(() => first.reply(1), { code: 'ERR_KVM_STALE_EXIT' });
  second.reply(0x42);
  vcpu.complete();
  t.throws(() => second.reply(1), { code: 'ERR_KVM_STALE_EXIT' });
  t.is(getRegister(vcpu, 'value'), 0x42n);
});

test('step comes back from a guest without exits', (t) => {
  const { vcpu } = boot(t, 'spin');
  t.deepEqual(vcpu.step({ timeoutMs: 20 }), { kind: 'timeout' });
  vcpu.kickHandle.kick();
  t.deepEqual(vcpu.step(), { kind: 'kicked' });
});

test('exits gives one after the other, and they can be answered', (t) => {
  const { vcpu } = boot(t, 'mmio-echo');
  const kinds: string[] = [];
  for (const exit of vcpu.exits()) {
    kinds.push(exit.kind);
    if (exit.kind === 'mmioRead') exit.reply(0x20 + kinds.length);
    if (exit.kind === 'mmioWrite' && exit.value === 0x23) break;
  }
  t.deepEqual(kinds, ['mmioRead', 'mmioWrite', 'mmioRead', 'mmioWrite']);
});

test('exits ends, with the reason, when there is no exit', (t) => {
  const { vcpu } = boot(t, 'mmio-storm');
  const exits = vcpu.exits();
  t.is(exits.next().value.kind, 'mmioWrite');
  vcpu.kickHandle.kick();
  t.deepEqual(exits.next(), { done: true, value: { kind: 'kicked' } });
  t.true(exits.next().done);
  const { vcpu: spinning } = boot(t, 'spin');
  t.deepEqual(spinning.exits({ timeoutMs: 20 }).next(), { done: true, value: { kind: 'timeout' } });
});

test('a loop over exits may use other methods in between', (t) => {
  const { vcpu } = boot(t, 'mmio-storm');
  const values: number[] = [];
  for (const exit of vcpu.exits()) {
    if (!isExit(exit) || exit.kind !== 'mmioWrite') break;
    values.push(exit.value);
    if (values.length === 3) break;
    vcpu.complete();
    setRegisters(vcpu, { value: 10n * getRegister(vcpu, 'value') });
  }
  t.deepEqual(values, [0, 1, 11]);
});

test('a device that answers in between does not end a step', (t) => {
  const { vm, vcpu } = boot(t, 'mmio-echo', { regs: { step: 1 } });
  vm.mmio.attach({ base: OUTPUT, length: 4 }, { read: () => 7 });
  const write = vcpu.step();
  t.is(write.kind === 'mmioWrite' && write.value, 8);
});

test('a handler that stopped a run ends no later step', (t) => {
  const { vm, vcpu } = boot(t, 'mmio-storm');
  vcpu.run({ mmioWrite: (exit) => exit.stop() });
  const seen = vcpu.step();
  if (seen.kind !== 'mmioWrite') return t.fail();
  let writes = 0;
  const write = (): void => {
    // A change of state in a device goes another way than one without.
    setRegisters(vcpu, { step: 5n });
    if (++writes === 3) vcpu.kickHandle.kick();
  };
  vm.mmio.attach({ base: seen.address, length: seen.size }, { write });
  t.deepEqual(vcpu.step(), { kind: 'kicked' });
  t.is(writes, 3);
});
