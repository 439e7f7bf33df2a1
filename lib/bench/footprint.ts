/** P12 and gc: what a hundred virtual machines in one process cost it in memory, and in garbage collections. */
import { readFileSync } from 'node:fs';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { Kvm, type Vm } from '../../index.ts';
import type { BenchContext } from './context.ts';
import { guestLayout } from './bench-guest.ts';
import { goals } from './goals.ts';
import { valueRow } from './report.ts';

const machines = 100;
const mib = 1024 * 1024;

/** Resident bytes of this process, from the kernel: guest pages count once they are touched. */
function residentBytes(): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return Number(kib) * 1024;
}

/** A full collection, and a turn for the finalizers that it finds. */
async function collect(): Promise<void> {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  gc();
  await delay(20);
  gc();
}

/** A VM with one vCPU that has left its guest once: idle, as it would wait for work. */
function idleVm(kvm: Kvm, ramSize: number): Vm {
  const { program, guestAddress } = guestLayout('pioOut');
  const vm = kvm.createVm();
  vm.memory.map({ guestAddress: 0, size: ramSize });
  vm.memory.write(guestAddress, program);
  const vcpu = vm.createVcpu();
  vcpu.setSregs({ cs: { base: 0n, selector: 0 } });
  vcpu.setRegs({ rip: guestAddress, rflags: 2 });
  vcpu.run();
  return vm;
}

/** P12. The one guest page that is touched is counted as the VM's. */
export async function measureFootprint(context: BenchContext): Promise<void> {
  context.progress('memory of idle VMs', 0, 1);
  // The first VM brings code and pools that all later ones share.
  const first = new Kvm();
  const pool = idleVm(first, 16 * mib);
  await collect();
  const before = residentBytes();
  const kvm = new Kvm();
  const vms: Vm[] = [];
  for (let made = 0; made < machines; made++) vms.push(idleVm(kvm, 16 * mib));
  await collect();
  const bytes = (residentBytes() - before) / machines;
  for (const vm of [...vms, pool]) vm.close();
  kvm.close();
  first.close();
  await collect();
  const left = (residentBytes() - before) / mib;
  context.add(
    valueRow({
      id: 'P12',
      lane: 'public classes',
      exit: 'idle VM',
      per: 'VM',
      value: bytes / mib,
      unit: 'MiB',
      goal: goals.P12,
      note: `resident memory; after closing all ${machines}, ${Math.max(left, 0).toFixed(1)} MiB are left of it`,
    }),
  );
}

/** Major collections that external buffers force; nothing is made here but VMs and one small view of each. */
export async function measureCollections(context: BenchContext): Promise<void> {
  context.progress('collections', 0, 1);
  await collect();
  let major = 0;
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      // Node's own types leave `detail` out of the base class.
      const { kind } = (entry as { detail?: { kind?: number } }).detail ?? {};
      if (kind === constants.NODE_PERFORMANCE_GC_MAJOR) major++;
    }
  });
  // Entries come in a later turn: those of the collection above must not be counted.
  await delay(50);
  observer.observe({ entryTypes: ['gc'] });
  const kvm = new Kvm();
  for (let made = 0; made < machines; made++) {
    const vm = idleVm(kvm, 128 * mib);
    vm.memory.view(0, 4096)[0] = made;
    vm.close();
    if (made % 10 === 9) await delay(1);
  }
  kvm.close();
  await delay(50);
  observer.disconnect();
  context.add(
    valueRow({
      id: 'gc',
      lane: 'public classes',
      exit: `${machines} VMs`,
      per: `${machines} VMs`,
      value: major,
      unit: 'collections',
      goal: goals.gc,
    }),
  );
}
