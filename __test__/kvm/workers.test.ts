import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { setTimeout as sleep } from 'node:timers/promises';

import test from 'ava';

import { KvmError, Vcpu, type RunResult } from '../../index.ts';
import { OUTPUT, boot, bootPair, ended, getRegister, setRegisters } from '../helpers/common-guests.ts';
import { hand } from '../helpers/hand.ts';
import { exitOf } from '../helpers/machine.ts';
import { sourceName } from '../helpers/sources.ts';

test('a Worker runs a vCPU that was transferred to it', async (t) => {
  const { vcpu } = boot(t, 'mmio-burst', { regs: { value: 7, step: 2 } });
  const { report } = hand(t, { token: vcpu.transfer(), job: 'run' });
  const { end, values } = await report;
  ended(end as RunResult);
  t.deepEqual(values, [7, 8, 9]);
});

test('a transferred vCPU is of no use here', (t) => {
  const { vcpu } = boot(t, 'mmio-storm');
  vcpu.transfer();
  const transferred = { instanceOf: KvmError, code: 'ERR_KVM_TRANSFERRED' };
  t.throws(() => vcpu.run(), transferred);
  t.throws(() => vcpu.step(), transferred);
  t.throws(() => getRegister(vcpu, 'value'), transferred);
  t.throws(() => setRegisters(vcpu, { value: 1 }), transferred);
  t.throws(() => vcpu.getMpState(), transferred);
  t.throws(() => vcpu.complete(), transferred);
  t.throws(() => vcpu.transfer(), transferred);
});

test('a transferred vCPU is rejected on the lanes that promise, too', async (t) => {
  const { vcpu } = boot(t, 'mmio-storm');
  vcpu.transfer();
  await t.throwsAsync(vcpu.runSliced(), { code: 'ERR_KVM_TRANSFERRED' });
  await t.throwsAsync(vcpu.runInBackground(), { code: 'ERR_KVM_TRANSFERRED' });
});

test('a token is good for one adoption', (t) => {
  const { vcpu } = boot(t, 'mmio-storm');
  const token = structuredClone(vcpu.transfer());
  const adopted = Vcpu.adopt(token);
  t.is(adopted.id, 0);
  exitOf(adopted.run(), 'mmioWrite');
  t.throws(() => Vcpu.adopt(token), { instanceOf: KvmError, code: 'ERR_KVM_TOKEN' });
  // And again after another transfer.
  const again = Vcpu.adopt(adopted.transfer());
  exitOf(again.run(), 'mmioWrite');
});

test('what was not transferred cannot be adopted', (t) => {
  const { vm, vcpu } = boot(t, 'mmio-storm');
  t.throws(() => Vcpu.adopt({ ...vcpu.kickHandle.token, offer: 1 }), { code: 'ERR_KVM_TOKEN' });
  t.throws(() => Vcpu.adopt({ vcpu: [0xffff_ffff, 0], offer: 1 }), { code: 'ERR_KVM_TOKEN' });
  t.throws(() => Vcpu.adopt({} as never), { code: 'ERR_INVALID_ARG_TYPE' });
  const token = vcpu.transfer();
  // Who may kick it may not take it.
  t.throws(() => Vcpu.adopt(vcpu.kickHandle.token as never), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => Vcpu.adopt({ ...token, offer: token.offer + 1 }), { code: 'ERR_KVM_TOKEN' });
  vm.close();
  t.throws(() => Vcpu.adopt(token), { code: 'ERR_KVM_TOKEN' });
});

test('registers go along, and an open access is complete', (t) => {
  const { vcpu } = boot(t, 'mmio-echo', { regs: { spare: 7 } });
  const exit = vcpu.step();
  if (exit.kind !== 'mmioRead') return t.fail();
  exit.reply(0x42);
  const adopted = Vcpu.adopt(vcpu.transfer());
  t.deepEqual([getRegister(adopted, 'value'), getRegister(adopted, 'spare')], [0x42n, 7n]);
});

test('an adopted vCPU has the memory of its machine', async (t) => {
  const { vm, vcpu } = boot(t, 'mmio-storm');
  vm.memory.writeUint8(0x2000, 41);
  const { report } = hand(t, { token: vcpu.transfer(), job: 'memory' });
  t.deepEqual([...(await report).bytes!], [41, 42]);
  t.is(vm.memory.readUint8(0x2001), 42);
});

for (const [name, later] of [
  ['at once', false],
  ['by a Promise', true],
] as const) {
  test(`a device of this isolate answers ${name} while a Worker runs the vCPU`, async (t) => {
    const { vm, vcpu } = boot(t, 'mmio-sizes');
    const written: number[] = [];
    vm.mmio.attach(
      { base: OUTPUT, length: 0x14 },
      {
        read: () => (later ? sleep(2).then(() => 0x41) : 0x41),
        write: (_offset, value) => {
          written.push(value);
          return later ? sleep(2) : undefined;
        },
      },
    );
    const { report } = hand(t, { token: vcpu.transfer(), job: 'run' });
    const { end, values } = await report;
    ended(end as RunResult);
    // The last write is of nobody's address: the Worker's handler has it.
    t.deepEqual(values, [0x41]);
    t.deepEqual(written, [0x41, 0x41]);
  });
}

test('posted writes of a Worker’s vCPU reach a device of this isolate', async (t) => {
  const { vm, vcpu } = boot(t, 'mmio-burst', { regs: { step: 50 } });
  const seen: number[] = [];
  vm.mmio.attach(
    { base: OUTPUT, length: 1 },
    { write: (_at, value) => void seen.push(value) },
    { posted: true },
  );
  let before = -1;
  vm.mmio.attach({ base: OUTPUT + 8, length: 4 }, { write: () => void (before = seen.length) });
  const { report } = hand(t, { token: vcpu.transfer(), job: 'run' });
  await report;
  t.is(before, 50);
  t.true(seen.every((value, index) => value === index));
});

test('a kick from here ends the run of a Worker', async (t) => {
  const { vcpu } = boot(t, 'spin');
  const { kickHandle } = vcpu;
  const { adopted, report } = hand(t, { token: vcpu.transfer(), job: 'run' });
  await adopted;
  kickHandle.kick();
  t.deepEqual(await report, { end: { reason: 'kicked' }, values: [] });
});

test('a kick from a Worker ends a run that blocks this thread', async (t) => {
  const { vcpu } = boot(t, 'spin');
  const flag = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL(sourceName('../helpers/worker-kick.ts'), import.meta.url), {
    workerData: { token: vcpu.kickHandle.token, flag },
  });
  t.teardown(() => worker.terminate());
  await once(worker, 'message');
  // The Worker waits for this and needs nothing of this thread from then on.
  Atomics.store(flag, 0, 1);
  Atomics.notify(flag, 0);
  t.deepEqual(vcpu.run({}, { timeoutMs: 20_000 }), { reason: 'kicked' });
});

test('vm.close() here ends the run of a Worker with ERR_KVM_CLOSED', async (t) => {
  const { vm, vcpu } = boot(t, 'spin');
  const { adopted, report } = hand(t, { token: vcpu.transfer(), job: 'run' });
  await adopted;
  await sleep(5);
  vm.close();
  t.deepEqual(await report, { error: 'ERR_KVM_CLOSED' });
});

test('vm.close() in a Worker closes the machine here', async (t) => {
  const { vm, vcpu } = boot(t, 'spin');
  const other = vm.createVcpu();
  const view = vm.memory.view(0x1000, 1);
  const { report } = hand(t, { token: vcpu.transfer(), job: 'close' });
  await report;
  t.true(vm.closed);
  t.throws(() => other.run(), { code: 'ERR_KVM_CLOSED' });
  t.throws(() => vm.memory.read(0x1000, 1), { code: 'ERR_KVM_CLOSED' });
  // A window of this isolate is not detached by another one: it is harmless.
  t.true(view.length === 0 || view[0] === 0);
});

test('two Workers run two vCPUs of one machine at once', async (t) => {
  const reports = await Promise.all(
    bootPair(t).map((one) => hand(t, { token: one.transfer(), job: 'run' }).report),
  );
  t.deepEqual(
    reports.map((report) => report.values),
    [[1], [2]],
  );
});

test('a Worker’s own timeout ends its run', async (t) => {
  const { vcpu } = boot(t, 'spin');
  const { report } = hand(t, { token: vcpu.transfer(), job: 'run', timeoutMs: 20 });
  t.deepEqual((await report).end, { reason: 'timeout' });
});
