/** Ways to leave a process while guests run. Each scenario must end at once with the code that it names. */
import { Worker } from 'node:worker_threads';

import { Serial } from '../../../index.ts';
import { machine, main, sleep, waitFor } from './machine.ts';
import type { WorkerOrders } from './worker-entry.ts';

async function inWorker(guest: string, kind: WorkerOrders['kind'], exits: number): Promise<Worker> {
  const { vm, vcpu } = machine(guest);
  if (kind === 'rust-device') vm.io.attach({ base: 0x500, length: 8 }, new Serial());
  const counter = new Int32Array(new SharedArrayBuffer(4));
  const orders: WorkerOrders = { kind, token: vcpu.transfer(), counter };
  const worker = new Worker(new URL('./worker-entry.ts', import.meta.url), { workerData: orders });
  await waitFor('the exits of the Worker', () => Atomics.load(counter, 0) >= exits);
  return worker;
}

await main({
  async 'background spin'() {
    const { vcpu } = machine('spin');
    void vcpu.runInBackground();
    await sleep(100);
    console.log('exiting');
    process.exit(42);
  },
  async 'background storm'() {
    const { vcpu } = machine('pio-out-loop');
    let exits = 0;
    void vcpu.runInBackground({ ioOut: () => void exits++ });
    await waitFor('exits', () => exits > 1000);
    process.exit(42);
  },
  async 'background handler'() {
    const { vcpu } = machine('pio-out-loop');
    await vcpu.runInBackground({ ioOut: () => process.exit(42) });
  },
  async 'worker spin'() {
    await inWorker('spin', 'spin', 1);
    await sleep(100);
    process.exit(42);
  },
  async 'worker hot handler'() {
    await inWorker('pio-out-loop', 'handler', 300_000);
    process.exit(42);
  },
  async 'worker rust device'() {
    await inWorker('pio-out-loop', 'rust-device', 1);
    await sleep(1000);
    process.exit(42);
  },
  async 'worker that nobody waits for'() {
    // The main thread ends by itself: the Worker must not hold it up.
    (await inWorker('spin', 'spin', 1)).unref();
    process.exitCode = 42;
  },
  async sliced() {
    const { vcpu } = machine('spin');
    setTimeout(() => process.exit(42), 50);
    await vcpu.runSliced();
  },
  'sync handler'() {
    const { vcpu } = machine('pio-out-loop');
    let exits = 0;
    vcpu.run({ ioOut: () => void (++exits === 1000 && process.exit(42)) });
  },
  'exit listener'() {
    // A run in an exit listener must not enter the guest for ever.
    const { vcpu } = machine('spin');
    process.on('exit', () => console.log(vcpu.run().reason));
    process.exit(42);
  },
  natural() {
    const { vm, vcpu } = machine('add-numbers');
    const views = [vm.memory.view(0x1000, 0x1000), vm.memory.view(0x3000, 16, { readOnly: true })];
    vcpu.run({ ioOut: () => undefined });
    Object.assign(globalThis, { views, vm });
    console.log('the end');
  },
  'throw in a sync handler'() {
    const { vcpu } = machine('pio-out-loop');
    vcpu.run({
      ioOut: () => {
        throw new Error('from the handler');
      },
    });
  },
  async 'throw in a background handler'() {
    const other = machine('spin');
    void other.vcpu.runInBackground();
    const { vcpu } = machine('pio-out-loop');
    await vcpu.runInBackground({
      ioOut: () => {
        throw new Error('from the handler');
      },
    });
  },
  'throw beside guests'() {
    void machine('spin').vcpu.runInBackground();
    void machine('spin').vcpu.runSliced();
    setTimeout(() => {
      throw new Error('from a timer');
    }, 50);
  },
  async 'throw beside a worker'() {
    await inWorker('spin', 'spin', 1);
    throw new Error('from the main thread');
  },
  async 'killed from outside'() {
    void machine('spin').vcpu.runInBackground();
    void machine('pio-out-loop').vcpu.runInBackground({ ioOut: () => undefined });
    await sleep(50);
    console.log('ready');
  },
});
