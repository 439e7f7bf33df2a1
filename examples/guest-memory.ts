// Guest memory from the host: found by what it holds, seen through a window without a copy, its dirty pages told.
import { Kvm } from 'vmhatch';

// prettier-ignore
const code = Uint8Array.of(
  0xb9, 0x05, 0x00, //       mov cx, 5
  0x80, 0x24, 0xdf, // next: and byte ptr [si], 0xdf: upper case
  0x46,             //       inc si
  0xe2, 0xfa,       //       loop next
  0xf4,             //       hlt
);

const kvm = new Kvm();
const vm = kvm.createVm();
vm.memory.map({ guestAddress: 0x1000, size: 0x1000 });
vm.memory.write(0x1000, code);
const data = vm.memory.map({ guestAddress: 0x4000, size: 0x8000, logDirtyPages: true });
vm.memory.write(0x6ffe, Buffer.from('hello, world'));
console.log('pages written by the host:', data.dirtyPages());

const found = vm.memory.find('hello');
if (found === undefined) throw new Error('the text is gone');
console.log(`found at 0x${found.toString(16)}`);
// Read-only windows are for looking; under one that may be written, pages count as dirty.
const window = Buffer.from(vm.memory.view(found, 12, { readOnly: true }).buffer);
console.log(`before: ${window.toString()}`);

const vcpu = vm.createVcpu();
vcpu.setSregs({ cs: { base: 0n, selector: 0 } });
vcpu.setRegs({ rip: 0x1000, rsi: found, rflags: 2 });
vcpu.run();

console.log(`after:  ${window.toString()}`);
console.log('pages written by the guest:', data.dirtyPages());
vm.memory.write(0x4000, Uint8Array.of(1));
console.log('pages written by the host:', data.dirtyPages());
vm.close();
console.log(`after close the window has ${window.length} bytes`);
kvm.close();
