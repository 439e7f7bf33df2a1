import { array, integer } from '../internal/check.ts';
import { decodeArray, encodeArray } from '../internal/structs.ts';
import { kvmMsrEntry, type KvmMsrEntry } from '../generated/structs.ts';

/** A model-specific register and its contents, `struct kvm_msr_entry`. */
export type MsrEntry = Pick<KvmMsrEntry, 'index' | 'data'>;

/** @internal Reads MSRs through a native call that fills an array of structures. */
export function readMsrs(
  indices: readonly number[],
  fill: (indices: number[], target: Uint8Array) => void,
): MsrEntry[] {
  const checked = array('indices', indices).map((index, at) => integer(`indices[${at}]`, index, 0, 0xffff_ffff));
  const target = new Uint8Array(checked.length * kvmMsrEntry.size);
  fill(checked, target);
  return decodeArray(kvmMsrEntry, target).map(({ index, data }) => ({ index, data }));
}

/** @internal MSRs as bytes, checked. */
export function msrBytes(name: string, entries: readonly MsrEntry[]): Uint8Array {
  return encodeArray(kvmMsrEntry, array(name, entries) as KvmMsrEntry[], name);
}
