// A handler that awaits: the guest waits for its port, and the event loop goes on meanwhile.
import { setTimeout as sleep } from 'node:timers/promises';
import { Kvm } from 'vmhatch';

// prettier-ignore
const code = Uint8Array.of(
  0xe4, 0x60, // in al, 0x60
  0x04, 0x01, // add al, 1
  0xe6, 0x80, // out 0x80, al
  0xf4,       // hlt
);

const kvm = new Kvm();
const vm = kvm.createVm();
vm.memory.map({ guestAddress: 0x1000, size: 0x1000 });
vm.memory.write(0x1000, code);

const vcpu = vm.createVcpu();
vcpu.setSregs({ cs: { base: 0n, selector: 0 } });
vcpu.setRegs({ rip: 0x1000, rflags: 2 });

const end = await vcpu.runInBackground({
  async ioIn(exit) {
    console.log(`the guest reads port 0x${exit.port.toString(16)}`);
    setTimeout(() => console.log('the event loop has its turns'), 50);
    await sleep(100);
    console.log('the answer is found');
    return 41;
  },
  ioOut: ({ value }) => console.log(`the guest got it and adds one: ${value}`),
});
console.log(end.reason === 'exit' ? end.exit.kind : end.reason);
vm.close();
kvm.close();
