import { only } from '../internal/architecture.ts';
import { boolean, integer, options as checkOptions, string } from '../internal/check.ts';
import { invalidArgValue } from '../internal/errors.ts';
import { KEY } from '../internal/illegal.ts';
import { kvmOfArm64 } from '../internal/native-arm64.ts';
import { native, type NativeKvm } from '../internal/native.ts';
import { cpuidEntries, type CpuidEntry } from './cpuid.ts';
import { msrPlace, readMsrs, type MsrEntry } from './msr.ts';
import { Vm } from './vm.ts';

/**
 * The KVM subsystem of the host: an open /dev/kvm.
 *
 * @example
 * ```ts
 * const kvm = new Kvm();
 * console.log(kvm.apiVersion); // 12
 * const vm = kvm.createVm();
 * ```
 */
export class Kvm implements Disposable {
  readonly #native: NativeKvm;
  #closed = false;

  /**
   * Opens the device.
   *
   * @param options - `path`: the device, `/dev/kvm` by default. `closeOnExec`: whether programs that this process starts
   * are kept from the descriptor; true by default.
   * @throws `ERR_KVM_UNAVAILABLE` when there is none, `ERR_KVM_PERMISSION` when you may not open it.
   * @throws `ERR_KVM_API_VERSION` when it does not speak version 12, which all kernels since 2.6.22 do.
   * @throws `ERR_KVM_PLATFORM` when this package has no native addon for the platform.
   */
  constructor(options?: { path?: string; closeOnExec?: boolean }) {
    const given = checkOptions('options', options, ['path', 'closeOnExec']);
    const { path = '/dev/kvm', closeOnExec = true } = given;
    const checked = string('options.path', path);
    if (checked === '' || checked.includes('\0'))
      throw invalidArgValue('options.path', path, 'must be a path');
    this.#native = new (native().NativeKvm)(checked, boolean('options.closeOnExec', closeOnExec));
  }

  /** The descriptor's number, for use with other interfaces of the kernel. @throws `ERR_KVM_CLOSED` */
  get fd(): number {
    return this.#native.fd();
  }

  /**
   * The API's version, 12 (`KVM_GET_API_VERSION`).
   *
   * @throws `ERR_KVM_CLOSED`
   */
  get apiVersion(): number {
    return this.#native.apiVersion();
  }

  /**
   * Whether the host has a capability (`KVM_CHECK_EXTENSION`).
   *
   * @param capability - One of {@link Cap}, or its number.
   * @throws `ERR_KVM_CLOSED`, `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_TYPE`
   */
  checkExtension(capability: number): boolean {
    return this.checkExtensionInt(capability) > 0;
  }

  /**
   * A capability's value: 0 when the host lacks it, else 1 or what the capability says.
   *
   * @param capability - One of {@link Cap}, or its number.
   * @throws As {@link checkExtension}.
   * @example
   * ```ts
   * const recommended = kvm.checkExtensionInt(Cap.NrVcpus);
   * ```
   */
  checkExtensionInt(capability: number): number {
    return this.#native.checkExtension(integer('capability', capability, 0, 0xffff_ffff));
  }

  /** The size of a vCPU's shared mapping in bytes (`KVM_GET_VCPU_MMAP_SIZE`). @throws `ERR_KVM_CLOSED` */
  getVcpuMmapSize(): number {
    return this.#native.limits()[0]!;
  }

  /** How many vCPUs are recommended for one machine. @throws `ERR_KVM_CLOSED` */
  getNrVcpus(): number {
    return this.#native.limits()[1]!;
  }

  /** How many vCPUs one machine can have. @throws `ERR_KVM_CLOSED` */
  getMaxVcpus(): number {
    return this.#native.limits()[2]!;
  }

  /** vCPU ids are below this. @throws `ERR_KVM_CLOSED` */
  getMaxVcpuId(): number {
    return this.#native.limits()[3]!;
  }

  /** How many memory regions one machine can have. @throws `ERR_KVM_CLOSED` */
  getNrMemslots(): number {
    return this.#native.limits()[4]!;
  }

  /**
   * The largest size of a guest-physical address in bits (`KVM_CAP_ARM_VM_IPA_SIZE`): the largest `type` that
   * {@link createVm} takes on aarch64. 0 where the host has 40 bits, and nothing else.
   *
   * @throws `ERR_KVM_UNSUPPORTED` on x86_64, `ERR_KVM_CLOSED`
   */
  getHostIpaLimit(): number {
    only('arm64', 'KVM_CAP_ARM_VM_IPA_SIZE');
    return kvmOfArm64(this.#native).armLimits()[0]!;
  }

  /**
   * How many hardware breakpoints a debugger can set in a guest (`KVM_CAP_GUEST_DEBUG_HW_BPS`).
   *
   * @throws `ERR_KVM_UNSUPPORTED` on x86_64, which has four; `ERR_KVM_CLOSED`
   */
  getGuestDebugHwBps(): number {
    only('arm64', 'KVM_CAP_GUEST_DEBUG_HW_BPS');
    return kvmOfArm64(this.#native).armLimits()[1]!;
  }

  /**
   * How many watchpoints a debugger can set in a guest (`KVM_CAP_GUEST_DEBUG_HW_WPS`).
   *
   * @throws `ERR_KVM_UNSUPPORTED` on x86_64, `ERR_KVM_CLOSED`
   */
  getGuestDebugHwWps(): number {
    only('arm64', 'KVM_CAP_GUEST_DEBUG_HW_WPS');
    return kvmOfArm64(this.#native).armLimits()[2]!;
  }

  /**
   * The CPUID leaves that host and KVM support (`KVM_GET_SUPPORTED_CPUID`).
   *
   * @throws `ERR_KVM_CLOSED`, `ERR_KVM_IOCTL`
   * @example A guest that sees what the host has:
   * ```ts
   * vcpu.setCpuid2(kvm.getSupportedCpuid());
   * ```
   */
  getSupportedCpuid(): CpuidEntry[] {
    only('x64', 'KVM_GET_SUPPORTED_CPUID');
    return cpuidEntries(this.#native.cpuid(false));
  }

  /** The CPUID leaves that KVM emulates (`KVM_GET_EMULATED_CPUID`). @throws `ERR_KVM_CLOSED`, `ERR_KVM_IOCTL` */
  getEmulatedCpuid(): CpuidEntry[] {
    only('x64', 'KVM_GET_EMULATED_CPUID');
    return cpuidEntries(this.#native.cpuid(true));
  }

  /**
   * The CPUID leaves of a Hyper-V that KVM can emulate (`KVM_GET_SUPPORTED_HV_CPUID`), for a guest that expects one: add
   * them to those of `setCpuid2()`. Its interrupt controller is enabled by `vcpu.enableCap(Cap.HypervSynic2)`; hypercalls
   * that KVM does not know are `hyperv` exits.
   *
   * @throws `ERR_KVM_UNSUPPORTED` without {@link Cap.SysHypervCpuid}; `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED`
   */
  getSupportedHvCpuid(): CpuidEntry[] {
    only('x64', 'KVM_GET_SUPPORTED_HV_CPUID');
    return cpuidEntries(this.#native.hypervCpuid());
  }

  /** The MSRs that belong to a vCPU's state (`KVM_GET_MSR_INDEX_LIST`). @throws `ERR_KVM_CLOSED`, `ERR_KVM_IOCTL` */
  getMsrIndexList(): number[] {
    only('x64', 'KVM_GET_MSR_INDEX_LIST');
    return this.#native.msrIndices(false);
  }

  /** The MSRs that tell features (`KVM_GET_MSR_FEATURE_INDEX_LIST`). @throws `ERR_KVM_CLOSED`, `ERR_KVM_IOCTL` */
  getMsrFeatureIndexList(): number[] {
    only('x64', 'KVM_GET_MSR_FEATURE_INDEX_LIST');
    return this.#native.msrIndices(true);
  }

  /**
   * Feature MSRs of the host (`KVM_GET_MSRS`).
   *
   * @param indices - Numbers of MSRs, 0 to 2^32 - 1; {@link getMsrFeatureIndexList} lists those that exist.
   * @throws `ERR_KVM_IOCTL` naming the first one that the host refuses; `ERR_KVM_CLOSED`
   */
  getMsrs(indices: readonly number[]): MsrEntry[] {
    only('x64', 'KVM_GET_MSRS');
    return readMsrs(indices, (size) => msrPlace(size, (target) => this.#native.msrs(target)));
  }

  /**
   * Makes a virtual machine (`KVM_CREATE_VM`).
   *
   * @param options - `type`: the kernel's machine type, 0 by default, the only one on most hosts. On aarch64 it is the
   *   size of guest-physical addresses in bits, 32 to {@link getHostIpaLimit}; 0 means 40.
   * @throws `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED`
   */
  createVm(options?: { type?: number }): Vm {
    const { type = 0 } = checkOptions('options', options, ['type']);
    return new Vm(KEY, this.#native.createVm(integer('options.type', type, 0)));
  }

  /**
   * Takes a machine that somebody else in this process made, by its descriptor, which stays theirs: it is duplicated. The
   * memory that they gave it is not known here, and stays theirs too.
   *
   * @param fd - The descriptor's number, as {@link Vm.fd} gives it.
   * @example
   * ```ts
   * const again = kvm.createVmFromRawFd(vm.fd);
   * again.close();
   * ```
   * @throws `ERR_KVM_DESCRIPTOR` for a descriptor that is none of a machine, or of one of another process; `ERR_KVM_CLOSED`
   */
  createVmFromRawFd(fd: number): Vm {
    return new Vm(KEY, this.#native.createVmFromRawFd(integer('fd', fd, 0, 0x7fff_ffff)));
  }

  /** Closes the device. Machines made from it live on. Twice is quiet. */
  close(): void {
    this.#closed = true;
    this.#native.close();
  }

  /** Whether `close()` was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Closes the device at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.close();
  }
}
