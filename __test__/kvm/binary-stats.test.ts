import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';

import { BinaryStats, Cap, type Vcpu, type Vm } from '../../index.ts';
import { boot, ended, enter, load, onArm } from '../helpers/common-guests.ts';
import { makeVm } from '../helpers/machine.ts';
import { until } from '../helpers/wait.ts';

function ready(t: ExecutionContext): { vm: Vm; vcpu: Vcpu } | undefined {
  const machine = boot(t, 'mmio-burst', { regs: { step: 10 } });
  if (machine.vm.checkExtension(Cap.BinaryStatsFd)) return machine;
  t.log('skipped: this KVM lacks KVM_CAP_BINARY_STATS_FD');
  t.pass();
  return undefined;
}

test('the statistics of a vCPU count its exits', (t) => {
  const machine = ready(t);
  if (machine === undefined) return;
  const stats = machine.vcpu.binaryStats();
  const before = stats.read();
  ended(machine.vcpu.run({ mmioWrite: () => undefined }));
  const after = stats.read();
  const grown = (name: string): bigint => (after[name] as bigint) - (before[name] as bigint);
  t.true(grown('exits') >= 10n);
  if (!onArm) t.true(grown('halt_exits') >= 1n);
});

test('the schema says what each value is', (t) => {
  const machine = ready(t);
  if (machine === undefined) return;
  for (const stats of [machine.vm.binaryStats(), machine.vcpu.binaryStats()]) {
    t.true(stats.schema.length > 0);
    let end = 0;
    for (const one of stats.schema) {
      t.regex(one.name, /^[a-z0-9_]{1,47}$/);
      t.true(
        ['cumulative', 'instant', 'peak', 'linearHistogram', 'logHistogram'].includes(one.type),
        one.name,
      );
      t.true(['none', 'bytes', 'seconds', 'cycles', 'boolean'].includes(one.unit), one.name);
      t.is(one.count > 1, one.type.endsWith('Histogram'), one.name);
      t.is(one.bucketSize > 0, one.type === 'linearHistogram', one.name);
      end = Math.max(end, one.index + one.count);
    }
    t.is(new Set(stats.schema.map(({ name }) => name)).size, stats.schema.length);
    t.is(stats.readValues().length, end);
    t.true(Object.isFrozen(stats.schema) && Object.isFrozen(stats.schema[0]));
    const values = stats.read();
    t.deepEqual(
      Object.keys(values),
      stats.schema.map(({ name }) => name),
    );
    for (const { name, count } of stats.schema) {
      t.is(Array.isArray(values[name]) ? values[name].length : 1, count, name);
    }
  }
  const time = machine.vcpu.binaryStats().schema.find(({ name }) => name === 'halt_poll_success_ns');
  t.like(time, { type: 'cumulative', unit: 'seconds', base: 10, exponent: -9, count: 1 });
  const histogram = machine.vcpu.binaryStats().schema.find(({ name }) => name === 'halt_wait_hist');
  t.like(histogram, { type: 'logHistogram', unit: 'seconds', exponent: -9, count: 32 });
  t.is(machine.vm.binaryStats().id, `kvm-${process.pid}`);
  t.is(machine.vcpu.binaryStats().id, `kvm-${process.pid}/vcpu-0`);
});

test('the machine counts its pages', (t) => {
  const machine = ready(t);
  if (machine === undefined) return;
  const stats = machine.vm.binaryStats();
  ended(machine.vcpu.run({ mmioWrite: () => undefined }));
  const values = stats.read();
  if (!onArm) t.is(typeof values['pages_4k'], 'bigint');
  t.is(stats, machine.vm.binaryStats());
  t.is(machine.vcpu.binaryStats(), machine.vcpu.binaryStats());
});

test('values can go into one array again and again', (t) => {
  const machine = ready(t);
  if (machine === undefined) return;
  const stats = machine.vcpu.binaryStats();
  const values = stats.readValues();
  ended(machine.vcpu.run({ mmioWrite: () => undefined }));
  const exits = stats.schema.find(({ name }) => name === 'exits');
  const before = exits === undefined ? 0n : values[exits.index]!;
  t.is(stats.readValues(values), values);
  if (exits !== undefined) t.true(values[exits.index]! > before);
  // A part of a larger array is as good.
  const larger = new BigUint64Array(values.length + 2).fill(7n);
  stats.readValues(larger.subarray(1, -1));
  t.deepEqual([larger[0], larger.at(-1)], [7n, 7n]);
  t.throws(() => stats.readValues(new BigUint64Array(1)), { code: 'ERR_INVALID_ARG_VALUE' });
  t.throws(() => stats.readValues(new Uint8Array(8) as never), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => stats.readValues([] as never), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('the statistics can be read while the vCPU runs', async (t) => {
  const machine = ready(t);
  if (machine === undefined) return;
  const { vm, vcpu } = machine;
  vm.setEmptyBus(true);
  const stats = vcpu.binaryStats();
  load(vm, 'mmio-storm');
  enter(vcpu, 'mmio-storm');
  const running = vcpu.runInBackground();
  const first = stats.readValues();
  for (let times = 0; times < 100; times++) stats.read();
  await until(() => stats.readValues().some((value, index) => value > first[index]!));
  vcpu.kickHandle.kick();
  t.is((await running).reason, 'kicked');
});

test('the first call while the vCPU runs is refused', async (t) => {
  const machine = ready(t);
  if (machine === undefined) return;
  const { vm, vcpu } = machine;
  load(vm, 'spin');
  enter(vcpu, 'spin');
  const running = vcpu.runInBackground();
  // It is on its way, on its own thread.
  await sleep(20);
  t.throws(() => vcpu.binaryStats(), { code: 'ERR_KVM_BUSY' });
  vcpu.kickHandle.kick();
  await running;
  t.true(vcpu.binaryStats().schema.length > 0);
});

test('statistics end with what they are of', (t) => {
  const machine = ready(t);
  if (machine === undefined) return;
  const { vm, vcpu } = machine;
  const [ofVm, ofVcpu] = [vm.binaryStats(), vcpu.binaryStats()];
  vcpu.close();
  t.throws(() => ofVcpu.read(), { code: 'ERR_KVM_CLOSED' });
  t.throws(() => vcpu.binaryStats(), { code: 'ERR_KVM_CLOSED' });
  t.true(Object.keys(ofVm.read()).length > 0);
  vm.close();
  t.throws(() => ofVm.read(), { code: 'ERR_KVM_CLOSED' });
  t.throws(() => ofVm.readValues(), { code: 'ERR_KVM_CLOSED' });
  t.throws(() => vm.binaryStats(), { code: 'ERR_KVM_CLOSED' });
});

test('a host without statistics says so, and nobody makes them by hand', (t) => {
  t.throws(() => new BinaryStats(Symbol('key'), {} as never), { code: 'ERR_ILLEGAL_CONSTRUCTOR' });
  const vm = makeVm(t);
  if (vm.checkExtension(Cap.BinaryStatsFd)) return;
  for (const use of [() => vm.binaryStats(), () => vm.createVcpu().binaryStats()]) {
    t.regex(t.throws(use, { code: 'ERR_KVM_UNSUPPORTED' }).message, /KVM_CAP_BINARY_STATS_FD/);
  }
});
