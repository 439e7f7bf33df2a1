// A vCPU runs in a Worker, on that thread, while the device that it writes to stays with the main thread.
import { once } from 'node:events';
import { Worker, isMainThread, workerData } from 'node:worker_threads';
import { Kvm, Vcpu, type VcpuToken } from 'vmhatch';

// prettier-ignore
const code = Uint8Array.of(
  0xe4, 0x60,       // in al, 0x60: a handler in the Worker
  0xba, 0xf8, 0x03, // mov dx, 0x3f8: a device in the main thread
  0xee,             // out dx, al
  0xec,             // in al, dx
  0xe6, 0x80,       // out 0x80, al: a handler in the Worker
  0xf4,             // hlt
);

if (isMainThread) await main();
else work(workerData as VcpuToken);

async function main(): Promise<void> {
  const kvm = new Kvm();
  const vm = kvm.createVm();
  vm.memory.map({ guestAddress: 0x1000, size: 0x1000 });
  vm.memory.write(0x1000, code);
  let stored = 0;
  const device = {
    write(_offset: number, value: number): void {
      console.log(`main:   the device stores ${value}`);
      stored = value;
    },
    read: (): number => stored * 2,
  };
  vm.io.attach({ base: 0x3f8, length: 8 }, device);

  const vcpu = vm.createVcpu();
  vcpu.setSregs({ cs: { base: 0n, selector: 0 } });
  vcpu.setRegs({ rip: 0x1000, rflags: 2 });
  const worker = new Worker(new URL(import.meta.url), { workerData: vcpu.transfer() });
  await once(worker, 'exit');
  vm.close();
  kvm.close();
}

function work(token: VcpuToken): void {
  const vcpu = Vcpu.adopt(token);
  const end = vcpu.run({
    ioIn: () => 21,
    ioOut: ({ value }) => console.log(`worker: the guest got ${value}`),
  });
  console.log(`worker: ${end.reason === 'exit' ? end.exit.kind : end.reason}`);
}
