import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { setTimeout as sleep } from 'node:timers/promises';

import test, { type ExecutionContext } from 'ava';

import { KvmError, Vcpu } from '../../index.ts';
import { realModeGuest } from '../helpers/guests.ts';
import { boot, exitOf } from '../helpers/machine.ts';
import type { Order, Report } from '../helpers/worker-vcpu.ts';

interface Hand {
  /** The Worker has the vCPU. */
  adopted: Promise<void>;
  report: Promise<Report>;
}

function hand(t: ExecutionContext, order: Order): Hand {
  const worker = new Worker(new URL('../helpers/worker-vcpu.ts', import.meta.url), { workerData: order });
  t.teardown(() => worker.terminate());
  let adopted!: () => void;
  const isAdopted = new Promise<void>((resolve) => (adopted = resolve));
  const report = new Promise<Report>((resolve, reject) => {
    worker.on('message', (message: 'adopted' | Report) => {
      if (message === 'adopted') adopted();
      else resolve(message);
    });
    worker.on('error', reject);
  });
  return { adopted: isAdopted, report };
}

/** mov dx, 0x500; in al, dx; inc al; out dx, al; mov dx, 0x3f8; out dx, al; hlt */
const ASKS_DEVICE = realModeGuest([0xba, 0x00, 0x05, 0xec, 0xfe, 0xc0, 0xee], [0xba, 0xf8, 0x03, 0xee, 0xf4]);

test('a Worker runs a vCPU that was transferred to it', async (t) => {
  const { vcpu } = boot(t, 'add-numbers', { regs: { rax: 2, rbx: 3 } });
  const { report } = hand(t, { token: vcpu.transfer(), job: 'run' });
  t.deepEqual(await report, { end: { reason: 'exit', exit: { kind: 'hlt' } }, values: [0x35, 0x0a] });
});

test('a transferred vCPU is of no use here', (t) => {
  const { vcpu } = boot(t, 'hlt-loop');
  vcpu.transfer();
  const transferred = { instanceOf: KvmError, code: 'ERR_KVM_TRANSFERRED' };
  t.throws(() => vcpu.run(), transferred);
  t.throws(() => vcpu.step(), transferred);
  t.throws(() => vcpu.getRegs(), transferred);
  t.throws(() => vcpu.regs.rax, transferred);
  t.throws(() => vcpu.setRegs({}), transferred);
  t.throws(() => vcpu.complete(), transferred);
  t.throws(() => vcpu.transfer(), transferred);
});

test('a transferred vCPU is rejected on the lanes that promise, too', async (t) => {
  const { vcpu } = boot(t, 'hlt-loop');
  vcpu.transfer();
  await t.throwsAsync(vcpu.runSliced(), { code: 'ERR_KVM_TRANSFERRED' });
  await t.throwsAsync(vcpu.runInBackground(), { code: 'ERR_KVM_TRANSFERRED' });
});

test('a token is good for one adoption', (t) => {
  const { vcpu } = boot(t, 'hlt-loop');
  const token = structuredClone(vcpu.transfer());
  const adopted = Vcpu.adopt(token);
  t.is(adopted.id, 0);
  exitOf(adopted.run(), 'hlt');
  t.throws(() => Vcpu.adopt(token), { instanceOf: KvmError, code: 'ERR_KVM_TOKEN' });
  // And again after another transfer.
  const again = Vcpu.adopt(adopted.transfer());
  exitOf(again.run(), 'hlt');
});

test('what was not transferred cannot be adopted', (t) => {
  const { vm, vcpu } = boot(t, 'hlt-loop');
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
  const { vcpu } = boot(t, 'pio-in-loop', { regs: { rbx: 7 } });
  const exit = vcpu.step();
  if (exit.kind !== 'ioIn') return t.fail();
  exit.reply(0x42);
  const adopted = Vcpu.adopt(vcpu.transfer());
  const { rax, rbx } = adopted.getRegs();
  t.deepEqual([rax & 0xffn, rbx], [0x42n, 7n]);
});

test('an adopted vCPU has the memory of its machine', async (t) => {
  const { vm, vcpu } = boot(t, 'hlt-loop');
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
    const { vm, vcpu } = boot(t, ASKS_DEVICE);
    const written: number[] = [];
    vm.io.attach(
      { base: 0x500, length: 1 },
      {
        read: () => (later ? sleep(2).then(() => 0x41) : 0x41),
        write: (_offset, value) => {
          written.push(value);
          return later ? sleep(2) : undefined;
        },
      },
    );
    const { report } = hand(t, { token: vcpu.transfer(), job: 'run' });
    t.deepEqual(await report, { end: { reason: 'exit', exit: { kind: 'hlt' } }, values: [0x42] });
    t.deepEqual(written, [0x42]);
  });
}

test('a device of this isolate answers a string read of a Worker', async (t) => {
  const { vm, vcpu } = boot(t, 'string-in-dword');
  let next = 0;
  vm.io.attach({ base: 0x500, length: 4 }, { read: () => ++next * 0x0101_0101 });
  const { report } = hand(t, { token: vcpu.transfer(), job: 'run' });
  t.deepEqual((await report).end, { reason: 'exit', exit: { kind: 'hlt' } });
  t.deepEqual([...vm.memory.read(0x2000, 16)], [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4]);
});

test('posted writes of a Worker’s vCPU reach a device of this isolate', async (t) => {
  // mov cx, 50; mov dx, 0x500; again: out dx, al; inc al; loop again; inc dx; in al, dx; hlt
  const guest = [0xb9, 50, 0, 0xba, 0x00, 0x05, 0xee, 0xfe, 0xc0, 0xe2, 0xfb, 0x42, 0xec, 0xf4];
  const { vm, vcpu } = boot(t, realModeGuest(...guest));
  const seen: number[] = [];
  vm.io.attach(
    { base: 0x500, length: 1 },
    { write: (_at, value) => void seen.push(value) },
    { posted: true },
  );
  let before = -1;
  vm.io.attach({ base: 0x501, length: 1 }, { read: () => (before = seen.length) });
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
  const worker = new Worker(new URL('../helpers/worker-kick.ts', import.meta.url), {
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
  const { vm, vcpu } = boot(t, 'two-vcpus', { regs: { rbx: 0x41 } });
  const second = vm.createVcpu();
  second.setSregs({ cs: { base: 0n, selector: 0 } });
  second.setRegs({ rip: 0x1000, rflags: 2, rbx: 0x42 });
  const reports = await Promise.all(
    [vcpu, second].map((one) => hand(t, { token: one.transfer(), job: 'run' }).report),
  );
  t.deepEqual(
    reports.map((report) => report.values),
    [[0x41], [0x42]],
  );
});

test('a Worker’s own timeout ends its run', async (t) => {
  const { vcpu } = boot(t, 'spin');
  const { report } = hand(t, { token: vcpu.transfer(), job: 'run', timeoutMs: 20 });
  t.deepEqual((await report).end, { reason: 'timeout' });
});
