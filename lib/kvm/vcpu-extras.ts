import { Cap } from '../generated/capabilities.ts';
import { only } from '../internal/architecture.ts';
import { address as checkAddress, options as checkOptions, size as checkSize } from '../internal/check.ts';
import { invalidArgType, outOfRange } from '../internal/errors.ts';
import { KEY } from '../internal/illegal.ts';
import { wholePages } from '../internal/page.ts';
import type { VcpuAccess } from '../internal/vcpu-access.ts';
import { BinaryStats } from './binary-stats.ts';
import { VcpuArm64 } from './vcpu-arm64.ts';

/** What KVM offers of a vCPU on every architecture, if the host is new enough. `Vcpu` is made of it. */
export abstract class VcpuExtras extends VcpuArm64 {
  readonly #access: VcpuAccess;
  #stats: BinaryStats | undefined;

  /** @internal */
  constructor(key: symbol, access: VcpuAccess) {
    super(key, access);
    this.#access = access;
  }

  /**
   * The kernel's statistics of this vCPU (`KVM_GET_STATS_FD`): exits by cause, halts, injected interrupts. One object for
   * all calls; it can be read while the vCPU runs. For the counters of this package's run loop see `stats`.
   *
   * @throws `ERR_KVM_UNSUPPORTED` before Linux 5.14; `ERR_KVM_BUSY` when the first call comes while the vCPU runs;
   *   `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED`, `ERR_KVM_TRANSFERRED`
   */
  binaryStats(): BinaryStats {
    this.#access.checkUsable();
    return (this.#stats ??= new BinaryStats(KEY, this.#access.native.stats()));
  }

  /**
   * Populates guest memory before the guest touches it (`KVM_PRE_FAULT_MEMORY`), as if it had read all of the range: no
   * fault is left for later. The vCPU must be in the mode in which the guest will run.
   *
   * @param options - `address` and `size` in bytes, multiples of `vm.memory.pageSize`.
   * @throws `ERR_KVM_UNSUPPORTED` before Linux 6.11, and where the processor does not translate guest addresses itself.
   * @throws `ERR_KVM_IOCTL` with `ENOENT` for an address without memory: what lies before it is populated then.
   * @throws `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`
   */
  preFaultMemory(options: { address: number; size: number }): void {
    this.#access.checkState();
    const { address, size } = checkOptions('options', options, ['address', 'size']);
    const from = wholePages('options.address', checkAddress('options.address', address));
    const many = wholePages('options.size', checkSize('options.size', size));
    if (from + many > 2 ** 52) throw outOfRange('options.size', `<= ${2 ** 52 - from}`, many);
    this.#access.native.preFaultMemory(from, many);
  }

  /**
   * What is added to the host's time stamp counter to give the guest's (`KVM_VCPU_TSC_OFFSET`): most often negative,
   * since a guest's counter begins at 0.
   *
   * @returns -2^63 to 2^63 - 1.
   * @throws `ERR_KVM_UNSUPPORTED` before Linux 5.16; `ERR_KVM_IOCTL`, `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`
   */
  getTscOffset(): bigint {
    only('x64', 'KVM_VCPU_TSC_OFFSET');
    this.#access.checkState();
    return BigInt.asIntN(64, this.#access.native.getTscOffset());
  }

  /**
   * Sets what is added to the host's time stamp counter (`KVM_VCPU_TSC_OFFSET`): with one offset on all vCPUs their
   * counters are equal, also after a restore.
   *
   * @param offset - -2^63 to 2^63 - 1.
   * @example A vCPU whose counter is that of another one:
   * ```ts
   * const second = vm.createVcpu();
   * second.setTscOffset(vcpu.getTscOffset());
   * ```
   * @throws As {@link getTscOffset}, also where guests have the host's counter; `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  setTscOffset(offset: bigint | number): void {
    only('x64', 'KVM_VCPU_TSC_OFFSET');
    this.#access.checkState();
    const value = BigInt.asUintN(64, i64('offset', offset));
    this.#access.change(() => this.#access.native.setTscOffset(value));
  }

  /**
   * Holds the guest to its CPUID: paravirtual features that its leaves do not offer (kvmclock, steal time, hypercalls) do
   * not work either. By default KVM serves them all (`KVM_CAP_ENFORCE_PV_FEATURE_CPUID`). Set CPUID first.
   *
   * @throws `ERR_KVM_UNSUPPORTED`, `ERR_KVM_IOCTL`, `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`
   */
  enforcePvFeatureCpuid(): void {
    only('x64', 'KVM_CAP_ENFORCE_PV_FEATURE_CPUID');
    this.enableCap(Cap.EnforcePvFeatureCpuid, [1]);
  }
}

/** A signed 64-bit value: a bigint, or a number that is exact. */
function i64(name: string, value: unknown): bigint {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  if (typeof value === 'number') throw outOfRange(name, 'an integer', value);
  if (typeof value !== 'bigint') throw invalidArgType(name, 'of type bigint or number', value);
  if (BigInt.asIntN(64, value) !== value) throw outOfRange(name, '>= -(2n ** 63n) && < 2n ** 63n', value);
  return value;
}
