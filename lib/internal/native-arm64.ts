/**
 * What the addon has on aarch64 only (crates/node/src/aarch64.rs): the generated types are those of x86_64, where the
 * package is built. Whoever calls this has asked `only('arm64', …)` before.
 */
import type { NativeKvm, NativeVcpu, NativeVm } from './native.ts';

interface Kvm {
  armLimits(): number[];
}

interface Vm {
  preferredTarget(): number[];
  hasDeviceAttr(group: number, attribute: bigint): boolean;
  setDeviceAttr(group: number, attribute: bigint, data: Uint8Array): void;
}

interface Vcpu {
  init(target: number, features: number[]): void;
  finalize(feature: number): void;
  regList(): number[];
  hasDeviceAttr(group: number, attribute: bigint): boolean;
  setDeviceAttr(group: number, attribute: bigint, data: Uint8Array): void;
}

/** The same object with the methods of aarch64. */
export function kvmOfArm64(kvm: NativeKvm): Kvm {
  return kvm as unknown as Kvm;
}

/** The same object with the methods of aarch64. */
export function vmOfArm64(vm: NativeVm): Vm {
  return vm as unknown as Vm;
}

/** The same object with the methods of aarch64. */
export function vcpuOfArm64(vcpu: NativeVcpu): Vcpu {
  return vcpu as unknown as Vcpu;
}
