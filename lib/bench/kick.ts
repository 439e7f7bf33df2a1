/**
 * How long a kick takes: a guest in a tight loop, run synchronously on this thread; a Worker writes down the time and
 * kicks; the run's return is the end. Both threads read the same monotonic clock.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

import { Kvm } from '../../index.ts';
import type { BenchContext } from './context.ts';
import { goals } from './goals.ts';
import type { KickOrders } from './kick-entry.ts';
import { valueRow } from './report.ts';
import { quantile, sorted } from './stats.ts';

const entry = new URL(
  import.meta.url.endsWith('.ts') ? './kick-entry.ts' : './kick-entry.js',
  import.meta.url,
);

export async function measureKick(context: BenchContext): Promise<void> {
  const kvm = new Kvm();
  const vm = kvm.createVm();
  vm.memory.map({ guestAddress: 0x1000, size: 0x1000 });
  vm.memory.write(0x1000, Uint8Array.of(0xeb, 0xfe)); // jmp 0x1000
  const vcpu = vm.createVcpu();
  vcpu.setSregs({ cs: { base: 0n, selector: 0 } });
  vcpu.setRegs({ rip: 0x1000, rflags: 2 });
  const orders: KickOrders = {
    token: vcpu.kickHandle.token,
    word: new Int32Array(new SharedArrayBuffer(4)),
    kickedAt: new BigInt64Array(new SharedArrayBuffer(8)),
  };
  const worker = new Worker(entry, { workerData: orders });
  try {
    await once(worker, 'message');
    const samples: number[] = [];
    const kicks = Math.max(Math.round(context.rounds / 2), 20);
    for (let kick = -10; kick < kicks; kick++) {
      if (context.signal?.aborted === true || (kick >= 20 && performance.now() > context.deadline)) break;
      Atomics.store(orders.word, 0, 1);
      Atomics.notify(orders.word, 0);
      const end = vcpu.run();
      const returned = process.hrtime.bigint();
      if (end.reason !== 'kicked') throw new Error(`the run ended by ${end.reason}, not by the kick`);
      if (kick >= 0) samples.push(Number(returned - Atomics.load(orders.kickedAt, 0)));
      if ((kick & 15) === 0) context.progress('kick', kick, kicks);
    }
    const times = Float64Array.from(samples);
    context.add(
      valueRow({
        id: 'kick',
        lane: 'sync run',
        exit: 'tight loop',
        per: 'kick',
        value: quantile(sorted(times), 0.5) / 1e6,
        unit: 'ms',
        goal: goals.kick,
        samples: times,
        note: 'from a Worker to the return of run()',
      }),
    );
  } finally {
    Atomics.store(orders.word, 0, 2);
    Atomics.notify(orders.word, 0);
    await once(worker, 'exit');
    vm.close();
    kvm.close();
  }
}
