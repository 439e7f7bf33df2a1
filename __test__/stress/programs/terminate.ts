/** Workers that are ended from outside while their vCPU is in the guest, or hot in a loop. */
import { Worker } from 'node:worker_threads';

import { Kvm, Serial } from '../../../index.ts';
import { machine, main, sleep, startAt0x1000, waitFor, type Machine } from './machine.ts';
import type { WorkerOrders } from './worker-entry.ts';

/** Starts a Worker on the machine, waits until its JavaScript has seen some exits, and ends it. */
async function terminate(
  { vcpu }: Machine,
  kind: WorkerOrders['kind'],
  exits = 1,
  thenMs = 0,
): Promise<void> {
  const counter = new Int32Array(new SharedArrayBuffer(4));
  const orders: WorkerOrders = { kind, token: vcpu.transfer(), counter };
  const worker = new Worker(new URL('./worker-entry.ts', import.meta.url), { workerData: orders });
  worker.on('error', (error) => {
    throw error;
  });
  // On a machine with much else to do, ten seconds of exits are hot enough.
  const late = performance.now() + 10_000;
  await waitFor('the exits of the Worker', () => {
    const seen = Atomics.load(counter, 0);
    return seen >= exits || (seen > 50_000 && performance.now() > late);
  });
  await sleep(thenMs);
  console.log('terminated', await worker.terminate());
}

await main({
  spin: () => terminate(machine('spin'), 'spin', 1, 100),
  'hot handler': () => terminate(machine('pio-out-loop'), 'handler', 1_000_000),
  'hot device': () => terminate(machine('pio-out-loop'), 'js-device', 1_000_000),
  async 'rust device'() {
    const one = machine('pio-out-loop');
    one.vm.io.attach({ base: 0x500, length: 8 }, new Serial());
    await terminate(one, 'rust-device', 1, 3000);
  },
  async 'halted inside KVM'() {
    const kvm = new Kvm();
    const vm = kvm.createVm();
    // With the irqchip, hlt waits in the kernel. It comes first: vCPUs made after it have a local APIC.
    vm.createIrqChip();
    vm.memory.map({ guestAddress: 0x1000, size: 0x1000 });
    vm.memory.write(0x1000, Uint8Array.of(0xfa, 0xf4)); // cli; hlt
    const vcpu = vm.createVcpu();
    startAt0x1000(vcpu);
    await terminate({ kvm, vm, vcpu }, 'spin', 1, 100);
  },
  async 'waits for a device of the main isolate'() {
    const one = machine('pio-in-loop');
    let reads = 0;
    one.vm.io.attach(
      { base: 0x500, length: 1 },
      {
        read: () => {
          reads++;
          return new Promise<number>(() => undefined);
        },
      },
    );
    await terminate(one, 'spin', 1, 300);
    console.log('reads', reads);
  },
});
