import { CONTROL } from '../generated/control-page.ts';
import { EXCHANGE, VCPU_STATE } from '../generated/state-kinds.ts';
import { kvmRegs, kvmSregs, type KvmSregs as Sregs } from '../generated/structs.ts';
import { only } from '../internal/architecture.ts';
import { integer, object } from '../internal/check.ts';
import { KEY } from '../internal/illegal.ts';
import { patchState, readState, writeBlob } from '../internal/state-structs.ts';
import { preparePatch, type Patch } from '../internal/structs.ts';
import type { VcpuAccess } from '../internal/vcpu-access.ts';
import { CPUID_NUMBERS, cpuidEntries, cpuidNumbers, type CpuidEntry } from './cpuid.ts';
import type { CpuidSource } from './cpuid-table.ts';
import { msrBytes, msrPlace, readMsrs, type MsrEntry } from './msr.ts';
import { makeRegisterView, type RegisterView, type Regs } from './registers.ts';
import { VcpuX86Extended } from './vcpu-x86-extended.ts';

export type { Sregs };

/** `struct kvm_lapic_state`: KVM_APIC_REG_SIZE. */
const LAPIC_SIZE = 0x400;
/** `KVM_MAX_CPUID_ENTRIES` of the kernel. */
const MAX_CPUID_ENTRIES = 256;

/** The state of a vCPU that only x86_64 has. `Vcpu` is made of it; elsewhere its methods throw `ERR_KVM_UNSUPPORTED`. */
export abstract class VcpuX86 extends VcpuX86Extended {
  readonly #access: VcpuAccess;
  #regs: RegisterView | undefined;

  /** @internal */
  constructor(key: symbol, access: VcpuAccess) {
    super(key, access);
    this.#access = access;
  }

  /** The live general-purpose registers. */
  get regs(): RegisterView {
    only('x64', 'Vcpu.regs');
    return (this.#regs ??= makeRegisterView(KEY, {
      read: (index) => this.#readRegister(index),
      write: (index, value) => this.#writeRegister(index, value),
    }));
  }

  #readRegister(index: number): bigint {
    this.#access.checkState();
    this.#access.runner.registers.load(this.#access.runner.handling);
    return this.#access.runner.registers.get(index);
  }

  #writeRegister(index: number, value: bigint): void {
    this.#access.checkState();
    const runner = this.#access.runner;
    if (runner.handling && !runner.hasOpenAccess) {
      runner.registers.write(index, value, true);
    } else {
      runner.change(() => runner.registers.write(index, value, runner.running));
    }
  }

  /** The general-purpose registers (`KVM_GET_REGS`). @throws `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`, `ERR_KVM_TRANSFERRED` */
  getRegs(): Regs {
    only('x64', 'KVM_GET_REGS');
    this.#access.checkState();
    this.#access.runner.registers.load(this.#access.runner.handling);
    return this.#access.runner.registers.all();
  }

  /**
   * Sets general-purpose registers; those left out stay (`KVM_SET_REGS`). In a handler that answers an access, this takes
   * effect after the access is complete.
   *
   * @param regs - Numbers and bigints are both taken; a number must be a safe integer.
   * @example
   * ```ts
   * vcpu.setRegs({ rip: 0x1000, rflags: 2n });
   * ```
   * @throws `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`, `ERR_KVM_TRANSFERRED`, `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`
   */
  setRegs(regs: Patch<Regs>): void {
    only('x64', 'KVM_SET_REGS');
    this.#access.checkState();
    // Read and checked here, so that a mistake is reported here and changes nothing.
    const patch = preparePatch(kvmRegs, object('regs', regs) as Patch<Regs>, 'regs');
    const { runner } = this.#access;
    runner.change(() => runner.registers.change(patch, runner.running));
  }

  /** The special registers (`KVM_GET_SREGS`). @throws `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`, `ERR_KVM_TRANSFERRED` */
  getSregs(): Sregs {
    only('x64', 'KVM_GET_SREGS');
    return readState(this.#access, kvmSregs, VCPU_STATE.sregs);
  }

  /**
   * Sets special registers; what is left out stays, also inside of segments (`KVM_SET_SREGS`).
   *
   * @example From the reset vector to real mode at address 0:
   * ```ts
   * vcpu.setSregs({ cs: { base: 0n, selector: 0 } });
   * ```
   * @throws `ERR_KVM_IOCTL` with `EINVAL` for a state that no CPU can have; else as {@link setRegs}.
   */
  setSregs(sregs: Patch<Sregs>): void {
    only('x64', 'KVM_SET_SREGS');
    patchState(this.#access, kvmSregs, VCPU_STATE.sregs, 'sregs', sregs);
  }

  /** The CPUID leaves that the guest sees (`KVM_GET_CPUID2`). @throws `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`, `ERR_KVM_IOCTL` */
  getCpuid2(): CpuidEntry[] {
    only('x64', 'KVM_GET_CPUID2');
    this.#access.checkState();
    return cpuidEntries(this.#access.native.getCpuid2());
  }

  /** Sets the CPUID leaves (`KVM_SET_CPUID2`), 256 at most; do it before the first run. @throws `ERR_OUT_OF_RANGE` for more; `ERR_KVM_IOCTL`, `ERR_KVM_BUSY`, `ERR_KVM_CLOSED` */
  setCpuid2(entries: CpuidSource): void {
    only('x64', 'KVM_SET_CPUID2');
    this.#access.checkState();
    const numbers = cpuidNumbers('entries', entries);
    integer('entries.length', numbers.length / CPUID_NUMBERS, 0, MAX_CPUID_ENTRIES);
    this.#access.change(() => this.#access.native.setCpuid2(numbers));
  }

  /** Reads MSRs (`KVM_GET_MSRS`). @throws `ERR_KVM_IOCTL` naming the first one refused; `ERR_KVM_BUSY`, `ERR_KVM_CLOSED` */
  getMsrs(indices: readonly number[]): MsrEntry[] {
    only('x64', 'KVM_GET_MSRS');
    this.#access.checkState();
    return readMsrs(indices, (size) => this.#msrPlace(size));
  }

  /** Where a few MSRs change hands, or many. */
  #msrPlace(size: number): ReturnType<typeof msrPlace> {
    const { native, runner } = this.#access;
    if (size > CONTROL.exchange.size) return msrPlace(size, (target) => native.getMsrs(target));
    const { data: view, exchange: from } = runner.view;
    return { view, from, fill: () => runner.exchange(EXCHANGE.GET_MSRS | (size << 16)) };
  }

  /** Writes MSRs (`KVM_SET_MSRS`); those before a refused one are set. @throws As {@link getMsrs}. */
  setMsrs(entries: readonly MsrEntry[]): void {
    only('x64', 'KVM_SET_MSRS');
    this.#access.checkState();
    const bytes = msrBytes('entries', entries);
    this.#access.change(() => this.#access.native.setMsrs(bytes));
  }

  /**
   * The registers of the local APIC, 1 KiB as the CPU maps them (`KVM_GET_LAPIC`). Needs the interrupt controllers.
   *
   * @throws `ERR_KVM_IOCTL` with `EINVAL` without them; `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`
   */
  getLapic(): Uint8Array {
    only('x64', 'KVM_GET_LAPIC');
    this.#access.checkState();
    const target = new Uint8Array(LAPIC_SIZE);
    this.#access.native.getState(VCPU_STATE.lapic, target);
    return target;
  }

  /** Sets the registers of the local APIC (`KVM_SET_LAPIC`). @throws `ERR_KVM_STATE` for a wrong size; as {@link getLapic} */
  setLapic(state: ArrayBufferView | ArrayBufferLike): void {
    only('x64', 'KVM_SET_LAPIC');
    writeBlob(this.#access, VCPU_STATE.lapic, state);
  }
}
