import { only } from '../internal/architecture.ts';
import { KEY } from '../internal/illegal.ts';
import type { NativeVm } from '../internal/native.ts';
import { configureX86 } from '../internal/x86-options.ts';
import { BinaryStats } from './binary-stats.ts';
import { VmDirtyMemory } from './vm-dirty.ts';
import type { X86Options } from './x86-options.ts';

/** What KVM offers of a machine beside its devices and memory, if the host is new enough. `Vm` is made of it. */
export abstract class VmExtras extends VmDirtyMemory {
  readonly #native: NativeVm;
  #stats: BinaryStats | undefined;

  /** @internal */
  constructor(key: symbol, nativeVm: NativeVm) {
    super(key, nativeVm);
    this.#native = nativeVm;
  }

  /**
   * The kernel's statistics of this machine (`KVM_GET_STATS_FD`): its page tables, the flushes of its translations. One
   * object for all calls. Those of a vCPU: `vcpu.binaryStats()`.
   *
   * @example
   * ```ts
   * const { pages_4k: small, pages_2m: large } = vm.binaryStats().read();
   * ```
   * @throws `ERR_KVM_UNSUPPORTED` before Linux 5.14; `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED`
   */
  binaryStats(): BinaryStats {
    this.#native.checkOpen();
    return (this.#stats ??= new BinaryStats(KEY, this.#native.stats()));
  }

  /**
   * Sets what KVM lets a machine of x86_64 choose about itself (`KVM_ENABLE_CAP`, a capability for each option). All
   * options are checked, and all capabilities asked for, before the first is enabled. What has no option here is
   * `enableCap()`'s.
   *
   * @example
   * ```ts
   * vm.configureX86({ exitOnEmulationFailure: true, disableQuirks: ['lint0Reenabled'] });
   * ```
   * @throws `ERR_KVM_UNSUPPORTED` naming the capability, or the option that this host's capability lacks.
   * @throws `ERR_KVM_IOCTL` with `EINVAL` for what must come before vCPUs, `EPERM` for what needs a privilege.
   * @throws `ERR_KVM_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`
   */
  configureX86(options: X86Options): void {
    only('x64', 'Vm.configureX86()');
    configureX86(this.#native, options);
  }
}
