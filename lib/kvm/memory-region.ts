import { boolean, options as checkOptions } from '../internal/check.ts';
import { checkKey } from '../internal/illegal.ts';
import type { NativeVm } from '../internal/native.ts';
import type { ViewSet } from '../internal/view-set.ts';

/** Where a region lies and how the guest may use it. */
export interface RegionPlace {
  /** KVM's number for it. */
  readonly slot: number;
  /** Where the guest sees it. */
  readonly guestAddress: number;
  /** Its length in bytes. */
  readonly size: number;
  /** Whether the guest's writes become exits. */
  readonly readOnly: boolean;
  /** Whether KVM notes the guest's writes. */
  readonly logDirtyPages: boolean;
}

/** One region of guest memory, a memory slot of KVM. */
export class MemoryRegion implements RegionPlace, Disposable {
  readonly slot: number;
  readonly guestAddress: number;
  readonly size: number;
  readonly readOnly: boolean;
  readonly logDirtyPages: boolean;
  // The public fields can be overwritten by who ignores the types; what KVM is told cannot.
  readonly #place: RegionPlace;
  readonly #vm: NativeVm;
  readonly #views: ViewSet;
  readonly #onUnmap: () => void;
  #unmapped = false;

  /** @internal */
  constructor(key: symbol, vm: NativeVm, views: ViewSet, place: RegionPlace, onUnmap: () => void) {
    checkKey(key);
    this.#vm = vm;
    this.#views = views;
    this.#onUnmap = onUnmap;
    this.#place = place;
    this.slot = place.slot;
    this.guestAddress = place.guestAddress;
    this.size = place.size;
    this.readOnly = place.readOnly;
    this.logDirtyPages = place.logDirtyPages;
  }

  /** Whether the region is unmapped or its machine closed. */
  get closed(): boolean {
    return this.#unmapped || this.#vm.closed;
  }

  /**
   * The indices of the pages (of `vm.memory.pageSize` bytes) that were written since the last call: by the guest, if the region logs
   * dirty pages (`KVM_GET_DIRTY_LOG`, or the dirty rings), and by the host: `write()`, Rust devices, and every page under a window that
   * lives and is not read-only.
   *
   * @param options - `reset: false` keeps the record, so that the next call returns the same pages and more.
   * @returns Ascending; 0 is the region's first page.
   * @example
   * ```ts
   * const region = vm.memory.map({ guestAddress: 0, size: 0x4000, logDirtyPages: true });
   * vm.memory.write(0x2ffe, Uint8Array.of(1, 2, 3, 4));
   * region.dirtyPages(); // [2, 3]
   * region.dirtyPages(); // []
   * ```
   * @throws `ERR_KVM_CLOSED`, `ERR_KVM_IOCTL`
   */
  dirtyPages(options?: { reset?: boolean }): number[] {
    const { reset = true } = checkOptions('options', options, ['reset']);
    const record = boolean('options.reset', reset);
    return [...this.#vm.dirtyPages(this.#unmapped ? 0xffff_ffff : this.#place.slot, record)];
  }

  /** Takes the region from the guest. Its bytes are gone, and windows of it become empty. Twice is quiet. */
  unmap(): void {
    if (this.closed) return;
    this.#unmapped = true;
    this.#views.detach(this.#place.guestAddress, this.#place.size);
    this.#vm.unmapMemory(this.#place.slot);
    this.#onUnmap();
  }

  /** Takes the region from the guest at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.unmap();
  }
}
