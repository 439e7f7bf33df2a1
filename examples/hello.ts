// The smallest virtual machine: sixteen-bit code adds two numbers, writes the sum to the serial port, halts.
import { Kvm } from 'vmhatch';

// prettier-ignore
const code = Uint8Array.of(
  0xba, 0xf8, 0x03, // mov dx, 0x3f8
  0x00, 0xd8,       // add al, bl
  0x04, 0x30,       // add al, '0'
  0xee,             // out dx, al
  0xb0, 0x0a,       // mov al, '\n'
  0xee,             // out dx, al
  0xf4,             // hlt
);

const kvm = new Kvm();
const vm = kvm.createVm();
vm.memory.map({ guestAddress: 0x1000, size: 0x1000 });
vm.memory.write(0x1000, code);

const vcpu = vm.createVcpu();
vcpu.setSregs({ cs: { base: 0n, selector: 0 } });
vcpu.setRegs({ rip: 0x1000, rax: 2, rbx: 2, rflags: 2 });

const end = vcpu.run({ ioOut: (exit) => void process.stdout.write(exit.data) });
if (end.reason === 'exit') console.log(end.exit.kind); // 'hlt'
vm.close();
kvm.close();
