// Single step: the guest stops after each instruction, and the host prints where it stands.
import { Kvm } from 'vmhatch';

const program: readonly (readonly [text: string, ...bytes: number[]])[] = [
  ['mov cx, 3', 0xb9, 0x03, 0x00],
  ['add ax, cx', 0x01, 0xc8],
  ['loop -4', 0xe2, 0xfc],
  ['hlt', 0xf4],
];

const kvm = new Kvm();
const vm = kvm.createVm();
vm.memory.map({ guestAddress: 0x1000, size: 0x1000 });
const listing = new Map<number, string>();
let address = 0x1000;
for (const [text, ...bytes] of program) {
  listing.set(address, text);
  vm.memory.write(address, Uint8Array.from(bytes));
  address += bytes.length;
}

const vcpu = vm.createVcpu();
vcpu.setSregs({ cs: { base: 0n, selector: 0 } });
vcpu.setRegs({ rip: 0x1000, rax: 0, rcx: 0, rflags: 2 });
vcpu.setGuestDebug({ singleStep: true });

function show(rip: bigint): boolean {
  const { rax, rcx } = vcpu.regs;
  const text = listing.get(Number(rip)) ?? '?';
  console.log(`${rip.toString(16)}  ${text.padEnd(12)} ax=${rax} cx=${rcx}`);
  return text !== 'hlt';
}

show(vcpu.regs.rip);
vcpu.run({
  debug(exit) {
    if (!show(exit.pc)) exit.stop();
  },
});
vm.close();
kvm.close();
