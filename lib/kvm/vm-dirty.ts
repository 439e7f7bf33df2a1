import { boolean, bytes, integer, oneOf, options as checkOptions, wordArray } from '../internal/check.ts';
import { invalidArgValue } from '../internal/errors.ts';
import type { NativeVm } from '../internal/native.ts';
import { VmArm64 } from './vm-arm64.ts';

/** How `vm.enableDirtyRing()` makes the rings. */
export interface DirtyRingOptions {
  /**
   * The entries of each vCPU's ring, one a page that it wrote: a power of two, from `vm.memory.pageSize / 16` (256 where
   * pages have 4 KiB) to `kvm.checkExtensionInt(Cap.DirtyLogRingAcqRel) / 16`. The kernel keeps some of them for itself
   * (64; on Intel hosts 512 more, so that the least is 1024 there).
   */
  entries: number;
  /**
   * What becomes of a vCPU whose ring is full. `'collect'`, the default: the run loop takes the rings' pages into the
   * regions' records and goes on, and no JavaScript runs. `'exit'`: a `dirtyRingFull` exit, whose handler calls
   * `vm.harvestDirtyRings()` and `vm.resetDirtyRings()`.
   */
  whenFull?: 'collect' | 'exit';
}

/** The dirty pages of one region. */
export interface DirtyPages {
  /** The region's slot. */
  readonly slot: number;
  /** Indices of pages in the region, ascending, each once; 0 is the region's first page. */
  readonly pages: Uint32Array;
}

/** The part of a slot's log that `vm.clearDirtyLog()` clears. */
export interface ClearDirtyLogOptions {
  /** The region's slot. */
  slot: number;
  /** The page that the first bit stands for: a multiple of 64, 0 by default. */
  firstPage?: number;
  /**
   * How many pages: a multiple of 64, or to the end of the region. By default as many as the bitmap has bits and the
   * region has pages.
   */
  pages?: number;
  /** One bit a page, as `vm.getDirtyLog()` gives it; those that are set are cleared in the log. */
  bitmap: ArrayBufferView | ArrayBufferLike;
}

/** Which pages the guest wrote: KVM's log, and its rings. `Vm` is made of it. */
export abstract class VmDirtyMemory extends VmArm64 {
  readonly #native: NativeVm;
  /** A function without a class costs less to call, which counts beside an ioctl of two microseconds. */
  #readLog: ((slot: number, target: BigUint64Array) => void) | undefined;

  /** @internal */
  constructor(key: symbol, nativeVm: NativeVm) {
    super(key, nativeVm);
    this.#native = nativeVm;
  }

  /**
   * KVM's own log of the pages that the guest wrote, one bit a page; the call clears it, unless
   * {@link enableManualDirtyLogProtect} says otherwise (`KVM_GET_DIRTY_LOG`). For the host's writes as well, see
   * `MemoryRegion.dirtyPages`.
   *
   * @param target - Where the log goes, to use an array again: as many words as an earlier result has.
   * @returns 64 pages a word, the first in the lowest bit.
   * @throws `ERR_KVM_IOCTL` with `ENOENT` for a slot that keeps no log, `ENXIO` with dirty rings; `ERR_KVM_STATE` for a
   *   target of another size; `ERR_KVM_CLOSED`
   */
  getDirtyLog(slot: number, target?: BigUint64Array): BigUint64Array {
    const number = integer('slot', slot, 0, 0x7fff);
    const log =
      target === undefined
        ? new BigUint64Array(this.#native.dirtyLogSize(number) / 8)
        : wordArray('target', target);
    this.#readLog ??= this.#native.dirtyLogFunction() as (slot: number, target: BigUint64Array) => void;
    this.#readLog(number, log);
    return log;
  }

  /**
   * Makes reading KVM's log and clearing it two steps (`KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2`): {@link getDirtyLog} leaves
   * it as it is, {@link clearDirtyLog} clears the part that was dealt with. Pages are protected anew in small portions
   * that way, instead of a whole region while the guest waits. `MemoryRegion.dirtyPages` works as before.
   *
   * @param options - `initiallySet`: the log of a region that is mapped from now on begins with all pages dirty, and
   *   KVM protects none of them before they are cleared for the first time. Default false.
   * @example
   * ```ts
   * vm.enableManualDirtyLogProtect();
   * const { slot } = vm.memory.map({ guestAddress: 0, size: 0x40_0000, logDirtyPages: true });
   * const bitmap = vm.getDirtyLog(slot);
   * vm.clearDirtyLog({ slot, bitmap });
   * ```
   * @throws `ERR_KVM_UNSUPPORTED`, `ERR_KVM_IOCTL`, `ERR_KVM_CLOSED`
   */
  enableManualDirtyLogProtect(options?: { initiallySet?: boolean }): void {
    const { initiallySet = false } = checkOptions('options', options, ['initiallySet']);
    this.#native.setManualProtect(true, boolean('options.initiallySet', initiallySet));
  }

  /**
   * Clears pages in KVM's log and lets KVM log them again (`KVM_CLEAR_DIRTY_LOG`). Clear first, then read the pages: what
   * the guest writes meanwhile is in the next log. Works whether or not {@link enableManualDirtyLogProtect} was called.
   *
   * @throws `ERR_KVM_IOCTL` with `ENOENT` for a slot that keeps no log, `EINVAL` for pages that the region does not have
   *   or that are no multiple of 64, `ENXIO` with dirty rings.
   * @throws `ERR_KVM_UNSUPPORTED`, `ERR_KVM_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`
   */
  clearDirtyLog(options: ClearDirtyLogOptions): void {
    const given = checkOptions('options', options, ['slot', 'firstPage', 'pages', 'bitmap']);
    const slot = integer('options.slot', given.slot, 0, 0x7fff);
    const firstPage = integer('options.firstPage', given.firstPage ?? 0, 0, 0x7fff_ffff);
    const pages =
      given.pages === undefined ? undefined : integer('options.pages', given.pages, 1, 0x7fff_ffff);
    const bitmap = bytes('options.bitmap', given.bitmap);
    if (bitmap.length % 8 !== 0 || bitmap.length === 0) {
      throw invalidArgValue('options.bitmap', given.bitmap, 'must have whole words of 8 bytes, one or more');
    }
    if (pages !== undefined && pages > bitmap.length * 8) {
      throw invalidArgValue('options.bitmap', given.bitmap, `must have ${pages} bits, one for each page`);
    }
    this.#native.clearDirtyLog(slot, firstPage, pages, bitmap);
  }

  /**
   * Gives each vCPU a ring in which KVM notes the pages that it writes, in regions with `logDirtyPages`
   * (`KVM_CAP_DIRTY_LOG_RING_ACQ_REL`, or `KVM_CAP_DIRTY_LOG_RING` on older x86_64 hosts). To find what was written then
   * costs by the number of writes, not by the size of memory. {@link getDirtyLog} does not work any more;
   * `MemoryRegion.dirtyPages` does. Once, before the first vCPU; on aarch64 also before memory is mapped, because the
   * kernel's own writes need a log beside the rings (`KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP`).
   *
   * @example
   * ```ts
   * vm.enableDirtyRing({ entries: 4096 });
   * vm.memory.map({ guestAddress: 0, size: 64 * 2 ** 20, logDirtyPages: true });
   * vm.createVcpu().run();
   * for (const { slot, pages } of vm.harvestDirtyRings()) console.log(`slot ${slot}: ${pages.length} pages`);
   * vm.resetDirtyRings();
   * ```
   * @throws `ERR_KVM_IOCTL` with `E2BIG` for more entries than the host allows, `EINVAL` for too few of them, for a
   *   second call, and after the first vCPU.
   * @throws `ERR_KVM_UNSUPPORTED`, `ERR_KVM_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`
   */
  enableDirtyRing(options: DirtyRingOptions): void {
    const given = checkOptions('options', options, ['entries', 'whenFull']);
    const entries = integer('options.entries', given.entries, 1, 2 ** 27);
    if ((entries & (entries - 1)) !== 0) {
      throw invalidArgValue('options.entries', given.entries, 'must be a power of two');
    }
    const whenFull = oneOf('options.whenFull', given.whenFull ?? 'collect', ['collect', 'exit']);
    this.#native.enableDirtyRing(entries, whenFull === 'exit');
  }

  /** The entries of each vCPU's dirty ring, those that the kernel keeps included; 0 without rings. */
  get dirtyRingEntries(): number {
    return this.#native.dirtyRingEntries();
  }

  /**
   * Takes the pages that the rings of all vCPUs hold, and those that the host wrote: what was written since the last
   * call, of every region that has any. vCPUs may run meanwhile. KVM does not note a page again before
   * {@link resetDirtyRings}: call that next, and read the pages after it, or writes in between go unseen.
   *
   * On Intel hosts a running vCPU has up to 512 pages in a buffer of the processor: the last harvest comes after a kick.
   *
   * @throws `ERR_KVM_DIRTY_RING` when KVM has run over the end of a ring, so that written pages are not known: take all
   *   as written. KVM keeps room for what a processor does at once; hosts that emulate the guest's instructions (KVM-PVM)
   *   may not look at the ring for thousands of them.
   * @throws `ERR_KVM_IOCTL` with `EINVAL` without {@link enableDirtyRing}; `ERR_KVM_CLOSED`
   */
  harvestDirtyRings(): DirtyPages[] {
    const numbers = this.#native.harvestDirtyRings();
    const regions: DirtyPages[] = [];
    for (let at = 0; at < numbers.length;) {
      const end = at + 2 + numbers[at + 1]!;
      // The pages of the only region need no array of their own: nobody else has this one.
      const alone = at === 0 && end === numbers.length;
      const pages = alone ? numbers.subarray(2) : numbers.slice(at + 2, end);
      regions.push({ slot: numbers[at]!, pages });
      at = end;
    }
    return regions;
  }

  /**
   * Gives harvested entries back to KVM, which notes their pages again from then on (`KVM_RESET_DIRTY_RINGS`).
   *
   * @returns How many entries there were.
   * @throws As {@link harvestDirtyRings}.
   */
  resetDirtyRings(): number {
    return this.#native.resetDirtyRings();
  }
}
