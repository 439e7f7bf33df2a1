/** What the guests of the exit benchmarks do, and what every peer of them agrees on. */

export const exitKinds = [
  'pioOut',
  'pioIn',
  'mmioRead',
  'mmioWrite',
  'hlt',
  'ioeventfd',
  'coalesced',
] as const;

export type ExitKind = (typeof exitKinds)[number];

/** A block is 63 accesses and a marker. With ioeventfd and coalesced, "an exit" in a report is one of the 64 writes. */
export const exitsPerBlock = 64;

/** What the guest reads, from every peer. */
export const answer = 0x5a;
