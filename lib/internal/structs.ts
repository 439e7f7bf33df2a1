// Reads and writes the kernel's structures by the tables of lib/generated/structs.ts. x86_64 is little endian, and so
// is everything here.
import { bytes as checkedBytes } from './bytes.ts';
import { array, integer, isPlain, object, ownKeys, property, u64, unknownKey } from './check.ts';
import { invalidArgType, invalidArgValue, outOfRange } from './errors.ts';
import { bytesAt } from './struct-parts.ts';

/** Integers that a structure can hold, by the kernel's names. */
export type IntegerType = 'u8' | 'u16' | 'u32' | 'u64' | 'i64';

interface FieldPlace {
  /** Name in TypeScript. */
  readonly name: string;
  /** Bytes from the start of the structure. */
  readonly offset: number;
  /** How many, if it is an array. */
  readonly length?: number;
}

/** One field of a structure: an integer, bytes, or another structure; or an array of them. */
export type StructField = FieldPlace &
  (
    | { readonly type: IntegerType; readonly struct?: undefined }
    | { readonly type: 'bytes'; readonly size: number; readonly struct?: undefined }
    | { readonly type?: undefined; readonly struct: StructLayout }
  );

/** How a structure of the kernel lies in memory. */
export interface StructLayout<T = unknown> {
  /** Name in the kernel. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly fields: readonly StructField[];
  /** Reads it, faster than by its fields. */
  readonly read?: (view: DataView, at: number) => T;
  /** Never there: it carries the decoded type for the compiler. */
  readonly decoded?: T;
}

/** What may be given where a structure is changed: any part of it, and numbers for bigints. */
export type Patch<T> = T extends bigint
  ? bigint | number
  : T extends number
    ? number
    : T extends Uint8Array
      ? ArrayBufferView | ArrayBufferLike
      : T extends readonly (infer E)[]
        ? readonly Patch<E>[]
        : { readonly [K in keyof T]?: Patch<T[K]> | undefined };

const I64_LIMIT = 1n << 63n;
const U64_LIMIT = 1n << 64n;

function viewOf(layout: StructLayout, bytes: Uint8Array): DataView {
  if (bytes.byteLength < layout.size) {
    throw outOfRange('bytes.length', `>= ${layout.size} for ${layout.name}`, bytes.byteLength);
  }
  return new DataView(bytes.buffer, bytes.byteOffset, layout.size);
}

function widthOf(field: StructField): number {
  if (field.struct !== undefined) return field.struct.size;
  switch (field.type) {
    case 'u8':
      return 1;
    case 'u16':
      return 2;
    case 'u32':
      return 4;
    case 'bytes':
      return field.size;
    default:
      return 8;
  }
}

/**
 * Reads a structure from the start of `bytes` into a fresh object; bytes inside it are copies.
 *
 * @throws `ERR_OUT_OF_RANGE` if there are fewer bytes than the structure has
 */
export function decode<T>(layout: StructLayout<T>, bytes: Uint8Array): T {
  return decodeAt(layout, viewOf(layout, bytes), 0);
}

/** Reads structures that lie one after the other, as many as fit. */
export function decodeArray<T>(layout: StructLayout<T>, bytes: Uint8Array): T[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values: T[] = [];
  for (let at = 0; at + layout.size <= bytes.byteLength; at += layout.size) {
    values.push(decodeAt(layout, view, at));
  }
  return values;
}

function readStruct(layout: StructLayout, view: DataView, base: number): unknown {
  const value: Record<string, unknown> = {};
  for (const field of layout.fields) {
    const at = base + field.offset;
    if (field.length === undefined) {
      value[field.name] = readOne(field, view, at);
      continue;
    }
    const width = widthOf(field);
    const elements: unknown[] = [];
    for (let index = 0; index < field.length; index += 1) {
      elements.push(readOne(field, view, at + index * width));
    }
    value[field.name] = elements;
  }
  return value;
}

function readOne(field: StructField, view: DataView, at: number): unknown {
  if (field.struct !== undefined) return readStruct(field.struct, view, at);
  switch (field.type) {
    case 'u8':
      return view.getUint8(at);
    case 'u16':
      return view.getUint16(at, true);
    case 'u32':
      return view.getUint32(at, true);
    case 'u64':
      return view.getBigUint64(at, true);
    case 'i64':
      return view.getBigInt64(at, true);
    default:
      return bytesAt(view, at, field.size);
  }
}

/** `kvm_sregs` → `sregs`: what messages call a structure that has no other name. */
function shortName(layout: StructLayout): string {
  return layout.name.replace(/^kvm_/, '');
}

/**
 * Changes a structure at the start of `bytes`: what `value` has is written, what it lacks stays, in nested structures
 * too. An array must have all its elements. If anything is wrong, nothing is written.
 *
 * @param name - what messages call the value
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, and `ERR_INVALID_ARG_VALUE` for unknown keys and wrong lengths;
 * the message has the path: `sregs.cs.base`
 */
export function encode<T>(
  layout: StructLayout<T>,
  value: Patch<NoInfer<T>>,
  bytes: Uint8Array,
  name: string = shortName(layout),
): void {
  const current = viewOf(layout, bytes);
  const copy = new Uint8Array(layout.size);
  copy.set(new Uint8Array(current.buffer, current.byteOffset, layout.size));
  writeStruct(layout, value, { view: new DataView(copy.buffer) }, 0, name);
  bytes.set(copy);
}

/**
 * Checks a change of a structure now, to be made later: by then the caller's object may say something else, or do
 * something when it is read.
 *
 * @returns what makes the change in the structure's bytes, which begin at `from` (0 by default); once
 * @throws as {@link encode}
 */
export function preparePatch<T>(
  layout: StructLayout<T>,
  value: Patch<NoInfer<T>>,
  name: string,
): (bytes: Uint8Array, from?: number) => void {
  const pool = patchesOf(layout);
  const patch = pool.pop() ?? newPatch(layout.size);
  const { values, mask } = patch;
  try {
    writeStruct(layout, value, patch, 0, name);
  } catch (error) {
    mask.fill(0);
    pool.push(patch);
    throw error;
  }
  let used = false;
  return (bytes, from = 0) => {
    if (used) throw new Error('a patch is applied once');
    used = true;
    for (let at = 0; at < mask.length; at += 1) {
      if (mask[at] !== 0) bytes[from + at] = values[at]!;
    }
    mask.fill(0);
    pool.push(patch);
  };
}

interface PatchBytes {
  readonly values: Uint8Array;
  readonly mask: Uint8Array;
  readonly view: DataView;
  readonly marks: DataView;
}

/** Patches that were applied, by their layout: to make one is a large part of what a change costs. */
const patches = new Map<StructLayout, PatchBytes[]>();

function patchesOf(layout: StructLayout): PatchBytes[] {
  let pool = patches.get(layout);
  if (pool === undefined) {
    pool = [];
    patches.set(layout, pool);
  }
  return pool;
}

function newPatch(size: number): PatchBytes {
  const buffer = new ArrayBuffer(size * 2);
  const values = new Uint8Array(buffer, 0, size);
  const view = new DataView(buffer, 0, size);
  return { values, view, mask: new Uint8Array(buffer, size), marks: new DataView(buffer, size) };
}

/** Reads a structure at a place of a view. */
export function decodeAt<T>(layout: StructLayout<T>, view: DataView, at: number): T {
  return layout.read === undefined ? (readStruct(layout, view, at) as T) : layout.read(view, at);
}

/**
 * Writes structures one after the other into fresh bytes; what an element lacks is 0.
 *
 * @throws as {@link encode}, with the path `name[0].field`
 */
export function encodeArray<T>(
  layout: StructLayout<T>,
  values: readonly Patch<NoInfer<T>>[],
  name: string,
): Uint8Array {
  const elements = array(name, values);
  const count = integer(`${name}.length`, property(name, elements, 'length'), 0, 2 ** 24);
  const bytes = new Uint8Array(count * layout.size);
  const target = { view: new DataView(bytes.buffer) };
  for (let index = 0; index < count; index += 1) {
    const path = `${name}[${index}]`;
    writeStruct(layout, property(name, elements, index), target, index * layout.size, path);
  }
  return bytes;
}

/** Where a structure is written, and, if somebody asks, which of its bytes were. */
interface Target {
  readonly view: DataView;
  readonly mask?: Uint8Array;
  /** The mask as numbers of 8 bytes. */
  readonly marks?: DataView;
}

/** Eight bytes that were written. */
const MARKED = 0x0101_0101_0101_0101n;

type Fields = ReadonlyMap<string, StructField>;

/** The fields of each layout by name: made at its first use, since there are only so many layouts. */
const fieldsByLayout = new Map<StructLayout, Fields>();

function fieldsOf(layout: StructLayout): Fields {
  let fields = fieldsByLayout.get(layout);
  if (fields === undefined) {
    fields = new Map(layout.fields.map((field) => [field.name, field]));
    fieldsByLayout.set(layout, fields);
  }
  return fields;
}

function writeStruct(layout: StructLayout, value: unknown, target: Target, base: number, path: string): void {
  const source = object(path, value);
  const fields = fieldsOf(layout);
  const own = ownKeys(path, source);
  // An instance of a class may have its fields as accessors of the class, so all of them are asked for.
  const plain = isPlain(path, source);
  let empty = true;
  for (const key of plain ? own : new Set([...own, ...fields.keys()])) {
    const field = fields.get(key);
    if (field === undefined) throw unknownKey(path, key, [...fields.keys()]);
    const part = property(path, source, key);
    if (part === undefined) continue;
    empty = false;
    const at = base + field.offset;
    if (field.length !== undefined) {
      writeArray(field, field.length, part, target, at, `${path}.${key}`);
    } else if (field.type === 'u64' && typeof part === 'bigint' && part >= 0n && part < U64_LIMIT) {
      // What registers are, without the words for a mistake.
      target.view.setBigUint64(at, part, true);
      target.marks?.setBigUint64(at, MARKED, true);
    } else {
      writeOne(field, part, target, at, `${path}.${key}`);
    }
  }
  // `{}` changes nothing and may do so; a Map or an array that would change nothing was meant otherwise.
  if (empty && !plain) throw invalidArgType(path, `an object with fields of ${layout.name}`, value);
}

function writeArray(
  field: StructField,
  length: number,
  value: unknown,
  target: Target,
  at: number,
  path: string,
): void {
  // A BigUint64Array is as good as an array of bigints.
  const source = ArrayBuffer.isView(value) ? object(path, value) : array(path, value);
  const given = property(path, source, 'length');
  if (given !== length) throw invalidArgValue(path, value, `must have ${length} elements`);
  const width = widthOf(field);
  for (let index = 0; index < length; index += 1) {
    const here = `${path}[${index}]`;
    writeOne(field, property(path, source, index), target, at + index * width, here);
  }
}

function writeOne(field: StructField, value: unknown, target: Target, at: number, path: string): void {
  if (field.struct !== undefined) {
    writeStruct(field.struct, value, target, at, path);
    return;
  }
  const { view } = target;
  switch (field.type) {
    case 'u8':
      view.setUint8(at, integer(path, value, 0, 0xff));
      break;
    case 'u16':
      view.setUint16(at, integer(path, value, 0, 0xffff), true);
      break;
    case 'u32':
      view.setUint32(at, integer(path, value, 0, 0xffff_ffff), true);
      break;
    case 'u64':
      view.setBigUint64(at, u64(path, value), true);
      break;
    case 'i64':
      view.setBigInt64(at, i64(path, value), true);
      break;
    case 'bytes': {
      const source = checkedBytes(path, value);
      if (source.length !== field.size) throw invalidArgValue(path, value, `must have ${field.size} bytes`);
      new Uint8Array(view.buffer, view.byteOffset + at, field.size).set(source);
    }
  }
  target.mask?.fill(1, at, at + widthOf(field));
}

/** A signed 64-bit value: a bigint, or a number that is exact. */
function i64(name: string, value: unknown): bigint {
  if (typeof value === 'bigint') {
    if (value < -I64_LIMIT || value >= I64_LIMIT)
      throw outOfRange(name, '>= -(2n ** 63n) && < 2n ** 63n', value);
    return value;
  }
  return BigInt(integer(name, value));
}
