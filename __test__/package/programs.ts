// Programs for every runtime that can load the addon.

/** Errors of all kinds, each on a line: its code, whether it is a KvmError, its class. */
export const errorProgram = `
import { Kvm, KvmError } from 'vmhatch';

const tell = (what, act) => {
  try {
    console.log(what, 'no error', act());
  } catch (error) {
    console.log(what, error.code, error instanceof KvmError, error.constructor.name);
  }
};
const kvm = new Kvm();
const vm = kvm.createVm();
vm.memory.map({ guestAddress: 0, size: 0x2000 });
tell('overlap', () => vm.memory.map({ guestAddress: 0x1000, size: 0x1000 }));
tell('type', () => vm.memory.read('1', 2));
tell('bounds', () => vm.memory.read(0x1fff, 2));
tell('option', () => vm.memory.map({ guestAdress: 1 }));

let view;
tell('view', () => {
  view = vm.memory.view(0, 16);
  vm.memory.write(0, Uint8Array.of(1, 2, 3));
  return view[1];
});

// out 0x10, al; hlt
vm.memory.write(0x1000, Uint8Array.of(0xe6, 0x10, 0xf4));
const vcpu = vm.createVcpu();
vcpu.setSregs({ cs: { base: 0n, selector: 0 } });
const fromStart = () => vcpu.setRegs({ rip: 0x1000, rflags: 2 });
fromStart();
tell('async handler', () => vcpu.run({ ioOut: async () => {} }));
fromStart();
tell('handler that throws', () => vcpu.run({ ioOut: () => { throw new RangeError('mine'); } }));

fromStart();
const pause = () => new Promise((resolve) => setTimeout(resolve, 5));
const { exit } = await vcpu.runInBackground({ ioOut: pause });
console.log('in the background', exit.kind);

// jmp to itself
vm.memory.write(0x1000, Uint8Array.of(0xeb, 0xfe));
fromStart();
console.log('endless', vcpu.run({}, { timeoutMs: 20 }).reason);

vm.close();
console.log('view of closed memory', view.byteLength);
tell('closed', () => vcpu.getRegs());
kvm.close();
kvm.close();
tell('closed', () => kvm.createVm());
`;

/** What it prints, on every runtime that allows buffers over foreign memory. */
export const errorProgramSays = `overlap ERR_KVM_MEMORY_OVERLAP true KvmError
type ERR_INVALID_ARG_TYPE false TypeError
bounds ERR_KVM_MEMORY_BOUNDS true KvmError
option ERR_INVALID_ARG_VALUE false TypeError
view no error 2
async handler ERR_KVM_ASYNC_HANDLER true KvmError
handler that throws undefined false RangeError
in the background hlt
endless timeout
view of closed memory 0
closed ERR_KVM_CLOSED true KvmError
closed ERR_KVM_CLOSED true KvmError
`;

/** Opens KVM and says how that went. */
export const openProgram = `
import { Kvm } from 'vmhatch';
try {
  new Kvm().close();
  console.log('opened');
} catch (error) {
  console.log(error.code, error.message);
}
`;

/** Preloaded: the process says that it runs elsewhere. */
export function elsewhere(platform: string, arch: string): string {
  return `for (const [name, value] of Object.entries({ platform: '${platform}', arch: '${arch}' })) {
  Object.defineProperty(process, name, { value });
}
`;
}

/**
 * Preloaded into a musl Node that runs on a machine with glibc: it finds the ldd of a musl system, by which the loader
 * tells which C library the system has.
 */
export const muslSystem = `const fs = require('node:fs');
const { readFileSync } = fs;
fs.readFileSync = (path, ...rest) => (path === '/usr/bin/ldd' ? '# musl libc' : readFileSync(path, ...rest));
require('node:module').syncBuiltinESMExports();
`;

/** A guest of three instructions on arm64, memory in three ways, and a typed error. */
export const armProgram = `
import { Kvm } from 'vmhatch';
const kvm = new Kvm();
const vm = kvm.createVm();
vm.memory.map({ guestAddress: 0x4000_0000, size: 0x1_0000 });
vm.memory.write(0x4000_0100, Uint8Array.of(1, 2, 3));
const view = vm.memory.view(0x4000_0100, 4);
view[3] = 4;
const bytes = vm.memory.read(0x4000_0100, 4).join(' ');

// mov w0, #'4'; mov x1, #0x10000000; strb w0, [x1]
vm.memory.write(0x4000_1000, Uint32Array.of(0x5280_0680, 0xd2a2_0001, 0x3900_0020));
const vcpu = vm.createVcpu();
vcpu.vcpuInit(vm.getPreferredTarget());
vcpu.armRegs.pc = 0x4000_1000n;
let said;
const end = vcpu.run({
  mmioWrite: (exit) => {
    said = exit.address.toString(16) + ' ' + String.fromCharCode(exit.value);
    exit.stop();
  },
});
vm.close();
let code;
try {
  vm.createVcpu();
} catch (error) {
  code = error.code;
}
console.log(process.arch, bytes, said, end.reason, view.byteLength, code);
kvm.close();
`;

/** What is left where the runtime allows no buffers over foreign memory: copies, and errors that say so. */
export const copyProgram = `
import { Kvm } from 'vmhatch';
const kvm = new Kvm();
const vm = kvm.createVm();
vm.memory.map({ guestAddress: 0, size: 0x1000 });
for (const act of [() => vm.memory.view(0, 16), () => vm.createVcpu()]) {
  try {
    act();
    console.log('no error');
  } catch (error) {
    console.log(error.code, error.message);
  }
}
vm.memory.write(0x10, Uint8Array.of(1, 2, 3));
console.log(vm.memory.read(0x10, 3).join(' '));
vm.close();
kvm.close();
`;
