import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';

import test, { type ExecutionContext } from 'ava';

import { KickHandle, KvmError, Serial, Vcpu } from '../../index.ts';
import { OUTPUT, bootArm } from '../helpers/arm.ts';
import { LANES } from '../helpers/lanes.ts';
import { exitOf } from '../helpers/machine.ts';
import { until } from '../helpers/wait.ts';
import type { Order, Report } from '../helpers/worker-arm.ts';

for (const [name, run] of LANES) {
  test(`${name}: an exit that no handler takes ends the run, and the next run goes on behind it`, async (t) => {
    const { vcpu } = bootArm(t, 'mmio-storm', { regs: { x1: 7 } });
    t.deepEqual(await run(vcpu, {}), {
      reason: 'exit',
      exit: { kind: 'mmioWrite', address: OUTPUT, size: 4, value: 7, value64: 7n },
    });
    t.is(exitOf(await run(vcpu, {}), 'mmioWrite').value, 8);
  });

  test(`${name}: stop() ends the run after its handler`, async (t) => {
    const { vcpu } = bootArm(t, 'mmio-storm');
    const values: number[] = [];
    const end = await run(vcpu, {
      mmioWrite: (exit) => {
        if (exit.value === 2) exit.stop();
        values.push(exit.value);
      },
    });
    t.is(end.reason, 'stopped');
    t.deepEqual(values, [0, 1, 2]);
    t.is(exitOf(await run(vcpu, {}), 'mmioWrite').value, 3);
  });

  test(`${name}: a timeout ends a guest that spins, and one that makes exits all the time`, async (t) => {
    const { vcpu } = bootArm(t, 'spin');
    t.deepEqual(await run(vcpu, {}, { timeoutMs: 20 }), { reason: 'timeout' });
    t.is(vcpu.armRegs.pc, 0x1000n);
    const { vcpu: other } = bootArm(t, 'mmio-storm');
    let exits = 0;
    t.deepEqual(await run(other, { mmioWrite: () => void exits++ }, { timeoutMs: 20 }), {
      reason: 'timeout',
    });
    t.is(exitOf(await run(other, {}), 'mmioWrite').value, exits);
  });

  test(`${name}: a kick from a handler, and one before the run`, async (t) => {
    const { vcpu } = bootArm(t, 'mmio-storm');
    const handle = KickHandle.from(structuredClone(vcpu.kickHandle.token));
    const values: number[] = [];
    const end = await run(vcpu, {
      mmioWrite: (exit) => {
        values.push(exit.value);
        if (exit.value === 1) handle.kick();
      },
    });
    t.deepEqual(end, { reason: 'kicked' });
    t.deepEqual(values, [0, 1]);
    handle.kick();
    t.deepEqual(await run(vcpu, {}), { reason: 'kicked' });
    t.is(exitOf(await run(vcpu, {}), 'mmioWrite').value, 2);
  });

  test(`${name}: a handler that throws leaves the vCPU usable`, async (t) => {
    const { vcpu } = bootArm(t, 'mmio-storm');
    const error = new Error('mine');
    const thrown = await t.throwsAsync(
      run(vcpu, {
        mmioWrite: (exit) => {
          if (exit.value === 1) throw error;
        },
      }),
    );
    t.is(thrown, error);
    t.is(exitOf(await run(vcpu, {}), 'mmioWrite').value, 2);
  });

  test(`${name}: a handler answers a read and writes registers, and both reach the guest`, async (t) => {
    const { vcpu } = bootArm(t, 'mmio-echo');
    const written: number[] = [];
    const end = await run(vcpu, {
      mmioRead: (exit, { armRegs }) => {
        exit.reply(40);
        armRegs.x2 = 2n;
        // The answer goes to x1 when the access is complete; what is written there before is overwritten by it.
        armRegs.x5 = armRegs.x1 + 99n;
      },
      mmioWrite: (exit, { armRegs }) => {
        written.push(exit.value);
        armRegs.x2 = 5n;
        if (written.length === 2) exit.stop();
      },
    });
    t.is(end.reason, 'stopped');
    t.deepEqual(written, [42, 42]);
    t.is(vcpu.armRegs.x2, 5n);
    t.is(vcpu.armRegs.x5, 141n);
  });

  test(`${name}: the program counter that a handler sets is where the guest goes on`, async (t) => {
    const { vcpu } = bootArm(t, 'mmio-echo');
    let reads = 0;
    const end = await run(vcpu, {
      mmioRead: (_exit, { armRegs }) => {
        reads++;
        if (reads < 3) armRegs.pc = 0x1004n; // the read, again
        return 11;
      },
    });
    t.is(exitOf(end, 'mmioWrite').value, 11);
    t.is(reads, 3);
  });

  test(`${name}: a device written in JavaScript gets offsets, of accesses of 8 bytes as two`, async (t) => {
    const { vm, vcpu } = bootArm(t, 'mmio-sizes');
    const log: string[] = [];
    const claim = vm.mmio.attach(
      { base: OUTPUT, length: 0x40 },
      {
        read: (offset, size) => {
          log.push(`read ${offset} ${size}`);
          return offset;
        },
        write: (offset, value, size) => void log.push(`write ${offset} ${size} ${value}`),
      },
    );
    exitOf(await run(vcpu, {}), 'systemEvent');
    t.deepEqual(log, [
      'read 0 1',
      'write 32 1 0',
      'read 2 2',
      'write 34 2 2',
      'read 4 4',
      'write 36 4 4',
      'read 8 4',
      'read 12 4',
      'write 40 4 8',
      'write 44 4 12',
      'read 16 1',
      'write 48 4 16',
      'write 52 4 0',
    ]);
    claim.detach();
  });

  test(`${name}: a serial port at an address is served in Rust`, async (t) => {
    const { vm, vcpu } = bootArm(t, 'print');
    let text = '';
    const serial = new Serial({ onOutput: (bytes) => (text += Buffer.from(bytes).toString()) });
    vm.mmio.attach({ base: OUTPUT, length: 8 }, serial);
    exitOf(await run(vcpu, {}), 'systemEvent');
    await until(() => text.length >= 6);
    t.is(text, 'hello\n');
    const { byRoute } = vcpu.stats;
    t.is(byRoute.rust, 6);
    t.is(byRoute.javascript, 1);
  });

  test(`${name}: posted writes to a serial port make no exits`, async (t) => {
    const { vm, vcpu } = bootArm(t, 'print');
    let text = '';
    const serial = new Serial({ onOutput: (bytes) => (text += Buffer.from(bytes).toString()) });
    vm.mmio.attach({ base: OUTPUT, length: 8 }, serial, { posted: { offset: 0, length: 1 } });
    exitOf(await run(vcpu, {}), 'systemEvent');
    await until(() => text.length >= 6);
    t.is(text, 'hello\n');
    t.is(vcpu.stats.byRoute.posted, 6);
    t.is(vcpu.stats.exits, 1);
  });

  test(`${name}: posted writes to a JavaScript device come in order, before the exit that follows`, async (t) => {
    const { vm, vcpu } = bootArm(t, 'print');
    const seen: number[] = [];
    vm.mmio.attach(
      { base: OUTPUT, length: 8 },
      { write: (_offset, value) => void seen.push(value) },
      { posted: true },
    );
    let before = 0;
    await run(vcpu, { systemEvent: (exit) => ((before = seen.length), exit.stop()) });
    t.is(before, 6);
    t.is(String.fromCharCode(...seen), 'hello\n');
    t.is(vcpu.stats.exits, 1);
  });
}

test('step() and exits() go from exit to exit', (t) => {
  const { vcpu } = bootArm(t, 'mmio-echo', { regs: { x2: 1 } });
  const first = vcpu.step();
  if (first.kind !== 'mmioRead') throw new Error(first.kind);
  first.reply(5);
  const kinds: string[] = [];
  for (const exit of vcpu.exits({ timeoutMs: 5000 })) {
    kinds.push(exit.kind);
    if (exit.kind === 'mmioRead') exit.reply(9);
    if (exit.kind === 'mmioWrite' && exit.value === 10) break;
    if (exit.kind === 'mmioWrite') t.is(exit.value, 6);
  }
  t.deepEqual(kinds, ['mmioWrite', 'mmioRead', 'mmioWrite']);
  t.throws(() => first.reply(5), { code: 'ERR_KVM_STALE_EXIT' });
  t.deepEqual(bootArm(t, 'spin').vcpu.step({ timeoutMs: 20 }), { kind: 'timeout' });
});

test('complete() finishes a read without running on', (t) => {
  const { vcpu } = bootArm(t, 'mmio-echo');
  const exit = vcpu.step();
  if (exit.kind !== 'mmioRead') throw new Error(exit.kind);
  exit.reply(0x1c);
  vcpu.complete();
  t.is(vcpu.armRegs.x1, 0x1cn);
  t.is(vcpu.armRegs.pc, 0x1008n);
});

test('in the background a handler may take its time, and only its vCPU waits', async (t) => {
  const { vm, vcpu } = bootArm(t, 'mmio-echo');
  const { vcpu: other } = bootArm(t, 'mmio-storm');
  let stopOther = false;
  let others = 0;
  const beside = other.runInBackground({
    mmioWrite: (exit) => {
      others++;
      if (stopOther) exit.stop();
    },
  });
  const end = await vcpu.runInBackground({
    mmioRead: async () => {
      const before = others;
      await until(() => others > before + 3);
      return 0x77;
    },
  });
  t.is(exitOf(end, 'mmioWrite').value, 0x77);
  stopOther = true;
  t.is((await beside).reason, 'stopped');
  vm.close();
});

test('on the other lanes a Promise is refused', async (t) => {
  const handlers = { mmioRead: async () => 1 } as never;
  const refused = { instanceOf: KvmError, code: 'ERR_KVM_ASYNC_HANDLER' };
  t.throws(() => bootArm(t, 'mmio-echo').vcpu.run(handlers), refused);
  await t.throwsAsync(bootArm(t, 'mmio-echo').vcpu.runSliced(handlers), refused);
});

test('a sliced run leaves turns to the event loop', async (t) => {
  const { vcpu } = bootArm(t, 'spin');
  const reason = new Error('enough');
  const stop = new AbortController();
  const run = vcpu.runSliced({}, { signal: stop.signal });
  for (let turns = 0; turns < 3; turns++) await turn();
  stop.abort(reason);
  t.is(await t.throwsAsync(run), reason);
});

test('a signal ends the lanes that promise', async (t) => {
  for (const lane of ['runSliced', 'runInBackground'] as const) {
    const { vcpu } = bootArm(t, 'spin');
    const reason = new Error(lane);
    const stop = new AbortController();
    const run = vcpu[lane]({}, { signal: stop.signal });
    setTimeout(() => stop.abort(reason), 20);
    t.is(await t.throwsAsync(run), reason);
    t.deepEqual(vcpu.run({}, { timeoutMs: 10 }), { reason: 'timeout' });
  }
});

test('closing the machine ends a run in the background', async (t) => {
  const { vm, vcpu } = bootArm(t, 'spin');
  const run = vcpu.runInBackground();
  await sleep(20);
  vm.close();
  await t.throwsAsync(run, { instanceOf: KvmError, code: 'ERR_KVM_CLOSED' });
  t.true(vcpu.closed);
});

test('closing the machine from a handler ends the run', (t) => {
  const { vm, vcpu } = bootArm(t, 'mmio-storm');
  t.throws(() => vcpu.run({ mmioWrite: () => vm.close() }), { code: 'ERR_KVM_CLOSED' });
});

// ---- Workers

/** A helper's file: its name ends as this one's does, which may be compiled. */
const helper = (name: string) =>
  new URL(`../helpers/${name}${import.meta.url.endsWith('.js') ? '.js' : '.ts'}`, import.meta.url);

function hand(t: ExecutionContext, order: Order): Worker {
  const worker = new Worker(helper('worker-arm'), { workerData: order });
  t.teardown(() => worker.terminate());
  return worker;
}

test('a Worker runs a vCPU that was transferred to it', async (t) => {
  const { vm, vcpu } = bootArm(t, 'print');
  const [report] = (await once(hand(t, { vcpu: vcpu.transfer() }), 'message')) as [Report];
  t.is(String.fromCharCode(...report.values!), 'hello\n');
  t.is(report.x9, BigInt(OUTPUT));
  t.like(report.end, { reason: 'exit', exit: { kind: 'systemEvent', type: 1 } });
  t.throws(() => vcpu.armRegs.x0, { instanceOf: KvmError, code: 'ERR_KVM_TRANSFERRED' });
  t.throws(() => vcpu.run(), { code: 'ERR_KVM_TRANSFERRED' });
  vm.close();
});

test('a token is good for one adoption', (t) => {
  const { vcpu } = bootArm(t, 'mmio-storm', { regs: { x1: 3 } });
  const token = structuredClone(vcpu.transfer());
  const adopted = Vcpu.adopt(token);
  t.is(exitOf(adopted.run(), 'mmioWrite').value, 3);
  t.throws(() => Vcpu.adopt(token), { code: 'ERR_KVM_TOKEN' });
});

test('another thread kicks a vCPU whose thread is in the guest', async (t) => {
  const { vcpu } = bootArm(t, 'spin');
  const flag = new Int32Array(new SharedArrayBuffer(4));
  const worker = hand(t, { kick: vcpu.kickHandle.token, flag });
  await once(worker, 'message');
  Atomics.store(flag, 0, 1);
  Atomics.notify(flag, 0);
  t.deepEqual(vcpu.run(), { reason: 'kicked' });
});
