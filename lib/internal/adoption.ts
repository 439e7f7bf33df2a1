/** How a vCPU from another isolate gets its machine here: vm.ts knows, vcpu.ts asks, and neither imports the other twice. */
import type { Vcpu } from '../kvm/vcpu.ts';
import type { NativeVcpu } from './native.ts';

type Enter = (vcpu: NativeVcpu) => Vcpu;

let enter: Enter | undefined;

/** Says how: once, when the module of the machines is loaded. */
export function onAdoption(how: Enter): void {
  enter = how;
}

/** Makes the objects of an adopted vCPU and its machine. */
export function enterAdopted(vcpu: NativeVcpu): Vcpu {
  return enter!(vcpu);
}
