/** What lies inside of a structure and is no number. */

/** A copy of bytes inside of a structure. */
export function bytesAt(view: DataView, at: number, size: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, size).slice();
}

/** An array inside of a structure. */
export function listOf<T>(length: number, read: (index: number) => T): T[] {
  const list: T[] = [];
  for (let index = 0; index < length; index += 1) list.push(read(index));
  return list;
}
