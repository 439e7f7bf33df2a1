import { Cap } from '../generated/capabilities.ts';
import { MSR_EXIT_REASON } from '../generated/flags.ts';
import { only } from '../internal/architecture.ts';
import {
  address as checkAddress,
  boolean,
  bytes as checkBytes,
  elements,
  integer,
  object,
  options as checkOptions,
  size as checkSize,
} from '../internal/check.ts';
import type { NativeVm } from '../internal/native.ts';
import { filterNumbers, type MsrFilter } from './msr-filter.ts';
import { VmDevices } from './vm-devices.ts';

/** Which accesses to MSRs come to user space. */
export interface UserSpaceMsr {
  /** Those that KVM would refuse: a bad value, a read-only MSR. Default false. */
  inval?: boolean;
  /** MSRs that KVM does not know. Default false. */
  unknown?: boolean;
  /** Those that the filter of `setMsrFilter()` denies. Default false. */
  filter?: boolean;
}

/** A command of SEV: `struct kvm_sev_cmd`. */
export interface SevCommand {
  /** `KVM_SEV_*`. */
  id: number;
  /** The command's own structure, all of it; none by default. Its fields for addresses are 0: `pointers` fills them in. */
  data?: ArrayBufferView | ArrayBufferLike;
  /** The open /dev/sev; 0 by default. */
  sevFd?: number;
  /** Fields of `data` that take the address of guest memory. How many bytes are used there `data` says itself. */
  pointers?: readonly SevPointer[];
}

/** A field that takes the address of guest memory. */
export interface SevPointer {
  /** Where the field is in `data`, in bytes. */
  offset: number;
  /** The guest-physical address; one region of memory must hold what is used there. */
  guestAddress: number;
}

/** What a command of SEV gave. */
export interface SevAnswer {
  /** The command's structure as the kernel left it, its addresses 0. */
  data: Uint8Array;
  /** The firmware's own error code, 0 for none. */
  error: number;
}

const POINTERS = 16;
/** No command has more. */
const DATA_SIZE = 4096;

/** What a machine of x86_64 can be told beside its devices: MSRs, hypercalls, encryption. `Vm` is made of it. */
export abstract class VmX86Features extends VmDevices {
  readonly #native: NativeVm;

  /** @internal */
  constructor(key: symbol, nativeVm: NativeVm) {
    super(key, nativeVm);
    this.#native = nativeVm;
  }

  /**
   * Says which MSRs the guest may touch (`KVM_X86_SET_MSR_FILTER`). It replaces the machine's filter; one without ranges
   * lets everything through. An access that is denied is #GP in the guest, or an exit with {@link setUserSpaceMsr}. The
   * x2APIC's MSRs, 0x800 to 0x8ff, cannot be filtered.
   *
   * @param filter - {@link denyMsrs} makes one from a list of MSRs.
   * @example
   * ```ts
   * vm.setMsrFilter({ ranges: [{ base: 0x174, count: 3, bitmap: Uint8Array.of(0b110) }] }); // not 0x174
   * vm.setMsrFilter({}); // none
   * ```
   * @throws `ERR_KVM_UNSUPPORTED` without {@link Cap.X86MsrFilter}; `ERR_OUT_OF_RANGE` for a bitmap of another size;
   * `ERR_KVM_IOCTL` with `EINVAL` for `'deny'` without a range; `ERR_KVM_CLOSED`
   */
  setMsrFilter(filter: MsrFilter): void {
    only('x64', 'KVM_X86_SET_MSR_FILTER');
    const { deny, numbers, bits } = filterNumbers(filter);
    this.#native.setMsrFilter(deny, numbers, bits);
  }

  /**
   * Says which accesses to MSRs become `x86Rdmsr` and `x86Wrmsr` exits (`KVM_CAP_X86_USER_SPACE_MSR`). It replaces what was
   * said before.
   *
   * @throws `ERR_KVM_UNSUPPORTED` without {@link Cap.X86UserSpaceMsr}; `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED`
   */
  setUserSpaceMsr(which: UserSpaceMsr): void {
    only('x64', 'KVM_CAP_X86_USER_SPACE_MSR');
    const given = checkOptions('which', object('which', which) as UserSpaceMsr, [
      'inval',
      'unknown',
      'filter',
    ]);
    const bit = (name: keyof UserSpaceMsr, value: number): number =>
      boolean(`which.${name}`, given[name] ?? false) ? value : 0;
    const mask =
      bit('inval', MSR_EXIT_REASON.INVAL) |
      bit('unknown', MSR_EXIT_REASON.UNKNOWN) |
      bit('filter', MSR_EXIT_REASON.FILTER);
    this.#enable(Cap.X86UserSpaceMsr, 'KVM_CAP_X86_USER_SPACE_MSR', mask);
  }

  /**
   * Says which hypercalls become `hypercall` exits (`KVM_CAP_EXIT_HYPERCALL`). It replaces what was said before.
   *
   * @param numbers - `KVM_HC_*`. KVM lets go of few: so far of 12 only, `KVM_HC_MAP_GPA_RANGE`;
   * `checkExtensionInt(Cap.ExitHypercall)` has a bit for each.
   * @throws `ERR_KVM_UNSUPPORTED` without {@link Cap.ExitHypercall}; `ERR_KVM_IOCTL` with `EINVAL` for others; `ERR_KVM_CLOSED`
   */
  setHypercallExits(numbers: readonly number[]): void {
    only('x64', 'KVM_CAP_EXIT_HYPERCALL');
    const list = elements('numbers', numbers, 32).map((one, at) => integer(`numbers[${at}]`, one, 0, 30));
    const mask = list.reduce((bits, one) => bits | (1 << one), 0);
    this.#enable(Cap.ExitHypercall, 'KVM_CAP_EXIT_HYPERCALL', mask);
  }

  /**
   * Makes the guest's hypercalls those of Xen: the few that KVM serves itself, and `xen` exits (`KVM_XEN_HVM_CONFIG`).
   *
   * @param options - `msr`: writing an address to it, the guest gets its page of hypercalls there; 0, the default, for
   *   none. KVM takes those of hypervisors only: 0x40000000 to 0x4fffffff.
   * @example
   * ```ts
   * if (vm.checkExtension(Cap.XenHvm)) vm.setXenHypercallExits(true, { msr: 0x4000_0000 });
   * ```
   * @throws `ERR_KVM_UNSUPPORTED` where the kernel is built without Xen's interfaces ({@link Cap.XenHvm}).
   * @throws `ERR_KVM_IOCTL` with `EINVAL` for another MSR; `ERR_KVM_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  setXenHypercallExits(enabled: boolean, options?: { msr?: number }): void {
    only('x64', 'KVM_XEN_HVM_CONFIG');
    const isOn = boolean('enabled', enabled);
    const { msr = 0 } = checkOptions('options', options, ['msr']);
    this.#native.setXenHypercallExits(isOn, integer('options.msr', msr, 0, 0xffff_ffff));
  }

  /**
   * Puts the local APICs into the kernel and leaves PICs, IOAPIC and timer to the program (`KVM_CAP_SPLIT_IRQCHIP`): before
   * the first vCPU, and instead of `createIrqChip()`. The end of a level-triggered interrupt comes as `ioapicEoi` exit if
   * its line is one of the IOAPIC's pins and has an `msi` route ({@link setGsiRouting}).
   *
   * @param options - `ioapicPins`: lines from 0 that are pins of the program's IOAPIC. Default 24.
   * @throws `ERR_KVM_UNSUPPORTED` without {@link Cap.SplitIrqchip}; `ERR_KVM_IOCTL` with `EEXIST` when there are
   * controllers or vCPUs; `ERR_KVM_CLOSED`
   */
  createSplitIrqchip(options?: { ioapicPins?: number }): void {
    only('x64', 'KVM_CAP_SPLIT_IRQCHIP');
    const { ioapicPins = 24 } = checkOptions('options', options, ['ioapicPins']);
    const pins = integer('options.ioapicPins', ioapicPins, 0, 4096);
    this.#enable(Cap.SplitIrqchip, 'KVM_CAP_SPLIT_IRQCHIP', pins);
  }

  #enable(capability: number, name: string, value: number): void {
    this.#native.requireCapability(capability, name);
    this.#native.enableCap(capability, [BigInt(value)], 0);
  }

  /**
   * Asks whether the host encrypts machines: `KVM_MEMORY_ENCRYPT_OP` without a command. For SEV's commands see
   * {@link encryptOpSev}; those of other technologies have addresses that this package does not know, and are not offered.
   *
   * @throws `ERR_KVM_UNSUPPORTED` when it does not; `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED`
   */
  encryptOp(): void {
    only('x64', 'KVM_MEMORY_ENCRYPT_OP');
    this.#native.encryptOp();
  }

  /**
   * A command of SEV (`KVM_MEMORY_ENCRYPT_OP`): start, measure, finish, run, move an encrypted machine.
   *
   * @throws `ERR_KVM_UNSUPPORTED` when the host has no SEV, or for a command that this package does not know;
   * `ERR_KVM_STATE` for data of another size or with addresses of its own; `ERR_KVM_MEMORY_BOUNDS` for a pointer that is
   * not guest memory; `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED`
   */
  encryptOpSev(command: SevCommand): SevAnswer {
    only('x64', 'KVM_MEMORY_ENCRYPT_OP');
    const given = checkOptions('command', object('command', command) as SevCommand, [
      'id',
      'data',
      'sevFd',
      'pointers',
    ]);
    const id = integer('command.id', given.id, 0, 0xffff_ffff);
    const fd = integer('command.sevFd', given.sevFd ?? 0, 0, 0x7fff_ffff);
    const data =
      given.data === undefined ? new Uint8Array() : Uint8Array.from(checkBytes('command.data', given.data));
    const pointers = elements('command.pointers', given.pointers ?? [], POINTERS);
    const numbers = pointers.flatMap((one, index) => pointerNumbers(`command.pointers[${index}]`, one));
    const error = this.#native.encryptOpSev(id, fd, data, numbers);
    return { data, error };
  }

  /**
   * Says that guest memory may hold encrypted pages, which stay where they are (`KVM_MEMORY_ENCRYPT_REG_REGION`).
   *
   * @param guestAddress - Guest-physical; one region of memory must hold the range.
   * @throws `ERR_KVM_UNSUPPORTED` when the host does not encrypt; `ERR_KVM_MEMORY_BOUNDS`, `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED`
   */
  registerEncMemoryRegion(guestAddress: number, size: number): void {
    only('x64', 'KVM_MEMORY_ENCRYPT_REG_REGION');
    this.#encryptedRegion(guestAddress, size, true);
  }

  /** Undoes {@link registerEncMemoryRegion}; the range must be the same (`KVM_MEMORY_ENCRYPT_UNREG_REGION`). @throws As it. */
  unregisterEncMemoryRegion(guestAddress: number, size: number): void {
    only('x64', 'KVM_MEMORY_ENCRYPT_UNREG_REGION');
    this.#encryptedRegion(guestAddress, size, false);
  }

  #encryptedRegion(guestAddress: number, size: number, register: boolean): void {
    const at = checkAddress('guestAddress', guestAddress);
    this.#native.encryptedRegion(at, checkSize('size', size), register);
  }
}

function pointerNumbers(name: string, value: unknown): number[] {
  const given = checkOptions(name, object(name, value) as SevPointer, ['offset', 'guestAddress']);
  return [
    integer(`${name}.offset`, given.offset, 0, DATA_SIZE - 8),
    checkAddress(`${name}.guestAddress`, given.guestAddress),
  ];
}
