/**
 * P6b: does a VM that exits flat out on Rust devices, on the background lane, disturb the event loop of its process?
 * Windows with and without it alternate; in each the delay of a 1 ms timer is watched.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';

import { I8042, Kvm } from '../../index.ts';
import type { BenchContext } from './context.ts';
import { goals } from './goals.ts';
import { ratioRow } from './report.ts';
import { quantile, sorted } from './stats.ts';

const timerMs = 1;

/** Real mode, at 0x1000: writes to one port for ever. */
const program = Uint8Array.of(
  0xe6,
  0x10, // out 0x10, al
  0xeb,
  0xfc, // jmp 0x1000
);

/** p99 of the delay within a window, in nanoseconds, the timer's own interval included. */
async function delayP99(windowMs: number, signal: AbortSignal | undefined): Promise<number> {
  const monitor = monitorEventLoopDelay({ resolution: timerMs });
  monitor.enable();
  await delay(windowMs, undefined, { signal }).catch(() => {});
  monitor.disable();
  return monitor.percentile(99);
}

export async function measureEventLoop(context: BenchContext): Promise<void> {
  const kvm = new Kvm();
  const vm = kvm.createVm();
  try {
    vm.memory.map({ guestAddress: 0x1000, size: 0x1000 });
    vm.memory.write(0x1000, program);
    vm.io.attach({ base: 0x10, length: 1 }, new I8042());
    const vcpu = vm.createVcpu();
    vcpu.setSregs({ cs: { base: 0n, selector: 0 } });
    vcpu.setRegs({ rip: 0x1000, rflags: 2 });
    const pairs = 5;
    const windowMs = Math.min(Math.max((context.deadline - performance.now()) / (2 * pairs), 100), 800);
    const idle: number[] = [];
    const busy: number[] = [];
    for (let pair = 0; pair < pairs && context.signal?.aborted !== true; pair++) {
      context.progress('event-loop delay', pair, pairs);
      idle.push(await delayP99(windowMs, context.signal));
      const stop = new AbortController();
      const run = vcpu.runInBackground({}, { signal: stop.signal });
      busy.push(await delayP99(windowMs, context.signal));
      stop.abort();
      // How a run ends whose signal fired is not what is measured here.
      await run.catch(() => {});
    }
    const samples = Float64Array.from(busy);
    const peerSamples = Float64Array.from(idle);
    const beyond = (values: Float64Array): string =>
      `${((quantile(sorted(values), 0.5) - timerMs * 1e6) / 1000).toFixed(0)} µs`;
    context.add(
      ratioRow({
        id: 'P6b',
        lane: 'background',
        exit: 'pioOut, Rust device',
        peer: 'idle event loop',
        per: `window's p99`,
        samples,
        peerSamples,
        goal: goals.P6b,
        note: `delay of a ${timerMs} ms timer, its interval included; beyond the interval: ${beyond(samples)} beside the VM, ${beyond(peerSamples)} idle`,
      }),
    );
  } finally {
    vm.close();
    kvm.close();
  }
}
