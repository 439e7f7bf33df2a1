import { Cap } from '../generated/capabilities.ts';
import { SYNC_REGS } from '../generated/run-page.ts';
import { boolean, elements, integer, u64 } from '../internal/check.ts';
import { onAdoption } from '../internal/adoption.ts';
import { KEY } from '../internal/illegal.ts';
import { setNativeVm } from '../internal/native-vm.ts';
import type { NativeVcpu, NativeVm } from '../internal/native.ts';
import { ViewSet } from '../internal/view-set.ts';
import { Bus } from './bus.ts';
import { GuestMemory } from './memory.ts';
import { Vcpu } from './vcpu.ts';
import { VmExtras } from './vm-extras.ts';

/** Whether KVM keeps the registers in the shared page. */
let hasSyncRegs: boolean | undefined;

/**
 * A virtual machine: memory, vCPUs, interrupts, and who answers which ports and addresses.
 *
 * @example
 * ```ts
 * const vm = kvm.createVm();
 * vm.memory.map({ guestAddress: 0, size: 0x100000 });
 * const vcpu = vm.createVcpu();
 * ```
 */
export class Vm extends VmExtras implements Disposable {
  /** The guest's memory. */
  readonly memory: GuestMemory;
  /** The ports of x86. */
  readonly io: Bus;
  /** Guest-physical addresses that devices answer. */
  readonly mmio: Bus;
  readonly #native: NativeVm;
  readonly #views = new ViewSet();
  readonly #vcpus: Vcpu[] = [];

  /** @internal */
  constructor(key: symbol, nativeVm: NativeVm) {
    super(key, nativeVm);
    this.#native = nativeVm;
    setNativeVm(this, nativeVm);
    this.memory = new GuestMemory(KEY, nativeVm, this.#views);
    this.io = new Bus(KEY, nativeVm, false);
    this.mmio = new Bus(KEY, nativeVm, true);
  }

  static {
    onAdoption((nativeVcpu) => new Vm(KEY, nativeVcpu.vm()).#enter(nativeVcpu));
  }

  /** The vCPUs that this isolate made or adopted, in that order. */
  get vcpus(): readonly Vcpu[] {
    return this.#vcpus;
  }

  /**
   * Makes a vCPU (`KVM_CREATE_VCPU`).
   *
   * @param id - Its APIC id; by default the lowest that none of {@link vcpus} has or had.
   * @throws `ERR_KVM_TOO_MANY_VCPUS`; `ERR_KVM_IOCTL` with `EEXIST` for an id that is taken; `ERR_KVM_CLOSED`
   */
  createVcpu(id: number = this.#freeId()): Vcpu {
    return this.#enter(this.#native.createVcpu(integer('id', id, 0, 0xffff_ffff)));
  }

  /**
   * Takes a vCPU of this machine that somebody else in this process made, by its descriptor, which stays theirs: it is
   * duplicated. Whether it is a vCPU of this machine KVM does not say. Only one of its users may use it at a time: the
   * others would wait in the kernel.
   *
   * @param fd - The descriptor's number, as {@link Vcpu.fd} gives it.
   * @throws `ERR_KVM_DESCRIPTOR` for a descriptor that is none of a vCPU; `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED`
   */
  createVcpuFromRawFd(fd: number): Vcpu {
    return this.#enter(this.#native.createVcpuFromRawFd(integer('fd', fd, 0, 0x7fff_ffff)));
  }

  #freeId(): number {
    const taken = new Set(this.#vcpus.map((vcpu) => vcpu.id));
    let id = 0;
    while (taken.has(id)) id++;
    return id;
  }

  #enter(nativeVcpu: NativeVcpu): Vcpu {
    // A property of the host, asked once.
    hasSyncRegs ??= (this.#native.checkExtension(Cap.SyncRegs) & SYNC_REGS.REGS) !== 0;
    const vcpu = new Vcpu(KEY, this, nativeVcpu, hasSyncRegs);
    this.#vcpus.push(vcpu);
    return vcpu;
  }

  /**
   * Whether this machine has a capability (`KVM_CHECK_EXTENSION`).
   *
   * @throws `ERR_KVM_CLOSED`, `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_TYPE`
   */
  checkExtension(capability: number): boolean {
    return this.checkExtensionInt(capability) > 0;
  }

  /** A capability's value for this machine. @throws As {@link checkExtension}. */
  checkExtensionInt(capability: number): number {
    return this.#native.checkExtension(integer('capability', capability, 0, 0xffff_ffff));
  }

  /**
   * Turns a capability on (`KVM_ENABLE_CAP`).
   *
   * @param args - Up to four values that the capability documents.
   * @param flags - What the capability documents; 0 on all that x86 has.
   * @throws `ERR_KVM_UNSUPPORTED` when the host lacks it, `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED`
   */
  enableCap(capability: number, args: readonly (number | bigint)[] = [], flags = 0): void {
    const values = elements('args', args, 4).map((value, index) => u64(`args[${index}]`, value));
    const number = integer('capability', capability, 0, 0xffff_ffff);
    this.#native.enableCap(number, values, integer('flags', flags, 0, 0xffff_ffff));
  }

  /**
   * Says what becomes of an access to a port or address that no device claims and no memory backs. By default it is an
   * exit, for a handler. With an empty bus the guest reads all ones, its writes are dropped, and no exit reaches
   * JavaScript: what a guest wants that looks for hardware.
   *
   * @example
   * ```ts
   * vm.setEmptyBus(true);
   * ```
   * @throws `ERR_KVM_CLOSED`, `ERR_INVALID_ARG_TYPE`
   */
  setEmptyBus(empty: boolean): void {
    this.#native.setEmptyBus(boolean('empty', empty));
  }

  /**
   * Ends every run, closes the vCPUs and gives the memory back: windows of it become empty. Runs elsewhere end with
   * `ERR_KVM_CLOSED`. Twice is quiet.
   */
  close(): void {
    for (const vcpu of this.#vcpus) vcpu.close();
    this.#views.detach();
    this.#native.close();
  }

  /** Whether the machine was closed, here or in another isolate. */
  get closed(): boolean {
    return this.#native.closed;
  }

  /** Closes the machine at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.close();
  }
}
