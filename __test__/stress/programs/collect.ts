/** Garbage collection in any order: what JavaScript forgets is given back, in whatever order it forgets it. */
import { setTimeout as sleep } from 'node:timers/promises';

import { DebugConsole, EventFd, Kvm, KvmError, Serial } from '../../../index.ts';
import { guestProgram, machine, main, startAt0x1000 } from './machine.ts';
import { held, type Held } from './resources.ts';

const ROUNDS = 20;

/** A small generator, so that a failure can be repeated: print and give the seed. */
function random(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
}

function collect(): void {
  (globalThis as unknown as { gc: () => void }).gc();
}

/** Everything that one machine has, each in a drawer of its own. */
function everything(background: boolean): { drawers: Map<string, unknown>; run: Promise<unknown> } {
  const kvm = new Kvm();
  const vm = kvm.createVm();
  const plain = vm.memory.map({ guestAddress: 0x1000, size: 0x7000 });
  const memfd = vm.memory.map({ guestAddress: 0x10_0000, size: 0x4000, backing: 'memfd', shared: true });
  vm.memory.write(0x1000, guestProgram('pio-out-loop'));
  const vcpu = vm.createVcpu();
  startAt0x1000(vcpu);
  const event = new EventFd();
  vm.registerIoevent(event, { port: 0x700 }, { length: 1 });
  const serial = new Serial({ interrupt: event });
  const debug = new DebugConsole();
  vm.io.attach({ base: 0x3f8, length: 8 }, serial);
  const attachment = vm.io.attach({ base: 0x402, length: 1 }, debug);
  const views = [vm.memory.view(0x1000, 64), vm.memory.view(0x10_0000, 0x4000), vm.memory.view(0x2000, 8)];
  const kick = vcpu.kickHandle;
  let exits = 0;
  // A run in flight holds its machine; it ends by itself.
  const run = background
    ? vcpu.runInBackground({ ioOut: (exit) => void (++exits === 2000 && exit.stop()) })
    : Promise.resolve(vcpu.run({ ioOut: (exit) => void (++exits === 20 && exit.stop()) }));
  const drawers = new Map<string, unknown>(
    Object.entries({ kvm, vm, plain, memfd, vcpu, event, serial, debug, attachment, views, kick }),
  );
  // A machine that is closed on the way ends its run with an error, which is right.
  return { drawers, run: run.catch(() => undefined) };
}

/** Drops the drawers in a random order, with collections in between, while runs are in flight. */
async function dropAll(below: (limit: number) => number): Promise<void> {
  const { drawers, run } = everything(below(2) === 0);
  const names = [...drawers.keys()];
  while (names.length > 0) {
    const [name] = names.splice(below(names.length), 1);
    if (below(6) === 0) (drawers.get(name!) as { close?: () => void }).close?.();
    drawers.delete(name!);
    if (below(3) === 0) collect();
    if (below(4) === 0) await sleep(1);
  }
  await run;
}

/** Collects until the counts are back where they were, or for a while. */
async function settle(before: Held): Promise<Held> {
  for (let attempt = 0; attempt < 100; attempt++) {
    collect();
    await sleep(20);
    const now = held();
    if (now.descriptors <= before.descriptors && now.maps <= before.maps && now.threads <= before.threads)
      break;
  }
  return held();
}

function compare(before: Held, after: Held): void {
  for (const key of ['descriptors', 'maps', 'threads'] as const) {
    console.log(key, after[key] <= before[key] ? 'as before' : `${before[key]} before, ${after[key]} after`);
  }
}

await main({
  async 'any order'() {
    const seed = Number(process.env['VMHATCH_SEED'] ?? Date.now() % 1_000_000);
    console.error(`seed ${seed}: VMHATCH_SEED repeats it`);
    const below = random(seed);
    // The first round loads the addon and starts what Node starts once.
    await dropAll(below);
    await settle({ descriptors: 0, maps: 0, threads: 0, residentMb: 0 });
    const before = held();
    for (let round = 0; round < ROUNDS; round++) await dropAll(below);
    compare(before, await settle(before));
  },
  async 'devices of closed machines'() {
    // A machine that is closed lets go of its JavaScript devices.
    const devices: WeakRef<object>[] = [];
    (() => {
      for (let round = 0; round < 20; round++) {
        const { kvm, vm, vcpu } = machine('pio-out-loop');
        let writes = 0;
        // As devices are: it knows its machine.
        const device = { write: () => void (++writes === 10 && vm.close()) };
        devices.push(new WeakRef(device));
        vm.io.attach({ base: 0x500, length: 1 }, device);
        try {
          vcpu.run();
        } catch (error) {
          // The device closed the machine.
          if (!(error instanceof KvmError) || error.code !== 'ERR_KVM_CLOSED') throw error;
        }
        kvm.close();
      }
    })();
    for (let attempt = 0; attempt < 20; attempt++) {
      await sleep(5);
      collect();
    }
    console.log('alive', devices.filter((device) => device.deref() !== undefined).length);
  },
});
