import { elements, integer } from '../internal/check.ts';
import { decodeArray, encodeArray } from '../internal/structs.ts';
import { kvmMsrEntry, type KvmMsrEntry } from '../generated/structs.ts';

/** A model-specific register and its contents, `struct kvm_msr_entry`. */
export interface MsrEntry {
  /** The register's number, 0 to 2^32 - 1. */
  index: number;
  /** What it holds, 64 bits. */
  data: bigint;
}

/** More than there are, and few enough to be read. */
const ENTRIES = 0x1_0000;

/** @internal Reads MSRs through a native call that fills an array of structures. */
export function readMsrs(
  indices: readonly number[],
  fill: (indices: number[], target: Uint8Array) => void,
): MsrEntry[] {
  const list = elements('indices', indices, ENTRIES);
  const checked = list.map((index, at) => integer(`indices[${at}]`, index, 0, 0xffff_ffff));
  const target = new Uint8Array(checked.length * kvmMsrEntry.size);
  fill(checked, target);
  return decodeArray(kvmMsrEntry, target).map(({ index, data }) => ({ index, data }));
}

/** @internal MSRs as bytes, checked. */
export function msrBytes(name: string, entries: readonly MsrEntry[]): Uint8Array {
  return encodeArray(kvmMsrEntry, elements(name, entries, ENTRIES) as KvmMsrEntry[], name);
}
