// KVM's own interrupt controller and timer: the guest sleeps in hlt and is woken 100 times a second.
import { Kvm } from 'vmhatch';

// prettier-ignore
const code = Uint8Array.of(
  0xbc, 0x00, 0x20,                   //        mov sp, 0x2000
  0xc7, 0x06, 0x20, 0x00, 0x36, 0x10, //        mov word ptr [8 * 4], tick: IRQ 0 is vector 8
  0xc7, 0x06, 0x22, 0x00, 0x00, 0x00, //        mov word ptr [8 * 4 + 2], 0
  0xb0, 0x11, 0xe6, 0x20,             //        ICW1 to the first PIC: edge-triggered, ICW4 follows
  0xb0, 0x08, 0xe6, 0x21,             //        ICW2: vectors from 8
  0xb0, 0x04, 0xe6, 0x21,             //        ICW3: the second PIC is at IRQ 2
  0xb0, 0x01, 0xe6, 0x21,             //        ICW4: 8086
  0xb0, 0xfe, 0xe6, 0x21,             //        mask: only IRQ 0 is let through
  0xb0, 0x34, 0xe6, 0x43,             //        timer channel 0: mode 2, low byte, high byte
  0xb0, 0x9c, 0xe6, 0x40,             //        11932: 1193182 Hz / 11932 = 100 Hz
  0xb0, 0x2e, 0xe6, 0x40,             //        (the high byte)
  0x31, 0xdb,                         //        xor bx, bx
  0xfb, 0xf4, 0xfa,                   // sleep: sti; hlt; cli
  0xeb, 0xfb,                         //        jmp sleep
  0x43,                               //  tick: inc bx
  0x88, 0xd8, 0xe6, 0x80,             //        mov al, bl; out 0x80, al
  0xb0, 0x20, 0xe6, 0x20,             //        end of interrupt
  0xcf,                               //        iret
);

const kvm = new Kvm();
const vm = kvm.createVm();
// Before the vCPU, which gets its local APIC from the controller.
vm.createIrqChip();
vm.createPit2();
vm.memory.map({ guestAddress: 0, size: 0x2000 });
vm.memory.write(0x1000, code);

const vcpu = vm.createVcpu();
vcpu.setSregs({ cs: { base: 0n, selector: 0 } });
vcpu.setRegs({ rip: 0x1000, rflags: 2 });

const end = await vcpu.runInBackground(
  {
    ioOut(exit) {
      console.log(`tick ${exit.value}`);
      if (exit.value === 5) exit.stop();
    },
  },
  { timeoutMs: 10_000 },
);
console.log(end.reason);
vm.close();
kvm.close();
