/** Many machines, many vCPUs, many kicks. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { EventFd, Kvm, Serial, type Vcpu, type KickToken } from '../../../index.ts';
import { guestProgram, machine, main, startAt0x1000 } from './machine.ts';
import { held } from './resources.ts';

/** One life of a machine with all that it can have, closed by hand. */
async function life(round: number): Promise<void> {
  const kvm = new Kvm();
  const { vm, vcpu } = machine('pio-out-loop', kvm);
  vm.memory.map({ guestAddress: 0x10_0000, size: 0x10_0000, backing: 'memfd', shared: true });
  vm.memory.fill(0x10_0000, 0x10_0000, 0x5a);
  const view = vm.memory.view(0x10_0000, 0x10_0000);
  const event = new EventFd();
  vm.registerIoevent(event, { port: 0x700 });
  const serial = new Serial({ onOutput: () => undefined });
  vm.io.attach({ base: 0x3f8, length: 8 }, serial);
  let exits = 0;
  const stopAt10 = { ioOut: (exit: { stop(): void }) => void (++exits === 10 && exit.stop()) };
  const lane = (['run', 'runSliced', 'runInBackground'] as const)[round % 3]!;
  await vcpu[lane](stopAt10);
  if (view[0] !== 0x5a) throw new Error('the view shows something else');
  serial.close();
  event.close();
  vm.close();
  kvm.close();
}

await main({
  async 'rounds of create, run, close'() {
    for (let round = 0; round < 30; round++) await life(round);
    await sleep(50);
    const before = held();
    for (let round = 0; round < 200; round++) await life(round);
    await sleep(50);
    const after = held();
    for (const key of ['descriptors', 'maps', 'threads'] as const) {
      console.log(
        key,
        after[key] <= before[key] ? 'as before' : `${before[key]} before, ${after[key]} after`,
      );
    }
    // 200 machines of a MiB and more each: if one in four stayed, it would show.
    const grown = after.residentMb - before.residentMb;
    console.log('resident memory', grown < 50 ? 'bounded' : `has grown by ${grown} MiB`);
  },
  async '100 machines at once'() {
    const kvm = new Kvm();
    const machines = Array.from({ length: 100 }, () => machine('add-numbers', kvm));
    const sums: number[] = [];
    const runs = machines.map(({ vcpu }, index) => {
      vcpu.setRegs({ rax: index % 10, rbx: 0 });
      const ioOut = (exit: { value: number }): void =>
        void (exit.value >= 0x30 && sums.push(exit.value - 0x30));
      if (index % 2 === 0) return Promise.resolve(vcpu.run({ ioOut }));
      return vcpu.runInBackground({ ioOut });
    });
    const ends = await Promise.all(runs);
    const halted = ends.filter((end) => end.reason === 'exit' && end.exit.kind === 'hlt').length;
    const right = Array.from({ length: 10 }, (_, sum) => sums.filter((found) => found === sum).length === 10);
    console.log('halted', halted, 'right', !right.includes(false));
    for (const { vm } of machines) vm.close();
    kvm.close();
  },
  async 'a storm of kicks'() {
    // Eight vCPUs of one machine and a Worker that kicks all of them without pause: no kick is lost, no run hangs.
    const kvm = new Kvm();
    const vm = kvm.createVm();
    vm.memory.map({ guestAddress: 0x1000, size: 0x1000 });
    vm.memory.write(0x1000, guestProgram('pio-out-loop'));
    const vcpus = Array.from({ length: 8 }, () => vm.createVcpu());
    for (const vcpu of vcpus) startAt0x1000(vcpu);
    const tokens = vcpus.map((vcpu) => vcpu.kickHandle.token);
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(new URL('./kick-entry.ts', import.meta.url), {
      workerData: { tokens, stop } satisfies { tokens: KickToken[]; stop: Int32Array },
    });
    const until = performance.now() + 3000;
    const kicked = vcpus.map(() => 0);
    const runAll = async (vcpu: Vcpu, index: number): Promise<void> => {
      while (performance.now() < until) {
        const lane = (['runSliced', 'runInBackground', 'run'] as const)[(index + kicked[index]!) % 3]!;
        const end = await vcpu[lane]({ ioOut: () => undefined });
        if (end.reason !== 'kicked') throw new Error(`ended by ${end.reason}`);
        kicked[index]!++;
      }
    };
    await Promise.all(vcpus.map(runAll));
    Atomics.store(stop, 0, 1);
    await new Promise((resolve) => void worker.once('exit', resolve));
    // A kick is sticky: the last one may wait. After it the guest runs again.
    for (const vcpu of vcpus) {
      const end = vcpu.run({ ioOut: (exit) => exit.stop() });
      if (end.reason === 'kicked') console.log('after', vcpu.run({ ioOut: (exit) => exit.stop() }).reason);
      else console.log('after', end.reason);
    }
    console.log(
      'each was kicked',
      kicked.every((times) => times > 0),
    );
    vm.close();
  },
});
