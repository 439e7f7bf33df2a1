import { MSR_FILTER } from '../generated/flags.ts';
import {
  boolean,
  bytes,
  elements,
  integer,
  object,
  oneOf,
  options as checkOptions,
} from '../internal/check.ts';
import { invalidArgValue, outOfRange } from '../internal/errors.ts';

/** MSRs that follow each other, and a bit for each. */
export interface MsrFilterRange {
  /** The first MSR, 0 to 2^32 - 1. */
  readonly base: number;
  /** How many, 1 to 12288. */
  readonly count: number;
  /** A bit for each, 8 a byte, the lowest first, in `ceil(count / 8)` bytes: 1 lets the guest through, 0 does not. */
  readonly bitmap: ArrayBufferView | ArrayBufferLike;
  /** Whether it is about reads. Default true. */
  readonly read?: boolean;
  /** Whether it is about writes. Default true. */
  readonly write?: boolean;
}

/** Which MSRs the guest may touch: `struct kvm_msr_filter`. */
export interface MsrFilter {
  /** What becomes of MSRs that no range has. Default `'allow'`. `'deny'` needs a range. */
  readonly defaultAction?: 'allow' | 'deny';
  /** Up to 16 ranges; none by default. */
  readonly ranges?: readonly MsrFilterRange[];
}

/** A filter as it crosses: three numbers a range, and the bits of all. */
export interface FilterNumbers {
  deny: boolean;
  numbers: number[];
  bits: Uint8Array;
}

/** MSRs that the largest bitmap has bits for. */
const COUNT = MSR_FILTER.MAX_BITMAP_SIZE * 8;

/** @internal A filter, checked. */
export function filterNumbers(filter: MsrFilter): FilterNumbers {
  const given = checkOptions('filter', object('filter', filter) as MsrFilter, ['defaultAction', 'ranges']);
  const action = oneOf('filter.defaultAction', given.defaultAction ?? 'allow', ['allow', 'deny']);
  const ranges = elements('filter.ranges', given.ranges ?? [], MSR_FILTER.MAX_RANGES);
  const checked = ranges.map((range, index) => checkRange(`filter.ranges[${index}]`, range));
  const bits = new Uint8Array(checked.reduce((length, { bitmap }) => length + bitmap.length, 0));
  let at = 0;
  for (const { bitmap } of checked) {
    bits.set(bitmap, at);
    at += bitmap.length;
  }
  const numbers = checked.flatMap(({ flags, base, count }) => [flags, base, count]);
  return { deny: action === 'deny', numbers, bits };
}

function checkRange(
  name: string,
  range: unknown,
): { flags: number; base: number; count: number; bitmap: Uint8Array } {
  const given = checkOptions(name, range as MsrFilterRange, ['base', 'count', 'bitmap', 'read', 'write']);
  const base = integer(`${name}.base`, given.base, 0, 0xffff_ffff);
  const count = integer(`${name}.count`, given.count, 1, Math.min(COUNT, 2 ** 32 - base));
  const bitmap = bytes(`${name}.bitmap`, given.bitmap);
  const size = Math.ceil(count / 8);
  if (bitmap.length !== size) {
    throw outOfRange(`${name}.bitmap.length`, `${size} for ${count} MSRs`, bitmap.length);
  }
  const read = boolean(`${name}.read`, given.read ?? true);
  const write = boolean(`${name}.write`, given.write ?? true);
  if (!read && !write) throw invalidArgValue(name, range, 'must be about reads or writes');
  const flags = (read ? MSR_FILTER.READ : 0) | (write ? MSR_FILTER.WRITE : 0);
  return { flags, base, count, bitmap };
}

/**
 * The filter that keeps a guest from these MSRs and lets it through to all others.
 *
 * @param options - `read`, `write`: which accesses; both by default.
 * @example Writes of two MSRs come as exits:
 * ```ts
 * vm.setUserSpaceMsr({ filter: true });
 * vm.setMsrFilter(denyMsrs([0x174, 0xc000_0080], { read: false }));
 * ```
 * @throws `ERR_OUT_OF_RANGE` for MSRs that do not fit into 16 ranges of 12288; `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`
 */
export function denyMsrs(
  indices: readonly number[],
  options?: { read?: boolean; write?: boolean },
): MsrFilter {
  const { read = true, write = true } = checkOptions('options', options, ['read', 'write']);
  const list = elements('indices', indices, MSR_FILTER.MAX_RANGES * COUNT);
  const sorted = list.map((index, at) => integer(`indices[${at}]`, index, 0, 0xffff_ffff));
  sorted.sort((a, b) => a - b);
  const groups: { base: number; last: number; denied: number[] }[] = [];
  for (const index of sorted) {
    const group = groups.at(-1);
    if (group !== undefined && index - group.base < COUNT) {
      group.last = index;
      group.denied.push(index);
    } else {
      groups.push({ base: index, last: index, denied: [index] });
    }
  }
  if (groups.length > MSR_FILTER.MAX_RANGES) {
    throw outOfRange('indices', `in at most ${MSR_FILTER.MAX_RANGES} ranges of ${COUNT}`, groups.length);
  }
  const reads = boolean('options.read', read);
  const writes = boolean('options.write', write);
  const ranges = groups.map(({ base, last, denied }) => {
    const count = last - base + 1;
    const bitmap = new Uint8Array(Math.ceil(count / 8)).fill(0xff);
    for (const index of denied) bitmap[(index - base) >> 3]! &= ~(1 << ((index - base) & 7));
    return { base, count, bitmap, read: reads, write: writes };
  });
  return { defaultAction: 'allow', ranges };
}
