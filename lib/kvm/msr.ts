import { elements, integer } from '../internal/check.ts';
import { encodeArray } from '../internal/structs.ts';
import { kvmMsrEntry, type KvmMsrEntry } from '../generated/structs.ts';

/** A model-specific register and its contents, `struct kvm_msr_entry`. */
export interface MsrEntry {
  /** The register's number, 0 to 2^32 - 1. */
  index: number;
  /** What it holds, 64 bits. */
  data: bigint;
}

/** Where the value is in `struct kvm_msr_entry`, behind the number and a reserved word. */
const DATA = 8;

/** More than there are, and few enough to be read. */
const ENTRIES = 0x1_0000;

/** @internal Reads MSRs by a call that fills the values into structures that have the numbers: those in `view` from `from` on. */
export function readMsrs(
  indices: readonly number[],
  place: (size: number) => { view: DataView; from: number; fill: () => void },
): MsrEntry[] {
  const list = elements('indices', indices, ENTRIES);
  for (let at = 0; at < list.length; at++) {
    const index = list[at];
    const plain = typeof index === 'number' && index >>> 0 === index;
    if (!plain) list[at] = integer(`indices[${at}]`, index, 0, 0xffff_ffff);
  }
  const { size } = kvmMsrEntry;
  const { view, from, fill } = place(list.length * size);
  for (let at = 0; at < list.length; at++) view.setUint32(from + at * size, list[at] as number, true);
  fill();
  const entries: MsrEntry[] = [];
  for (let at = 0; at < list.length; at++) {
    const start = from + at * size;
    entries.push({ index: view.getUint32(start, true), data: view.getBigUint64(start + DATA, true) });
  }
  return entries;
}

/** @internal A place of its own for them. */
export function msrPlace(
  size: number,
  fill: (target: Uint8Array) => void,
): { view: DataView; from: number; fill: () => void } {
  const target = new Uint8Array(size);
  return { view: new DataView(target.buffer), from: 0, fill: () => fill(target) };
}

/** @internal MSRs as bytes, checked. */
export function msrBytes(name: string, entries: readonly MsrEntry[]): Uint8Array {
  return encodeArray(kvmMsrEntry, elements(name, entries, ENTRIES) as KvmMsrEntry[], name);
}
