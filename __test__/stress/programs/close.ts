/** Everything is closed while somebody still uses it. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

import { KvmError, Serial, type Vcpu, type Vm } from '../../../index.ts';
import { machine, main, sleep, waitFor } from './machine.ts';
import type { WorkerOrders } from './worker-entry.ts';

type Lane = 'run' | 'runSliced' | 'runInBackground';
type Close = (vm: Vm, vcpu: Vcpu) => void;

const lanes: readonly Lane[] = ['run', 'runSliced', 'runInBackground'];
const closes: Record<string, Close> = {
  'vm.close()': (vm) => vm.close(),
  'vcpu.close()': (_vm, vcpu) => vcpu.close(),
  'vcpu.close() twice, then vm.close() twice'(vm, vcpu) {
    vcpu.close();
    vcpu.close();
    vm.close();
    vm.close();
  },
};

/** The code that a piece of work fails with. */
async function codeOf(work: () => unknown): Promise<string> {
  try {
    await work();
    return 'no error';
  } catch (error) {
    if (error instanceof KvmError) return error.code;
    throw error;
  }
}

async function report(what: string, work: () => unknown): Promise<void> {
  console.log(`${what}: ${await codeOf(work)}`);
}

/** Every lane, every kind of handler or device, every way to close. */
async function inHandlers(): Promise<void> {
  for (const [name, close] of Object.entries(closes)) {
    for (const lane of lanes) {
      const out = machine('pio-out-loop');
      await report(`${name} in ${lane}, port write`, () =>
        out.vcpu[lane]({ ioOut: () => close(out.vm, out.vcpu) }),
      );
      const input = machine('pio-in-loop');
      await report(`${name} in ${lane}, port read`, () =>
        input.vcpu[lane]({
          ioIn: () => {
            close(input.vm, input.vcpu);
          },
        }),
      );
      const mmio = machine('mmio-read-loop');
      await report(`${name} in ${lane}, memory read`, () =>
        mmio.vcpu[lane]({
          mmioRead: () => {
            close(mmio.vm, mmio.vcpu);
          },
        }),
      );
      for (const posted of [false, true]) {
        const device = machine('pio-out-loop');
        const range = { base: 0x500, length: 1 };
        device.vm.io.attach(range, { write: () => close(device.vm, device.vcpu) }, { posted });
        await report(`${name} in ${lane}, ${posted ? 'posted ' : ''}device write`, () => device.vcpu[lane]());
      }
      const reader = machine('pio-in-loop');
      const range = { base: 0x500, length: 1 };
      reader.vm.io.attach(range, {
        read: () => {
          close(reader.vm, reader.vcpu);
          return 1;
        },
      });
      await report(`${name} in ${lane}, device read`, () => reader.vcpu[lane]());
      const printer = machine('exit-storm');
      printer.vm.io.attach(
        { base: 0x600, length: 256 },
        new Serial({ onOutput: () => close(printer.vm, printer.vcpu) }),
      );
      await report(`${name} in ${lane}, output`, () => printer.vcpu[lane]());
    }
  }
}

/** An answer that comes after the machine was closed. */
async function whileAnswering(): Promise<void> {
  for (const [name, close] of Object.entries(closes)) {
    const { vm, vcpu } = machine('pio-in-loop');
    await report(`${name} while a handler is awaited`, () =>
      vcpu.runInBackground({
        async ioIn() {
          await sleep(10);
          close(vm, vcpu);
          await sleep(10);
          return 1;
        },
      }),
    );
    const device = machine('pio-in-loop');
    device.vm.io.attach(
      { base: 0x500, length: 1 },
      {
        async read() {
          await sleep(10);
          close(device.vm, device.vcpu);
          await sleep(10);
          return 1;
        },
      },
    );
    await report(`${name} while a device is awaited`, () => device.vcpu.runInBackground());
  }
}

await main({
  'in handlers': inHandlers,
  'while answering': whileAnswering,
  async 'while a thread runs'() {
    for (const [name, close] of Object.entries(closes)) {
      for (const lane of ['runSliced', 'runInBackground'] as const) {
        for (const guest of ['spin', 'pio-out-loop']) {
          const { vm, vcpu } = machine(guest);
          const run = vcpu[lane]({ ioOut: () => undefined });
          const view = vm.memory.view(0x1000, 0x1000);
          setTimeout(() => close(vm, vcpu), 30);
          await report(`${name} beside ${lane}, ${guest}`, () => run);
          if (vm.closed && view.length !== 0) throw new Error('the view is not empty');
        }
      }
    }
  },
  async 'while a Worker runs'() {
    for (const kind of ['spin', 'handler', 'js-device', 'rust-device'] as const) {
      const { vm, vcpu } = machine(kind === 'spin' ? 'spin' : 'pio-out-loop');
      if (kind === 'rust-device') vm.io.attach({ base: 0x500, length: 8 }, new Serial());
      const counter = new Int32Array(new SharedArrayBuffer(4));
      const view = vm.memory.view(0x1000, 0x1000);
      const orders: WorkerOrders = { kind, token: vcpu.transfer(), counter };
      const worker = new Worker(new URL('./worker-entry.ts', import.meta.url), { workerData: orders });
      await waitFor('the Worker', () => Atomics.load(counter, 0) >= 1);
      await sleep(50);
      const failed = once(worker, 'error') as Promise<[Error & { code?: string }]>;
      vm.close();
      const [error] = await failed;
      console.log(`vm.close() beside a Worker, ${kind}: ${error.code}`);
      if (view.length !== 0) throw new Error('the view is not empty');
    }
  },
  'transferred buffers'() {
    // What is moved is ours no longer to detach: it must stay readable, and hold nothing of others.
    const { kvm, vm } = machine('spin');
    const buffer = vm.memory.view(0x1000, 0x1000).buffer as ArrayBuffer & { transfer?: () => ArrayBuffer };
    const moved = buffer.transfer?.() ?? structuredClone(buffer, { transfer: [buffer] });
    const bytes = new Uint8Array(moved);
    vm.close();
    const others = Array.from({ length: 20 }, () => machine(new Uint8Array(0x1000).fill(0x99), kvm));
    // A runtime that copies keeps the guest's two bytes; one that moves shows zeros.
    const found = new Set(bytes);
    console.log(found.has(0x99) ? 'another machine' : 'nothing of others');
    if (buffer.transfer !== undefined) console.log(found.size === 1 && found.has(0) ? 'zeros' : 'bytes');
    bytes.fill(0x77);
    if (others.some(({ vm: other }) => other.memory.find(Uint8Array.of(0x77)) !== undefined)) {
      throw new Error('the moved buffer is in another machine');
    }
    for (const other of others) other.vm.close();
  },
});
