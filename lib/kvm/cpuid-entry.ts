import { elements, object } from '../internal/check.ts';
import { decodeArray, encodeArray } from '../internal/structs.ts';
import { kvmCpuidEntry2, type KvmCpuidEntry2 as CpuidEntry } from '../generated/structs.ts';

export type { CpuidEntry };

/** The four registers that `cpuid` fills. */
export interface CpuidRegisters {
  /** 0 to 2^32 - 1. */
  eax: number;
  /** 0 to 2^32 - 1. */
  ebx: number;
  /** 0 to 2^32 - 1. */
  ecx: number;
  /** 0 to 2^32 - 1. */
  edx: number;
}

/** `KVM_CPUID_FLAG_SIGNIFCANT_INDEX` of `<asm/kvm.h>`, in its spelling: the leaf has sub-leaves. */
export const HAS_INDEX = 1;

/** More than any kernel takes, and few enough to be read. */
const ENTRIES = 0x1_0000;

/** @internal An array of entries as bytes, checked; what an entry lacks is 0. */
export function cpuidBytes(name: string, entries: unknown): Uint8Array {
  const list = elements(name, entries, ENTRIES).map((entry, index) => object(`${name}[${index}]`, entry));
  return encodeArray(kvmCpuidEntry2, list as CpuidEntry[], name);
}

/** @internal Copies of the entries of an array, checked. */
export function copyEntries(name: string, entries: unknown): CpuidEntry[] {
  return decodeArray(kvmCpuidEntry2, cpuidBytes(name, entries));
}

/** @internal Whether an entry answers for a leaf, as `cpuid_entry2_find()` of arch/x86/kvm/cpuid.c decides it. */
export function answers(entry: CpuidEntry, leaf: number, index: number): boolean {
  return entry.function === leaf && ((entry.flags & HAS_INDEX) === 0 || entry.index === index);
}
