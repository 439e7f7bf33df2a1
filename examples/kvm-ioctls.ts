// The example of the Rust crate kvm-ioctls: port and memory-mapped I/O both ways, the dirty log, halt.
import { Kvm } from 'vmhatch';

// prettier-ignore
const code = Uint8Array.of(
  0xba, 0xf8, 0x03,             // mov dx, 0x3f8
  0x00, 0xd8,                   // add al, bl
  0x04, 0x30,                   // add al, '0'
  0xee,                         // out dx, al
  0xec,                         // in al, dx
  0xc6, 0x06, 0x00, 0x80, 0x00, // mov byte ptr [0x8000], 0: nothing is mapped there
  0x8a, 0x16, 0x00, 0x80,       // mov dl, byte ptr [0x8000]
  0xf4,                         // hlt
);
const hex = (value: number): string => `0x${value.toString(16)}`;

const kvm = new Kvm();
const vm = kvm.createVm();
const region = vm.memory.map({ guestAddress: 0x1000, size: 0x4000, logDirtyPages: true });
vm.memory.write(0x1000, code);

const vcpu = vm.createVcpu();
vcpu.setSregs({ cs: { base: 0n, selector: 0 } });
vcpu.setRegs({ rip: 0x1000, rax: 2, rbx: 3, rflags: 2 });

const end = vcpu.run({
  ioOut({ port, value }) {
    console.log(`Received an I/O out exit. Address: ${hex(port)}. Data: ${hex(value)}`);
  },
  ioIn({ port }) {
    console.log(`Received an I/O in exit. Address: ${hex(port)}. Data: ${hex(0)}`);
    return 0;
  },
  mmioWrite({ address }) {
    console.log(`Received an MMIO Write Request to the address ${hex(address)}.`);
    // The page of the code, dirty since it was loaded.
    console.log(`Dirty pages: ${region.dirtyPages().length}`);
  },
  mmioRead({ address }) {
    console.log(`Received an MMIO Read Request for the address ${hex(address)}.`);
    return 0;
  },
});
console.log(end.reason === 'exit' ? end.exit.kind : end.reason);
vm.close();
kvm.close();
