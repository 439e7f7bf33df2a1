/** The guest `write-pages`, in pages of the host: as many as fill the smallest dirty ring once. */
import type { Vcpu } from '../../index.ts';
import { enter } from './common-guests.ts';
import { PAGE } from './page.ts';

/** KVM's smallest ring has a page of the host's, and 16 bytes an entry. (Intel hosts keep more entries to themselves.) */
export const ENTRIES = PAGE / 16;

/** What of that is the guest's: KVM stops it when no more than 64 entries are left (`KVM_DIRTY_RING_RSVD_ENTRIES`). */
export const ROOM = ENTRIES - 64;

const FIRST = 0x10;
/** More than a ring has room for, and less than it has room for twice. On x86_64 the guest knows it by itself: 224. */
const COUNT = ENTRIES - 32;

/** The pages that it writes in a lap. */
export const WRITTEN: readonly number[] = Array.from({ length: COUNT }, (_, index) => FIRST + index);

/** Behind the last of them, in bytes. */
export const END_OF_WRITTEN = (FIRST + COUNT) * PAGE;

/**
 * After each page the guest says so here. After the last page it reads behind it: the end of a lap. What is below may be
 * memory.
 */
export const PROGRESS = { base: END_OF_WRITTEN + 0x10 * PAGE, length: 4 };

/** Brings a vCPU to its entry. */
export function enterWritePages(vcpu: Vcpu): void {
  enter(vcpu, 'write-pages', {
    own: FIRST * PAGE,
    value: END_OF_WRITTEN,
    step: PAGE,
    other: PROGRESS.base,
  });
}
