import { formatBytes } from '../quantity.ts';
import { UsageError } from '../usage-error.ts';
import type { Placement, RamRange } from './layout.ts';

/** The end of the 32-bit address space: the reset vector is 16 bytes below. */
const top = 2 ** 32;
/** What a PC shows of its firmware below 1 MiB. */
const shadowSize = 128 * 1024;
const shadowEnd = 0x10_0000;
const smallest = 64 * 1024;
/** Below this lie the pages that KVM on Intel keeps for itself. */
const largest = 16 * 1024 * 1024;

export interface FirmwareLayout {
  /** Read-only for the guest, ending at 4 GiB: the vCPU's reset state begins at its last 16 bytes. */
  readonly rom: RamRange & { readonly bytes: Uint8Array };
  /** The image's end once more, ending at 1 MiB: real mode jumps there first. */
  readonly shadow: Placement;
}

/**
 * Where a PC's firmware image goes. The vCPU needs no set-up: its reset state is CS base 0xffff0000, IP 0xfff0.
 *
 * @throws UsageError when the size is no firmware's
 */
export function firmwareLayout(image: Uint8Array, memory: number): FirmwareLayout {
  if (image.length < smallest || image.length > largest || image.length % smallest !== 0) {
    throw new UsageError(
      `a firmware image has a multiple of 64 KiB, up to 16 MiB; this one has ${formatBytes(image.length)}`,
    );
  }
  if (memory < 2 * shadowEnd || memory > 0xc000_0000) {
    throw new UsageError('--memory: firmware wants from 2 MiB to 3 GiB');
  }
  const shadowed = image.subarray(-shadowSize);
  return {
    rom: { guestAddress: top - image.length, size: image.length, bytes: image },
    shadow: { address: shadowEnd - shadowed.length, bytes: shadowed },
  };
}
