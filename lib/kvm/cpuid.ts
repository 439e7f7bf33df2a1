import type { CpuidEntry } from './cpuid-entry.ts';
import { sourceBytes } from './cpuid-table.ts';
import { kvmCpuidEntry2 } from '../generated/structs.ts';

export type { CpuidEntry };

/** @internal Numbers that an entry crosses as: function, index, flags, eax, ebx, ecx, edx. */
export const CPUID_NUMBERS = 7;

/** @internal Entries from the numbers that the native side gives. */
export function cpuidEntries(numbers: readonly number[]): CpuidEntry[] {
  return Array.from({ length: numbers.length / CPUID_NUMBERS }, (_, entry) => {
    const [fn, index, flags, eax, ebx, ecx, edx] = numbers.slice(entry * CPUID_NUMBERS);
    return { function: fn!, index: index!, flags: flags!, eax: eax!, ebx: ebx!, ecx: ecx!, edx: edx! };
  });
}

/** @internal The inverse of {@link cpuidEntries}, checked; takes a table as well. */
export function cpuidNumbers(name: string, entries: unknown): number[] {
  const bytes = sourceBytes(name, entries);
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const stride = kvmCpuidEntry2.size / 4;
  return Array.from({ length: words.length / stride }, (_, entry) => [
    ...words.subarray(entry * stride, entry * stride + CPUID_NUMBERS),
  ]).flat();
}
