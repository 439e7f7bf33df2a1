/** The native side of a `Vm`, for those of the library that work on a machine as a whole. */
import type { NativeVm } from './native.ts';

const natives = new WeakMap<object, NativeVm>();

/** Notes it: once, when the `Vm` is made. */
export function setNativeVm(vm: object, native: NativeVm): void {
  natives.set(vm, native);
}

/** The native side of a `Vm` of ours. */
export function nativeVm(vm: object): NativeVm {
  return natives.get(vm)!;
}
