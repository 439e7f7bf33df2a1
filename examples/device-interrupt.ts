// A device in JavaScript that interrupts the guest: through an EventFd, which KVM turns into IRQ 5.
import { EventFd, Kvm, type Device } from 'vmhatch';

// prettier-ignore
const code = Uint8Array.of(
  0xbc, 0x00, 0x20,                   //         mov sp, 0x2000
  0xc7, 0x06, 0x94, 0x00, 0x2e, 0x10, //         mov word ptr [0x25 * 4], called: IRQ 5 is vector 0x25
  0xc7, 0x06, 0x96, 0x00, 0x00, 0x00, //         mov word ptr [0x25 * 4 + 2], 0
  0xb0, 0x11, 0xe6, 0x20,             //         ICW1 to the first PIC: edge-triggered, ICW4 follows
  0xb0, 0x20, 0xe6, 0x21,             //         ICW2: vectors from 0x20
  0xb0, 0x04, 0xe6, 0x21,             //         ICW3: the second PIC is at IRQ 2
  0xb0, 0x01, 0xe6, 0x21,             //         ICW4: 8086
  0xb0, 0xdf, 0xe6, 0x21,             //         mask: only IRQ 5 is let through
  0xba, 0x00, 0x05,                   //         mov dx, 0x500: the device
  0xb0, 0x01, 0xee,                   //         mov al, 1; out dx, al: ready for interrupts
  0xfb, 0xf4, 0xfa,                   //  sleep: sti; hlt; cli
  0xeb, 0xfb,                         //         jmp sleep
  0xec,                               // called: in al, dx
  0xe6, 0x80,                         //         out 0x80, al
  0xb0, 0x20, 0xe6, 0x20,             //         end of interrupt
  0xcf,                               //         iret
);

/** A thermometer: measures in its own time, and interrupts when there is a value to read. */
class Thermometer implements Device {
  readonly interrupt = new EventFd();
  #degrees = 20;

  write(): void {
    setTimeout(() => this.interrupt.write(), 20);
  }

  read(): number {
    this.write();
    return ++this.#degrees;
  }
}

const kvm = new Kvm();
const vm = kvm.createVm();
vm.createIrqChip();
vm.memory.map({ guestAddress: 0, size: 0x2000 });
vm.memory.write(0x1000, code);
const thermometer = new Thermometer();
vm.io.attach({ base: 0x500, length: 1 }, thermometer);
vm.registerIrqfd(thermometer.interrupt, 5);

const vcpu = vm.createVcpu();
vcpu.setSregs({ cs: { base: 0n, selector: 0 } });
vcpu.setRegs({ rip: 0x1000, rflags: 2 });
const end = await vcpu.runInBackground({
  ioOut(exit) {
    console.log(`the guest was told: ${exit.value} degrees`);
    if (exit.value === 24) exit.stop();
  },
});
console.log(end.reason);
vm.close();
kvm.close();
