import { elements, object } from '../internal/check.ts';
import { encodeArray } from '../internal/structs.ts';
import { kvmCpuidEntry2, type KvmCpuidEntry2 as CpuidEntry } from '../generated/structs.ts';

export type { CpuidEntry };

/** Numbers that an entry crosses as: function, index, flags, eax, ebx, ecx, edx. */
const NUMBERS = 7;

/** More than any kernel takes, and few enough to be read. */
const ENTRIES = 0x1_0000;

/** @internal Entries from the numbers that the native side gives. */
export function cpuidEntries(numbers: readonly number[]): CpuidEntry[] {
  return Array.from({ length: numbers.length / NUMBERS }, (_, entry) => {
    const [fn, index, flags, eax, ebx, ecx, edx] = numbers.slice(entry * NUMBERS);
    return { function: fn!, index: index!, flags: flags!, eax: eax!, ebx: ebx!, ecx: ecx!, edx: edx! };
  });
}

/** @internal The inverse of {@link cpuidEntries}, checked. */
export function cpuidNumbers(name: string, entries: unknown): number[] {
  const list = elements(name, entries, ENTRIES).map((entry, index) => object(`${name}[${index}]`, entry));
  const bytes = encodeArray(kvmCpuidEntry2, list as CpuidEntry[], name);
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const stride = kvmCpuidEntry2.size / 4;
  return Array.from({ length: list.length }, (_, entry) => [
    ...words.subarray(entry * stride, entry * stride + NUMBERS),
  ]).flat();
}
