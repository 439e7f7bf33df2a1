// A guest that starts in 64-bit mode: the host builds page tables and a GDT and sets the registers.
import { Kvm } from 'vmhatch';

// prettier-ignore
const code = Uint8Array.of(
  0x48, 0x8d, 0x35, 0x15, 0x00, 0x00, 0x00, //       lea rsi, [rip + text]: behind the code
  0x66, 0xba, 0xf8, 0x03,                   //       mov dx, 0x3f8
  0x8a, 0x06,                               // next: mov al, byte ptr [rsi]
  0x84, 0xc0,                               //       test al, al
  0x74, 0x06,                               //       jz done
  0xee,                                     //       out dx, al
  0x48, 0xff, 0xc6,                         //       inc rsi
  0xeb, 0xf4,                               //       jmp next
  0x49, 0xc1, 0xe0, 0x28,                   // done: shl r8, 40
  0xf4,                                     //       hlt
);
const [entry, pml4, pdpt, directory, gdt] = [0x1000, 0x2000, 0x3000, 0x4000, 0x5000] as const;

const kvm = new Kvm();
const vm = kvm.createVm();
vm.memory.map({ guestAddress: 0, size: 0x6000 });
vm.memory.write(entry, code);
vm.memory.write(entry + code.length, Buffer.from('Hello from 64 bits\n\0'));
// Each entry: present (1), writable (2); the last level has one page of 2 MiB (0x80), at address 0.
vm.memory.writeBigUint64(pml4, pdpt | 3);
vm.memory.writeBigUint64(pdpt, directory | 3);
vm.memory.writeBigUint64(directory, 0x83);
// The descriptors that the segments below stand for: flat 64-bit code, flat data, both of ring 0.
vm.memory.writeBigUint64(gdt + 0x08, 0x00af_9b00_0000_ffffn);
vm.memory.writeBigUint64(gdt + 0x10, 0x00cf_9300_0000_ffffn);

const vcpu = vm.createVcpu();
vcpu.setCpuid2(kvm.getSupportedCpuid());
const flat = { base: 0n, limit: 0xffff_ffff, present: 1, dpl: 0, s: 1, g: 1 };
const data = { ...flat, selector: 0x10, type: 3, db: 1, l: 0 };
vcpu.setSregs({
  cs: { ...flat, selector: 0x08, type: 11, db: 0, l: 1 },
  ds: data,
  es: data,
  fs: data,
  gs: data,
  ss: data,
  gdt: { base: BigInt(gdt), limit: 0x17 },
  cr3: BigInt(pml4),
  cr4: 0x20n, // PAE
  cr0: 0x8000_0031n, // PG, NE, ET, PE
  efer: 0x500n, // LMA, LME
});
vcpu.setRegs({ rip: entry, r8: 64, rflags: 2 });

const end = vcpu.run({ ioOut: (exit) => void process.stdout.write(exit.data) });
console.log(end.reason === 'exit' ? end.exit.kind : end.reason, `r8 = 0x${vcpu.regs.r8.toString(16)}`);
vm.close();
kvm.close();
