// A guest that never ends, and the two ways to end it: a kick, and Ctrl-C through an AbortSignal.
import { setTimeout as sleep } from 'node:timers/promises';
import { Kvm } from 'vmhatch';

// prettier-ignore
const code = Uint8Array.of(
  0x66, 0xff, 0x06, 0x00, 0x20, // next: inc dword ptr [0x2000]
  0xeb, 0xf9,                   //       jmp next
);

const kvm = new Kvm();
const vm = kvm.createVm();
vm.memory.map({ guestAddress: 0x1000, size: 0x2000 });
vm.memory.write(0x1000, code);
const vcpu = vm.createVcpu();
vcpu.setSregs({ cs: { base: 0n, selector: 0 } });
vcpu.setRegs({ rip: 0x1000, rflags: 2 });

// No exits, no handlers: only a kick gets the vCPU's thread out of the guest. The handle works from any thread.
const kicked = vcpu.runInBackground();
await sleep(100);
vcpu.kickHandle.kick();
console.log((await kicked).reason);

const stop = new AbortController();
process.once('SIGINT', () => stop.abort());
const report = setInterval(() => console.log(`${vm.memory.readUint32(0x2000)} rounds`), 500);
console.log('running: Ctrl-C ends it');
try {
  await vcpu.runSliced({}, { signal: stop.signal });
} catch (error) {
  if (!stop.signal.aborted) throw error;
  console.log('stopped');
  process.exitCode = 130;
} finally {
  clearInterval(report);
  vm.close();
  kvm.close();
}
