// Real-mode code that reads two ports and writes a third: each exit handled, and the registers after each.
import { Kvm } from 'vmhatch';

// prettier-ignore
const code = Uint8Array.of(
  0xe4, 0x60, // in al, 0x60
  0x88, 0xc3, // mov bl, al
  0xe4, 0x61, // in al, 0x61
  0x00, 0xd8, // add al, bl
  0xe6, 0x80, // out 0x80, al
  0xf4,       // hlt
);
const inputs: Readonly<Record<number, number>> = { 0x60: 30, 0x61: 12 };

const kvm = new Kvm();
const vm = kvm.createVm();
vm.memory.map({ guestAddress: 0x1000, size: 0x1000 });
vm.memory.write(0x1000, code);

const vcpu = vm.createVcpu();
vcpu.setSregs({ cs: { base: 0n, selector: 0 } });
vcpu.setRegs({ rip: 0x1000, rdx: 0, rflags: 2 });

function dumpRegisters(): void {
  const cells = Object.entries(vcpu.regs.toJSON()).map(
    ([name, value]) => `${name.padStart(6)} ${value.toString(16).padStart(16, '0')}`,
  );
  for (let at = 0; at < cells.length; at += 4) console.log(` ${cells.slice(at, at + 4).join(' ')}`);
}

loop: for (const exit of vcpu.exits({ timeoutMs: 1000 })) {
  switch (exit.kind) {
    case 'ioIn':
      exit.reply(inputs[exit.port] ?? 0xff);
      console.log(`in  port 0x${exit.port.toString(16)}: ${inputs[exit.port]}`);
      break;
    case 'ioOut':
      console.log(`out port 0x${exit.port.toString(16)}: ${exit.value}`);
      break;
    default:
      console.log(exit.kind);
      dumpRegisters();
      break loop;
  }
  // Hosts differ in where rip stands at the exit itself; after the access is complete they agree.
  vcpu.complete();
  dumpRegisters();
}
vm.close();
kvm.close();
