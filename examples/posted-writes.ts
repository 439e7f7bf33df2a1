// Posted writes: KVM collects what the guest writes, and the device gets it in one go, without an exit a byte.
import { Kvm } from 'vmhatch';

// prettier-ignore
const code = Uint8Array.of(
  0xb0, 0x61,       //       mov al, 'a'
  0xba, 0x00, 0x05, //       mov dx, 0x500
  0xee,             // next: out dx, al
  0xfe, 0xc0,       //       inc al
  0x3c, 0x7b,       //       cmp al, 'z' + 1
  0x75, 0xf9,       //       jne next
  0xf4,             //       hlt
);

for (const posted of [false, true]) {
  const kvm = new Kvm();
  const vm = kvm.createVm();
  vm.memory.map({ guestAddress: 0x1000, size: 0x1000 });
  vm.memory.write(0x1000, code);
  let text = '';
  const device = { write: (_offset: number, value: number) => void (text += String.fromCharCode(value)) };
  vm.io.attach({ base: 0x500, length: 1 }, device, { posted });

  const vcpu = vm.createVcpu();
  vcpu.setSregs({ cs: { base: 0n, selector: 0 } });
  vcpu.setRegs({ rip: 0x1000, rflags: 2 });
  vcpu.run();
  console.log(`${posted ? 'posted:    ' : 'one by one:'} ${text}, exits: ${vcpu.stats.exits}`);
  vm.close();
  kvm.close();
}
