// Reads and writes the kernel's structures by the tables of lib/generated/structs.ts. x86_64 is little endian, and so
// is everything here.
import { bytes as checkedBytes } from './bytes.ts';
import { array, integer, isPlain, object, ownKeys, property, u64, unknownKey } from './check.ts';
import { invalidArgType, invalidArgValue, outOfRange } from './errors.ts';
import { bytesAt } from './struct-parts.ts';
import { StructPatch } from './struct-patch.ts';

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
  /** All fields of a whole value in their order, read faster than one by one; registers have it. */
  readonly parts?: (value: never) => unknown[];
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
  const view = viewOf(layout, bytes);
  preparePatch(layout, value, name)(view);
}

/**
 * Checks a change of a structure now, to be made later: by then the caller's object may say something else, or do
 * something when it is read.
 *
 * @returns what makes the change in the structure, which begins at `from` of the view (0 by default); once
 * @throws as {@link encode}
 */
export function preparePatch<T>(
  layout: StructLayout<T>,
  value: Patch<NoInfer<T>>,
  name: string,
): (target: DataView, from?: number) => void {
  const plan = planOf(layout);
  const patch = writtenPatch(plan, value, name);
  let used = false;
  return (target, from = 0) => {
    if (used) throw new Error('a patch is applied once');
    used = true;
    patch.apply(target, from);
    plan.spare.push(patch);
  };
}

function writtenPatch(plan: Plan, value: unknown, name: string): StructPatch {
  const patch = plan.spare.pop() ?? new StructPatch(plan.layout.size);
  try {
    writeStruct(plan, value, patch, 0, name);
  } catch (error) {
    patch.clear();
    plan.spare.push(patch);
    throw error;
  }
  return patch;
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
  const view = new DataView(bytes.buffer);
  const plan = planOf(layout);
  for (let index = 0; index < count; index += 1) {
    const patch = writtenPatch(plan, property(name, elements, index), `${name}[${index}]`);
    patch.apply(view, index * layout.size);
    plan.spare.push(patch);
  }
  return bytes;
}

/** One field as writing wants it: all of them of one shape. */
interface Place {
  readonly name: string;
  readonly offset: number;
  readonly field: StructField;
  /** One unsigned number of 64 bits: what registers are. */
  readonly isU64: boolean;
}

/** What writing a layout needs: made at its first use, since there are only so many layouts. */
interface Plan {
  readonly layout: StructLayout;
  /** In the kernel's order. */
  readonly places: readonly Place[];
  readonly byName: ReadonlyMap<string, Place>;
  /** Patches that were applied: to make one is a large part of what a change costs. */
  readonly spare: StructPatch[];
}

const plans = new Map<StructLayout, Plan>();

function planOf(layout: StructLayout): Plan {
  let plan = plans.get(layout);
  if (plan === undefined) {
    const places = layout.fields.map((field): Place => {
      const { name, offset, type, length } = field;
      return { name, offset, field, isU64: type === 'u64' && length === undefined };
    });
    plan = { layout, places, byName: new Map(places.map((place) => [place.name, place])), spare: [] };
    plans.set(layout, plan);
  }
  return plan;
}

function writeStruct(plan: Plan, value: unknown, target: StructPatch, base: number, path: string): void {
  const source = object(path, value);
  const { places, byName } = plan;
  const own = ownKeys(path, source);
  // An instance of a class may have its fields as accessors of the class, so all of them are asked for.
  const plain = isPlain(path, source);
  const parts = plain ? wholeParts(plan, source, own) : undefined;
  if (parts !== undefined) {
    for (let index = 0; index < parts.length; index += 1) {
      writePart(places[index]!, parts[index], target, base, path);
    }
    return;
  }
  const keys = plain ? own : [...new Set([...own, ...byName.keys()])];
  let empty = true;
  for (let index = 0; index < keys.length; index += 1) {
    const key = keys[index]!;
    // Objects that we gave have the fields in the same order.
    const guess = places[index];
    const place = guess !== undefined && guess.name === key ? guess : byName.get(key);
    if (place === undefined) throw unknownKey(path, key, [...byName.keys()]);
    const part = property(path, source, key);
    if (part === undefined) continue;
    empty = false;
    writePart(place, part, target, base, path);
  }
  // `{}` changes nothing and may do so; a Map or an array that would change nothing was meant otherwise.
  if (empty && !plain) throw invalidArgType(path, `an object with fields of ${plan.layout.name}`, value);
}

/** Writes one field; `undefined` leaves it as it is. */
function writePart(place: Place, part: unknown, target: StructPatch, base: number, path: string): void {
  const at = base + place.offset;
  // Without the words for a mistake.
  if (place.isU64 && typeof part === 'bigint' && part >= 0n && part < U64_LIMIT) target.setU64(at, part);
  else if (part !== undefined) writeField(place.field, part, target, at, `${path}.${place.name}`);
}

/** The parts of a value that has all fields in their order, as those have that we gave. */
function wholeParts({ layout, places }: Plan, source: object, own: readonly string[]): unknown[] | undefined {
  if (layout.parts === undefined || own.length !== places.length) return undefined;
  for (let index = 0; index < own.length; index += 1) {
    if (own[index] !== places[index]!.name) return undefined;
  }
  try {
    return layout.parts(source as never);
  } catch {
    // Read one by one they tell which of them it is.
    return undefined;
  }
}

function writeField(field: StructField, value: unknown, target: StructPatch, at: number, path: string): void {
  if (field.length === undefined) {
    writeOne(field, value, target, at, path);
    return;
  }
  // A BigUint64Array is as good as an array of bigints.
  const source = ArrayBuffer.isView(value) ? object(path, value) : array(path, value);
  const given = property(path, source, 'length');
  if (given !== field.length) throw invalidArgValue(path, value, `must have ${field.length} elements`);
  const width = widthOf(field);
  for (let index = 0; index < field.length; index += 1) {
    const here = `${path}[${index}]`;
    writeOne(field, property(path, source, index), target, at + index * width, here);
  }
}

function writeOne(field: StructField, value: unknown, target: StructPatch, at: number, path: string): void {
  if (field.struct !== undefined) {
    writeStruct(planOf(field.struct), value, target, at, path);
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
      new Uint8Array(view.buffer, at, field.size).set(source);
    }
  }
  target.wrote(at, widthOf(field));
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
