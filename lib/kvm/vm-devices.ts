import {
  address as checkAddress,
  integer,
  options as checkOptions,
  size as checkSize,
  u64,
} from '../internal/check.ts';
import { KEY } from '../internal/illegal.ts';
import type { NativeVm } from '../internal/native.ts';
import { wholePages } from '../internal/page.ts';
import { GuestMemfd } from './guest-memfd.ts';
import { KvmDevice } from './device.ts';
import { VmInterrupts } from './vm-interrupts.ts';

/** A range of guest-physical memory. */
export interface MemoryAttributes {
  /** Where it begins; a multiple of `vm.memory.pageSize`. */
  address: number;
  /** Its length in bytes; a multiple of `vm.memory.pageSize`. */
  size: number;
  /** Bits of {@link MEMORY_ATTRIBUTE}; 0 makes it ordinary, shared memory. */
  attributes: number | bigint;
}

/** What KVM makes for a machine beside vCPUs. `Vm` is made of it. */
export abstract class VmDevices extends VmInterrupts {
  readonly #native: NativeVm;

  /** @internal */
  constructor(key: symbol, nativeVm: NativeVm) {
    super(key, nativeVm);
    this.#native = nativeVm;
  }

  /**
   * The number of the machine's descriptor, for use with other interfaces of the kernel or `kvm.createVmFromRawFd()`.
   *
   * @throws `ERR_KVM_CLOSED`
   */
  get fd(): number {
    return this.#native.fd();
  }

  /** The size of a vCPU's shared mapping in bytes: `kvm.getVcpuMmapSize()`. @throws `ERR_KVM_CLOSED` */
  get runSize(): number {
    return this.#native.runSize();
  }

  /**
   * Makes a device in the kernel (`KVM_CREATE_DEVICE`).
   *
   * @param type - One of {@link DEVICE_TYPE}, or another number of the kernel's.
   * @throws `ERR_KVM_UNSUPPORTED` when the host has no such device; `ERR_KVM_IOCTL` (`EEXIST` for one that a machine has
   * only one of), `ERR_KVM_CLOSED`
   */
  createDevice(type: number): KvmDevice {
    const kind = integer('type', type, 0, 0xffff_ffff);
    return new KvmDevice(KEY, this.#native.createDevice(kind), kind);
  }

  /**
   * Whether the host can make such a device for this machine, as {@link createDevice} does (`KVM_CREATE_DEVICE` with
   * `KVM_CREATE_DEVICE_TEST`).
   *
   * @example
   * ```ts
   * if (vm.hasDeviceType(DEVICE_TYPE.VFIO)) vm.createDevice(DEVICE_TYPE.VFIO);
   * ```
   * @throws `ERR_KVM_UNSUPPORTED` before Linux 3.10, `ERR_KVM_CLOSED`
   */
  hasDeviceType(type: number): boolean {
    return this.#native.hasDeviceType(integer('type', type, 0, 0xffff_ffff));
  }

  /**
   * Makes private memory for this machine (`KVM_CREATE_GUEST_MEMFD`). Before Linux 6.17 only a machine of a type that has
   * private memory can use it, such as `kvm.createVm({ type: 1 })` on x86_64 (`KVM_X86_SW_PROTECTED_VM`).
   *
   * @param options - `size`: bytes, a multiple of `vm.memory.pageSize`; `flags`: `GUEST_MEMFD_FLAG_*` of the kernel, 0 by default.
   * @throws `ERR_KVM_UNSUPPORTED` without {@link Cap.GuestMemfd}; `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED`
   */
  createGuestMemfd(options: { size: number; flags?: number | bigint }): GuestMemfd {
    const given = checkOptions('options', options, ['size', 'flags']);
    const size = wholePages('options.size', checkSize('options.size', given.size));
    const flags = u64('options.flags', given.flags ?? 0n);
    return new GuestMemfd(KEY, this.#native.createGuestMemfd(size, flags), size);
  }

  /**
   * Says of a range of guest memory whether it is private (`KVM_SET_MEMORY_ATTRIBUTES`). A guest that finds the other kind
   * than it asked for exits with `memoryFault`.
   *
   * @throws `ERR_KVM_UNSUPPORTED` without {@link Cap.MemoryAttributes}; `ERR_KVM_IOCTL` with `EINVAL` for attributes that
   * the machine does not have; `ERR_KVM_CLOSED`
   */
  setMemoryAttributes(range: MemoryAttributes): void {
    const given = checkOptions('range', range, ['address', 'size', 'attributes']);
    const address = wholePages('range.address', checkAddress('range.address', given.address));
    const size = wholePages('range.size', checkSize('range.size', given.size));
    this.#native.setMemoryAttributes(address, size, u64('range.attributes', given.attributes));
  }
}
