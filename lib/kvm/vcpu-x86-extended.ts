import { VCPU_STATE } from '../generated/state-kinds.ts';
import {
  kvmDebugregs,
  kvmFpu,
  kvmSregs2,
  kvmXcrs,
  type KvmDebugregs as DebugRegs,
  type KvmFpu as Fpu,
  type KvmSregs2 as Sregs2,
  type KvmXcrs as Xcrs,
} from '../generated/structs.ts';
import { only } from '../internal/architecture.ts';
import { patchState, readState, writeBlob } from '../internal/state-structs.ts';
import type { Patch } from '../internal/structs.ts';
import type { VcpuAccess } from '../internal/vcpu-access.ts';
import { VcpuX86Events } from './vcpu-x86-events.ts';

export type { DebugRegs, Fpu, Sregs2, Xcrs };

/** `struct kvm_xsave` without what may follow it. */
const XSAVE_SIZE = 4096;

/** The wide registers of a vCPU of x86_64, its debug registers and its nested state. `Vcpu` is made of it. */
export abstract class VcpuX86Extended extends VcpuX86Events {
  readonly #access: VcpuAccess;

  /** @internal */
  constructor(key: symbol, access: VcpuAccess) {
    super(key, access);
    this.#access = access;
  }

  /** The registers of x87 and SSE (`KVM_GET_FPU`). @throws `ERR_KVM_IOCTL`, `ERR_KVM_BUSY`, `ERR_KVM_CLOSED` */
  getFpu(): Fpu {
    only('x64', 'KVM_GET_FPU');
    return readState(this.#access, kvmFpu, VCPU_STATE.fpu);
  }

  /**
   * Sets registers of x87 and SSE; what is left out stays, and an array has all its elements (`KVM_SET_FPU`).
   *
   * KVM leaves `mxcsr` alone, whatever it is given: {@link setXsave} sets it.
   *
   * @example x87 rounds towards zero:
   * ```ts
   * vcpu.setFpu({ fcw: 0x0f7f });
   * ```
   * @throws `ERR_KVM_IOCTL`, `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`
   */
  setFpu(fpu: Patch<Fpu>): void {
    only('x64', 'KVM_SET_FPU');
    patchState(this.#access, kvmFpu, VCPU_STATE.fpu, 'fpu', fpu);
  }

  /**
   * The special registers with the four page-directory pointers of PAE paging (`KVM_GET_SREGS2`).
   *
   * @throws `ERR_KVM_UNSUPPORTED` before Linux 5.14 ({@link Cap.Sregs2}); `ERR_KVM_IOCTL`, `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`
   */
  getSregs2(): Sregs2 {
    only('x64', 'KVM_GET_SREGS2');
    return readState(this.#access, kvmSregs2, VCPU_STATE.sregs2);
  }

  /** Sets special registers; what is left out stays (`KVM_SET_SREGS2`). @throws As `setSregs()` and {@link getSregs2}. */
  setSregs2(sregs: Patch<Sregs2>): void {
    only('x64', 'KVM_SET_SREGS2');
    patchState(this.#access, kvmSregs2, VCPU_STATE.sregs2, 'sregs', sregs);
  }

  /** The guest's own debug registers (`KVM_GET_DEBUGREGS`). @throws `ERR_KVM_IOCTL`, `ERR_KVM_BUSY`, `ERR_KVM_CLOSED` */
  getDebugRegs(): DebugRegs {
    only('x64', 'KVM_GET_DEBUGREGS');
    return readState(this.#access, kvmDebugregs, VCPU_STATE.debugRegs);
  }

  /** Sets the guest's debug registers; what is left out stays (`KVM_SET_DEBUGREGS`). @throws `ERR_KVM_IOCTL` with `EINVAL` for bits that do not exist; `ERR_KVM_BUSY`, `ERR_KVM_CLOSED` */
  setDebugRegs(registers: Patch<DebugRegs>): void {
    only('x64', 'KVM_SET_DEBUGREGS');
    patchState(this.#access, kvmDebugregs, VCPU_STATE.debugRegs, 'registers', registers);
  }

  /** The extended control registers (`KVM_GET_XCRS`): `nrXcrs` of `xcrs` are valid. @throws `ERR_KVM_IOCTL` with `EINVAL` where the processor has no `xsave`; `ERR_KVM_BUSY`, `ERR_KVM_CLOSED` */
  getXcrs(): Xcrs {
    only('x64', 'KVM_GET_XCRS');
    return readState(this.#access, kvmXcrs, VCPU_STATE.xcrs);
  }

  /**
   * Sets the extended control registers (`KVM_SET_XCRS`); what is left out stays, and `xcrs` has 16 elements. The guest's
   * CPUID must allow the value.
   *
   * @throws `ERR_KVM_IOCTL` with `EINVAL` for a value that the guest's processor does not take; `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`
   */
  setXcrs(xcrs: Patch<Xcrs>): void {
    only('x64', 'KVM_SET_XCRS');
    patchState(this.#access, kvmXcrs, VCPU_STATE.xcrs, 'xcrs', xcrs);
  }

  /**
   * The extended state as the instruction `xsave` stores it, 4096 bytes (`KVM_GET_XSAVE`).
   *
   * @throws `ERR_KVM_IOCTL` with `EINVAL` where the state needs more: then {@link getXsave2}; `ERR_KVM_UNSUPPORTED`, `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`
   */
  getXsave(): Uint8Array {
    only('x64', 'KVM_GET_XSAVE');
    return this.#blob(VCPU_STATE.xsave, XSAVE_SIZE);
  }

  /** Sets the extended state, 4096 bytes (`KVM_SET_XSAVE`). @throws `ERR_KVM_STATE` for another size; `ERR_KVM_IOCTL` with `EINVAL` for a state that the processor cannot have; `ERR_KVM_UNSUPPORTED`, `ERR_KVM_BUSY`, `ERR_KVM_CLOSED` */
  setXsave(state: ArrayBufferView | ArrayBufferLike): void {
    only('x64', 'KVM_SET_XSAVE');
    writeBlob(this.#access, VCPU_STATE.xsave, state);
  }

  /**
   * The extended state in as many bytes as the host's processor needs (`KVM_GET_XSAVE2`): `checkExtensionInt(Cap.Xsave2)`
   * of the machine, 4096 or more.
   *
   * @throws `ERR_KVM_UNSUPPORTED` before Linux 5.17; `ERR_KVM_IOCTL`, `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`
   */
  getXsave2(): Uint8Array {
    only('x64', 'KVM_GET_XSAVE2');
    this.#access.checkState();
    return this.#blob(VCPU_STATE.xsave2, this.#access.native.xsave2Size());
  }

  /** Sets the extended state, of the size that {@link getXsave2} gives (`KVM_SET_XSAVE`). @throws `ERR_KVM_STATE` for another size; as {@link setXsave} */
  setXsave2(state: ArrayBufferView | ArrayBufferLike): void {
    only('x64', 'KVM_SET_XSAVE');
    writeBlob(this.#access, VCPU_STATE.xsave2, state);
  }

  /**
   * The state of a hypervisor in the guest (`KVM_GET_NESTED_STATE`): `struct kvm_nested_state`, 128 bytes when there is
   * none, and what the processor keeps of one behind them.
   *
   * @throws `ERR_KVM_UNSUPPORTED` where guests cannot have guests ({@link Cap.NestedState}); `ERR_KVM_IOCTL`, `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`
   */
  getNestedState(): Uint8Array {
    only('x64', 'KVM_GET_NESTED_STATE');
    this.#access.checkState();
    return this.#blob(VCPU_STATE.nestedState, this.#access.native.nestedStateSize());
  }

  /**
   * Sets the state of a hypervisor in the guest (`KVM_SET_NESTED_STATE`), after CPUID, MSRs and special registers.
   *
   * @param state - As {@link getNestedState} gave it: its field `size` must be its length.
   * @throws `ERR_KVM_STATE` for another size; `ERR_KVM_IOCTL` with `EINVAL` for a state that the vCPU cannot have; as {@link getNestedState}
   */
  setNestedState(state: ArrayBufferView | ArrayBufferLike): void {
    only('x64', 'KVM_SET_NESTED_STATE');
    writeBlob(this.#access, VCPU_STATE.nestedState, state);
  }

  #blob(kind: number, size: number): Uint8Array {
    this.#access.checkState();
    const target = new Uint8Array(size);
    const used = this.#access.native.getState(kind, target);
    return used === size ? target : target.slice(0, used);
  }
}
