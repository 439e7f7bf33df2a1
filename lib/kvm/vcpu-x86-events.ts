import { RUN } from '../generated/run-page.ts';
import { VCPU_STATE } from '../generated/state-kinds.ts';
import { kvmVcpuEvents, type KvmVcpuEvents as VcpuEvents } from '../generated/structs.ts';
import { only } from '../internal/architecture.ts';
import { address as checkAddress, boolean, elements, integer, u64 } from '../internal/check.ts';
import { patchState, readState } from '../internal/state-structs.ts';
import type { Patch } from '../internal/structs.ts';
import type { VcpuAccess } from '../internal/vcpu-access.ts';
import { VcpuState } from './vcpu-state.ts';

export type { VcpuEvents };

/** Where a linear address of the guest is, by its page tables as they are now: `struct kvm_translation`. */
export interface GvaTranslation {
  /** The guest-physical address. */
  physicalAddress: number;
  /** Whether it can be written, as far as KVM says: on all kernels so far it says so always. */
  writeable: boolean;
  /** Whether code of the lowest privilege may use it, as far as KVM says: so far never. */
  usermode: boolean;
}

/** Interrupts and exceptions of a vCPU of x86_64, its clock and its capabilities. `Vcpu` is made of it. */
export abstract class VcpuX86Events extends VcpuState {
  readonly #access: VcpuAccess;

  /** @internal */
  constructor(key: symbol, access: VcpuAccess) {
    super(key, access);
    this.#access = access;
  }

  /**
   * Exceptions, interrupts and other events that wait or are being delivered (`KVM_GET_VCPU_EVENTS`).
   *
   * @throws `ERR_KVM_UNSUPPORTED` on aarch64, which has `getArmVcpuEvents()`; `ERR_KVM_IOCTL`, `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`
   */
  getVcpuEvents(): VcpuEvents {
    only('x64', 'Vcpu.getVcpuEvents()');
    return readState(this.#access, kvmVcpuEvents, VCPU_STATE.events);
  }

  /**
   * Changes what waits to be delivered (`KVM_SET_VCPU_EVENTS`); what is left out stays. `flags` says which fields count:
   * those of {@link getVcpuEvents} unless it is given.
   *
   * @example An invalid-opcode exception at the next entry:
   * ```ts
   * vcpu.setVcpuEvents({ exception: { injected: 1, nr: 6, hasErrorCode: 0 } });
   * ```
   * @throws `ERR_KVM_IOCTL` with `EINVAL` for what no CPU can have; else as {@link getVcpuEvents}
   */
  setVcpuEvents(events: Patch<VcpuEvents>): void {
    only('x64', 'Vcpu.setVcpuEvents()');
    patchState(this.#access, kvmVcpuEvents, VCPU_STATE.events, 'events', events);
  }

  /** Queues a non-maskable interrupt (`KVM_NMI`). @throws `ERR_KVM_IOCTL`, `ERR_KVM_BUSY`, `ERR_KVM_CLOSED` */
  nmi(): void {
    only('x64', 'KVM_NMI');
    this.#access.checkState();
    this.#access.change(() => this.#access.native.nmi());
  }

  /**
   * Queues a system management interrupt (`KVM_SMI`).
   *
   * @throws `ERR_KVM_UNSUPPORTED` where guests have no system management mode ({@link Cap.X86Smm}); `ERR_KVM_IOCTL`, `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`
   */
  smi(): void {
    only('x64', 'KVM_SMI');
    this.#access.checkState();
    this.#access.change(() => this.#access.native.smi());
  }

  /**
   * Queues an external interrupt (`KVM_INTERRUPT`): for machines whose interrupt controllers are in user space. The guest
   * must be able to take it: see {@link readyForInterruptInjection}.
   *
   * @param vector - 0 to 255.
   * @example
   * ```ts
   * vcpu.requestInterruptWindow(true);
   * const exit = vcpu.step({ timeoutMs: 1000 });
   * if (exit.kind === 'irqWindowOpen') vcpu.interrupt(0x20);
   * ```
   * @throws `ERR_KVM_IOCTL` with `ENXIO` when the controllers are in the kernel, with `EEXIST` while an interrupt waits (with a
   * split controller); `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`
   */
  interrupt(vector: number): void {
    only('x64', 'KVM_INTERRUPT');
    this.#access.checkState();
    const number = integer('vector', vector, 0, 0xff);
    this.#access.change(() => this.#access.native.interrupt(number));
  }

  /**
   * Asks for an `irqWindowOpen` exit as soon as the guest can take an interrupt (`kvm_run.request_interrupt_window`); it
   * stays asked for until this is called with false. For machines without in-kernel controllers.
   *
   * @throws `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`
   */
  requestInterruptWindow(request: boolean): void {
    only('x64', 'kvm_run.request_interrupt_window');
    this.#access.checkState();
    this.#access.runner.view.u8[RUN.requestInterruptWindow] = boolean('request', request) ? 1 : 0;
  }

  /** Whether {@link interrupt} will do, as of the last exit (`kvm_run.ready_for_interrupt_injection`). @throws `ERR_KVM_BUSY`, `ERR_KVM_CLOSED` */
  get readyForInterruptInjection(): boolean {
    only('x64', 'kvm_run.ready_for_interrupt_injection');
    this.#access.checkState();
    return this.#access.runner.view.u8[RUN.readyForInterruptInjection] === 1;
  }

  /** Whether the guest had interrupts on at the last exit: the flag `IF` (`kvm_run.if_flag`). @throws `ERR_KVM_BUSY`, `ERR_KVM_CLOSED` */
  get ifFlag(): boolean {
    only('x64', 'kvm_run.if_flag');
    this.#access.checkState();
    return this.#access.runner.view.u8[RUN.ifFlag] === 1;
  }

  /**
   * Makes accesses to the task priority register of the in-kernel local APIC, at 0xfee00080, `tprAccess` exits
   * (`KVM_TPR_ACCESS_REPORTING`). The exit follows the access, which KVM has done by then. Where the processor serves the
   * register itself, as Intel's do, and AMD's with AVIC, there are none.
   *
   * @param enabled - Off by default.
   * @example
   * ```ts
   * if (vm.checkExtension(Cap.Vapic)) vcpu.setTprAccessReporting(true);
   * vcpu.run({ tprAccess: (exit) => console.log(exit.rip, exit.isWrite), ioOut: () => {}, ioIn: () => 0 });
   * ```
   * @throws `ERR_KVM_UNSUPPORTED` where KVM knows that there would be none ({@link Cap.Vapic}); `ERR_KVM_IOCTL`,
   *   `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`, `ERR_INVALID_ARG_TYPE`
   */
  setTprAccessReporting(enabled: boolean): void {
    only('x64', 'KVM_TPR_ACCESS_REPORTING');
    this.#access.checkState();
    const value = boolean('enabled', enabled);
    this.#access.change(() => this.#access.native.reportTprAccesses(value));
  }

  /**
   * Keeps the task priority of the in-kernel local APIC in guest memory, too (`KVM_SET_VAPIC_ADDR`), for a guest that was
   * patched to use that instead of the register. Four bytes, lowest first: the task priority, which KVM also takes
   * from there, the priority of the interrupt in service, zero, the highest vector that waits.
   *
   * @param address - Guest-physical; 0 ends it.
   * @example
   * ```ts
   * vm.createIrqChip();
   * vm.memory.map({ guestAddress: 0, size: 0x10000 });
   * const guest = vm.createVcpu();
   * if (vm.checkExtension(Cap.Vapic)) guest.setVapicAddress(0x8000);
   * ```
   * @throws `ERR_KVM_IOCTL` with `EINVAL` without an in-kernel local APIC, or where there is no memory; else as
   *   {@link setTprAccessReporting}, and `ERR_OUT_OF_RANGE`
   */
  setVapicAddress(address: number): void {
    only('x64', 'KVM_SET_VAPIC_ADDR');
    this.#access.checkState();
    const place = checkAddress('address', address);
    this.#access.change(() => this.#access.native.setVapicAddress(place));
  }

  /**
   * Tells a guest that uses kvmclock that it was stopped, so that its watchdogs are patient (`KVM_KVMCLOCK_CTRL`).
   *
   * @throws `ERR_KVM_IOCTL` with `EINVAL` while the guest does not use kvmclock; `ERR_KVM_UNSUPPORTED`, `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`
   */
  kvmclockCtrl(): void {
    only('x64', 'KVM_KVMCLOCK_CTRL');
    this.#access.checkState();
    this.#access.change(() => this.#access.native.kvmclockCtrl());
  }

  /** How fast the guest's time stamp counter runs, in kHz (`KVM_GET_TSC_KHZ`). @throws `ERR_KVM_IOCTL` where the host's is not constant; `ERR_KVM_BUSY`, `ERR_KVM_CLOSED` */
  getTscKhz(): number {
    only('x64', 'KVM_GET_TSC_KHZ');
    this.#access.checkState();
    return this.#access.native.getTscKhz();
  }

  /**
   * Sets how fast the guest's time stamp counter runs (`KVM_SET_TSC_KHZ`); before the first run.
   *
   * @param khz - Kilohertz; 0 is the host's own speed.
   * @throws `ERR_KVM_UNSUPPORTED` for a speed that the host cannot make ({@link Cap.TscControl}); `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`
   */
  setTscKhz(khz: number): void {
    only('x64', 'KVM_SET_TSC_KHZ');
    this.#access.checkState();
    const speed = integer('khz', khz, 0, 0xffff_ffff);
    this.#access.change(() => this.#access.native.setTscKhz(speed));
  }

  /**
   * Where a linear address is, by the guest's page tables as they are now (`KVM_TRANSLATE`).
   *
   * @returns undefined when the guest has nothing there.
   * @example
   * ```ts
   * const at = vcpu.translateGva(vcpu.getSregs().cs.base + vcpu.regs.rip);
   * if (at !== undefined) vm.memory.read(at.physicalAddress, 16);
   * ```
   * @throws `ERR_KVM_IOCTL`, `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`
   */
  translateGva(address: number | bigint): GvaTranslation | undefined {
    only('x64', 'KVM_TRANSLATE');
    this.#access.checkState();
    const found = this.#access.native.translate(u64('address', address));
    if (found === null) return undefined;
    const [physicalAddress, writeable, usermode] = found;
    return { physicalAddress: physicalAddress!, writeable: writeable === 1, usermode: usermode === 1 };
  }

  /**
   * Turns a capability of the vCPU on (`KVM_ENABLE_CAP`): Hyper-V's, for most of them.
   *
   * @param args - Up to four values that the capability documents.
   * @param flags - What the capability documents; 0 on all that x86 has.
   * @throws `ERR_KVM_UNSUPPORTED` when the host lacks it; `ERR_KVM_IOCTL`, `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`
   */
  enableCap(capability: number, args: readonly (number | bigint)[] = [], flags = 0): void {
    only('x64', 'KVM_ENABLE_CAP on a vCPU');
    this.#access.checkState();
    const values = elements('args', args, 4).map((value, index) => u64(`args[${index}]`, value));
    const number = integer('capability', capability, 0, 0xffff_ffff);
    const bits = integer('flags', flags, 0, 0xffff_ffff);
    this.#access.change(() => this.#access.native.enableCap(number, values, bits));
  }
}
