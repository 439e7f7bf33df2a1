import {
  address as checkAddress,
  boolean,
  bytes,
  bytesOrString,
  integer,
  object,
  oneOf,
  options as checkOptions,
  size as checkSize,
  string,
  u64,
} from '../internal/check.ts';
import { invalidArgType, invalidArgValue } from '../internal/errors.ts';
import { KEY, checkKey } from '../internal/illegal.ts';
import type { NativeVm } from '../internal/native.ts';
import { pageSize, wholePages } from '../internal/page.ts';
import type { ViewSet } from '../internal/view-set.ts';
import { nativeGuestMemfd, type GuestMemfd } from './guest-memfd.ts';
import { MemoryRegion } from './memory-region.ts';

/** Where a region's bytes come from: fresh memory, or a file of the host. */
export type Backing =
  | 'anonymous'
  | 'memfd'
  | {
      /** The file. */
      path: string;
      /** Where in the file the region starts, in bytes: a multiple of {@link GuestMemory.pageSize}, 0 by default. */
      offset?: number;
    };

/** What {@link GuestMemory.map} makes. */
export interface MapOptions {
  /** Where the guest sees it; a multiple of {@link GuestMemory.pageSize}. */
  guestAddress: number;
  /** Its length in bytes; a multiple of {@link GuestMemory.pageSize}. */
  size: number;
  /**
   * `'anonymous'` (the default) or `'memfd'` for fresh memory, or a file: `{ path, offset }`, the offset in bytes and a
   * multiple of {@link GuestMemory.pageSize}.
   */
  backing?: Backing;
  /** Whether writes reach the file, and others who map it. Default false: a private copy. */
  shared?: boolean;
  /** Whether the guest's writes become `mmioWrite` exits (`KVM_MEM_READONLY`). The host may write. Default false. */
  readOnly?: boolean;
  /** Whether KVM notes the guest's writes (`KVM_MEM_LOG_DIRTY_PAGES`). Default false. */
  logDirtyPages?: boolean;
  /**
   * Whether the host may use pages of 2 MiB for fresh memory (`MADV_HUGEPAGE`): fewer faults and faster address
   * translation, for memory that is taken 2 MiB at a time. On hosts of aarch64 whose pages have 16 KiB they have 32 MiB,
   * and 512 MiB with 64 KiB. A region that is smaller has none. Default false.
   */
  hugePages?: boolean;
  /**
   * Whether the guest sees it in system management mode, too, which has an address space of its own
   * (`KVM_CAP_MULTI_ADDRESS_SPACE`); what is written in that mode is in no log of dirty pages. Default false; needs
   * {@link Cap.X86Smm}.
   */
  smm?: boolean;
  /** KVM's number for the region. Default: the lowest free one. */
  slot?: number;
  /**
   * Private memory as the region's other side (`KVM_SET_USER_MEMORY_REGION2`): `vm.setMemoryAttributes()` says which side
   * the guest sees. Needs {@link Cap.GuestMemfd}.
   */
  guestMemfd?: GuestMemfd;
  /** Where in the private memory the region begins, in bytes: a multiple of {@link GuestMemory.pageSize}, 0 by default. */
  guestMemfdOffset?: number;
}

/** Where scalars are made into bytes and back. One for all machines: nothing runs between its two uses. */
const scratch = new DataView(new ArrayBuffer(8));
const scratchBytes: readonly Uint8Array[] = [1, 2, 4, 8].map(
  (length) => new Uint8Array(scratch.buffer, 0, length),
);
const KEYS = [
  'guestAddress',
  'size',
  'backing',
  'shared',
  'readOnly',
  'logDirtyPages',
  'hugePages',
  'smm',
  'slot',
  'guestMemfd',
  'guestMemfdOffset',
] as const;

/**
 * The memory of a virtual machine. Addresses are guest-physical. An access must lie in mapped memory as a whole; it may
 * cross from one region to the next.
 *
 * @example
 * ```ts
 * vm.memory.map({ guestAddress: 0, size: 0x10000 });
 * vm.memory.write(0x1000, Uint8Array.of(0xf4));
 * vm.memory.readUint8(0x1000); // 0xf4
 * ```
 */
export class GuestMemory {
  readonly #vm: NativeVm;
  readonly #views: ViewSet;
  readonly #regions = new Map<number, MemoryRegion>();

  /** @internal */
  constructor(key: symbol, vm: NativeVm, views: ViewSet) {
    checkKey(key);
    this.#vm = vm;
    this.#views = views;
  }

  /**
   * The size of a page of the host, in bytes: 4096 on x86_64; on aarch64 4, 16 or 64 KiB, as its kernel was built. Regions
   * are made of whole pages, and logs of dirty pages count them. The guest's own pages may be smaller.
   */
  get pageSize(): number {
    return pageSize();
  }

  /**
   * Adds a region (`KVM_SET_USER_MEMORY_REGION`).
   *
   * @example
   * ```ts
   * vm.memory.map({ guestAddress: 0x10_0000, size: 64 * 2 ** 20, backing: 'memfd', logDirtyPages: true });
   * ```
   * @throws `ERR_KVM_MEMORY_OVERLAP` when the addresses or the slot are taken.
   * @throws `ERR_KVM_MEMORY` when the file cannot be mapped or the host has no room.
   * @throws `ERR_KVM_UNSUPPORTED` for private memory on a host without it; `ERR_KVM_MEMORY_BOUNDS` when it is too short.
   * @throws `ERR_KVM_NO_SLOTS`, `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED`
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_VALUE`
   */
  map(options: MapOptions): MemoryRegion {
    const given = checkOptions('options', options, KEYS);
    const guestAddress = wholePages(
      'options.guestAddress',
      checkAddress('options.guestAddress', given.guestAddress),
    );
    const size = wholePages('options.size', checkSize('options.size', given.size));
    const readOnly = boolean('options.readOnly', given.readOnly ?? false);
    const logDirtyPages = boolean('options.logDirtyPages', given.logDirtyPages ?? false);
    const hugePages = boolean('options.hugePages', given.hugePages ?? false);
    const smm = boolean('options.smm', given.smm ?? false);
    const { memfd, path, offset } = checkBacking(given.backing ?? 'anonymous');
    const shared = boolean('options.shared', given.shared ?? false);
    const memfdPart =
      given.guestMemfd === undefined ? undefined : nativeGuestMemfd('options.guestMemfd', given.guestMemfd);
    const partOffset = wholePages(
      'options.guestMemfdOffset',
      checkAddress('options.guestMemfdOffset', given.guestMemfdOffset ?? 0),
    );
    const slot = this.#vm.mapMemory(
      given.slot === undefined ? -1 : integer('options.slot', given.slot, 0, 0x7fff),
      guestAddress,
      integer('options.size', size, pageSize(), 2 ** 52 - guestAddress),
      (memfd ? 1 : 0) |
        (shared ? 2 : 0) |
        (readOnly ? 4 : 0) |
        (logDirtyPages ? 8 : 0) |
        (hugePages ? 16 : 0) |
        (smm ? 32 : 0),
      path,
      offset,
      memfdPart,
      partOffset,
    );
    const place = { slot, guestAddress, size, readOnly, logDirtyPages };
    const region = new MemoryRegion(KEY, this.#vm, this.#views, place, () => this.#regions.delete(slot));
    this.#regions.set(slot, region);
    return region;
  }

  /** The regions, by guest address. Those of a closed machine are gone. */
  get regions(): readonly MemoryRegion[] {
    const known = [...this.#regions.values()].filter((region) => !region.closed);
    return known.toSorted((a, b) => a.guestAddress - b.guestAddress);
  }

  /**
   * Copies guest memory out.
   *
   * @param address - Guest-physical, 0 to 2^52 - 1.
   * @param length - Bytes; 0 gives an empty array if the address is mapped.
   * @throws `ERR_KVM_MEMORY_BOUNDS`, `ERR_KVM_CLOSED`, `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_TYPE`
   */
  read(address: number, length: number): Uint8Array {
    const from = checkAddress('address', address);
    const target = new Uint8Array(this.#bounded(from, length));
    this.#vm.readMemory(from, target);
    return target;
  }

  /**
   * Copies guest memory into `target`, all of it.
   *
   * @throws As {@link read}.
   */
  readInto(address: number, target: ArrayBufferView | ArrayBufferLike): void {
    this.#vm.readMemory(checkAddress('address', address), bytes('target', target));
  }

  /**
   * Copies bytes into guest memory. The pages count as dirty.
   *
   * @throws As {@link read}; nothing is written then.
   */
  write(address: number, source: ArrayBufferView | ArrayBufferLike): void {
    this.#vm.writeMemory(checkAddress('address', address), bytes('source', source));
  }

  /**
   * Fills a range with one byte, 0 by default.
   *
   * @throws As {@link read}.
   */
  fill(address: number, length: number, byte = 0): void {
    const from = checkAddress('address', address);
    this.#vm.fillMemory(from, checkSize('length', length, 0), integer('byte', byte, 0, 0xff));
  }

  /**
   * The address of the first occurrence of `pattern` (a string as UTF-8) that lies wholly in `start`..`end`; memory that
   * is not mapped is passed over.
   *
   * @param options - `start` (0 by default) and `end` (2^52 by default) in guest-physical bytes; `end` is not searched.
   * @returns undefined when it is nowhere.
   * @example The ACPI root pointer, where a BIOS puts it:
   * ```ts
   * vm.memory.map({ guestAddress: 0, size: 0x10_0000 });
   * vm.memory.find('RSD PTR ', { start: 0xe_0000, end: 0x10_0000 }); // undefined: no BIOS has run
   * ```
   * @throws `ERR_KVM_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` for an empty pattern.
   */
  find(
    pattern: ArrayBufferView | ArrayBufferLike | string,
    options?: { start?: number; end?: number },
  ): number | undefined {
    const wanted = bytesOrString('pattern', pattern);
    if (wanted.length === 0) throw invalidArgValue('pattern', pattern, 'must not be empty');
    const { start = 0, end = 2 ** 52 } = checkOptions('options', options, ['start', 'end']);
    const from = checkSize('options.start', start, 0);
    return this.#vm.findMemory(wanted, from, checkSize('options.end', end, 0)) ?? undefined;
  }

  /**
   * A window that aliases guest memory: no copy. It must lie in one region. It becomes empty when the region is unmapped
   * or the machine is closed. As long as a window lives that is not `readOnly`, its pages count as dirty; to write
   * through one that is `readOnly` is a mistake that a dirty log will not show.
   *
   * Make windows of what you need: each counts towards V8's idea of memory in use.
   *
   * @param length - Bytes, 1 or more.
   * @example
   * ```ts
   * vm.memory.map({ guestAddress: 0xb_8000, size: 0x8000 });
   * const screen = vm.memory.view(0xb_8000, 80 * 25 * 2, { readOnly: true });
   * const letters = screen.filter((_byte, index) => index % 2 === 0);
   * ```
   * @throws `ERR_KVM_MEMORY_BOUNDS`, `ERR_KVM_CLOSED`
   * @throws `ERR_KVM_EXTERNAL_BUFFERS` where the runtime forbids such buffers, or for one that is too large (4 GiB on
   *   Node 20).
   */
  view(address: number, length: number, options?: { readOnly?: boolean }): Uint8Array {
    const from = checkAddress('address', address);
    const many = checkSize('length', length);
    const { readOnly = false } = checkOptions('options', options, ['readOnly']);
    const buffer = this.#vm.viewMemory(from, many, boolean('options.readOnly', readOnly)) as ArrayBuffer;
    this.#views.add(buffer, from);
    return new Uint8Array(buffer);
  }

  /** Reads one byte. @throws As {@link read}. */
  readUint8(address: number): number {
    return this.#load(address, 0).getUint8(0);
  }

  /** Reads 16 bits, little-endian. @throws As {@link read}. */
  readUint16(address: number): number {
    return this.#load(address, 1).getUint16(0, true);
  }

  /** Reads 32 bits, little-endian. @throws As {@link read}. */
  readUint32(address: number): number {
    return this.#load(address, 2).getUint32(0, true);
  }

  /** Reads 64 bits, little-endian. @throws As {@link read}. */
  readBigUint64(address: number): bigint {
    return this.#load(address, 3).getBigUint64(0, true);
  }

  /** Writes one byte. @throws As {@link read}. */
  writeUint8(address: number, value: number): void {
    scratch.setUint8(0, integer('value', value, 0, 0xff));
    this.write(address, scratchBytes[0]!);
  }

  /** Writes 16 bits, little-endian. @throws As {@link read}. */
  writeUint16(address: number, value: number): void {
    scratch.setUint16(0, integer('value', value, 0, 0xffff), true);
    this.write(address, scratchBytes[1]!);
  }

  /** Writes 32 bits, little-endian. @throws As {@link read}. */
  writeUint32(address: number, value: number): void {
    scratch.setUint32(0, integer('value', value, 0, 0xffff_ffff), true);
    this.write(address, scratchBytes[2]!);
  }

  /** Writes 64 bits, little-endian. @throws As {@link read}. */
  writeBigUint64(address: number, value: number | bigint): void {
    scratch.setBigUint64(0, u64('value', value), true);
    this.write(address, scratchBytes[3]!);
  }

  #load(address: number, sizeIndex: number): DataView {
    this.#vm.readMemory(checkAddress('address', address), scratchBytes[sizeIndex]!);
    return scratch;
  }

  /** A length for which a buffer may be made: of memory that exists. */
  #bounded(address: number, length: number): number {
    const many = checkSize('length', length, 0);
    this.#vm.checkMemory(address, many);
    return many;
  }
}

function checkBacking(backing: unknown): { memfd: boolean; path: string | undefined; offset: number } {
  if (typeof backing === 'string') {
    const kind = oneOf('options.backing', backing, ['anonymous', 'memfd']);
    return { memfd: kind === 'memfd', path: undefined, offset: 0 };
  }
  if (typeof backing !== 'object' || backing === null) {
    throw invalidArgType('options.backing', 'one of anonymous, memfd, { path, offset }', backing);
  }
  const file = object('options.backing', backing) as { path: string; offset?: number };
  const { path, offset = 0 } = checkOptions('options.backing', file, ['path', 'offset']);
  const checked = string('options.backing.path', path);
  if (checked === '' || checked.includes('\0')) {
    throw invalidArgValue('options.backing.path', path, 'must be a path');
  }
  const at = wholePages('options.backing.offset', checkSize('options.backing.offset', offset, 0));
  return { memfd: false, path: checked, offset: at };
}
