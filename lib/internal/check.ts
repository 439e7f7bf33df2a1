// Checks of the arguments of public methods. Nothing is ever converted: `'1'`, `1.5`, `NaN` and an object with
// valueOf() are refused. Each gives back the value with its type, so that a caller uses what was checked.
import { types } from 'node:util';
import { bytes, bytesOrString } from './bytes.ts';
import { invalidArgType, invalidArgValue, outOfRange } from './errors.ts';
import { nearest } from './suggest.ts';

export { bytes, bytesOrString };
export type { BytesLike } from './bytes.ts';

/** Guest-physical addresses have 52 bits at most. */
export const ADDRESS_LIMIT = 2 ** 52;

const U64_LIMIT = 1n << 64n;

/** Node's timers reach as far: 24.8 days. */
const TIMEOUT_MAX = 2 ** 31 - 1;

/** An integer in a range, both ends included. `-0` is given back as 0. */
export function integer(
  name: string,
  value: unknown,
  min: number = Number.MIN_SAFE_INTEGER,
  max: number = Number.MAX_SAFE_INTEGER,
): number {
  if (typeof value !== 'number') throw invalidArgType(name, 'of type number', value);
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value);
  if (value < min || value > max) throw outOfRange(name, `>= ${min} && <= ${max}`, value);
  return value + 0;
}

/** An I/O port: 0 to 65535. */
export function port(name: string, value: unknown): number {
  return integer(name, value, 0, 0xffff);
}

/** A guest-physical address: 0 to 2^52 - 1. */
export function address(name: string, value: unknown): number {
  return integer(name, value, 0, ADDRESS_LIMIT - 1);
}

/** A number of bytes: 1 to 2^52, or from another minimum. */
export function size(name: string, value: unknown, min = 1): number {
  return integer(name, value, min, ADDRESS_LIMIT);
}

/** A 64-bit value: a bigint, or a number that is exact. */
export function u64(name: string, value: unknown): bigint {
  if (typeof value === 'number') return BigInt(integer(name, value, 0));
  if (typeof value !== 'bigint') throw invalidArgType(name, 'of type bigint or number', value);
  if (value < 0n || value >= U64_LIMIT) throw outOfRange(name, '>= 0n && < 2n ** 64n', value);
  return value;
}

/** `true` or `false`, not what counts as such. */
export function boolean(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw invalidArgType(name, 'of type boolean', value);
  return value;
}

/** A string, not a String object. */
export function string(name: string, value: unknown): string {
  if (typeof value !== 'string') throw invalidArgType(name, 'of type string', value);
  return value;
}

/** A function; its arguments are the caller's claim. */
export function func<F extends (...args: never[]) => unknown>(name: string, value: F | null | undefined): F {
  if (typeof value !== 'function') throw invalidArgType(name, 'of type function', value);
  return value;
}

/** One of a few values. */
export function oneOf<const T extends string | number | bigint | boolean>(
  name: string,
  value: unknown,
  allowed: readonly T[],
): T {
  const found = allowed.find((one) => one === value);
  if (found !== undefined) return found;
  const list = allowed.map((one) => (typeof one === 'string' ? `'${one}'` : String(one))).join(', ');
  const near = typeof value === 'string' ? nearest(value, allowed.map(String)) : undefined;
  const hint = near === undefined ? '' : `; did you mean '${near}'?`;
  throw invalidArgValue(name, value, `must be one of: ${list}${hint}`);
}

/** Any object or function that properties can be read from. */
export function object(name: string, value: unknown): object {
  if (typeof value !== 'object' || value === null) throw invalidArgType(name, 'of type object', value);
  return value;
}

/** An array of 64-bit words, and not what only says that it is one. */
export function wordArray(name: string, value: unknown): BigUint64Array {
  if (!types.isBigUint64Array(value)) throw invalidArgType(name, 'an instance of BigUint64Array', value);
  return value;
}

/** An array as the language sees it. */
export function array(name: string, value: unknown): readonly unknown[] {
  // A revoked proxy makes isArray() throw.
  const isArray = guarded(name, () => Array.isArray(value));
  if (!isArray) throw invalidArgType(name, 'an instance of Array', value);
  return value as readonly unknown[];
}

/**
 * The elements of an array, each read once.
 *
 * @param max - how many there may be: an array may claim billions without having them
 */
export function elements(name: string, value: unknown, max: number): unknown[] {
  const given = array(name, value);
  const length = integer(`${name}.length`, property(name, given, 'length'), 0, max);
  const list: unknown[] = [];
  for (let index = 0; index < length; index++) list.push(property(name, given, index));
  return list;
}

/** Runs code of the caller's (a getter, a proxy's trap); what it throws becomes the cause of an argument error. */
function guarded<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw invalidArgValue(name, undefined, 'cannot be read', { cause });
  }
}

/** A property of an object of the caller's, whose name is `name`; a getter that throws gives an argument error. */
export function property(name: string, value: object, key: string | number): unknown {
  try {
    return (value as Record<string | number, unknown>)[key];
  } catch (cause) {
    const path = typeof key === 'number' ? `${name}[${key}]` : `${name}.${key}`;
    throw invalidArgValue(path, undefined, 'cannot be read', { cause });
  }
}

/** The error for a key that an object should not have. */
export function unknownKey(name: string, key: string, keys: readonly string[]): TypeError {
  const near = nearest(key, keys);
  const hint = near === undefined ? `known are: ${keys.join(', ')}` : `did you mean '${near}'?`;
  return invalidArgValue(`${name}.${key}`, key, `is not known; ${hint}`);
}

/** The names of the properties that the object itself has and lists. */
export function ownKeys(name: string, value: object): string[] {
  return guarded(name, () => Object.keys(value));
}

/** Refuses keys that are not in the list, whatever their value. */
export function knownKeys(name: string, value: object, keys: readonly string[]): void {
  for (const key of ownKeys(name, value)) {
    if (!keys.includes(key)) throw unknownKey(name, key, keys);
  }
}

/** Made by `{}` or without a prototype: not an array, a Map, or an instance of a class. */
export function isPlain(name: string, value: object): boolean {
  return guarded(name, () => {
    const prototype: unknown = Object.getPrototypeOf(value);
    // Object.prototype of another realm has none itself.
    return prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null;
  });
}

/**
 * An options object, or `undefined` for none. Each option is read once, into a fresh object without a prototype:
 * what was checked afterwards is what is used. Options that are `undefined` are left out.
 * The values themselves are not checked: they have the type that the caller claimed.
 */
export function options<T extends object>(
  name: string,
  value: T | undefined,
  keys: readonly (keyof T & string)[],
): { [K in keyof T]: T[K] } {
  const copy = Object.create(null) as { [K in keyof T]: T[K] };
  if (value === undefined) return copy;
  object(name, value);
  if (!isPlain(name, value)) {
    throw invalidArgType(name, 'a plain object', value);
  }
  knownKeys(name, value, keys);
  for (const key of keys) {
    const option = property(name, value, key);
    if (option !== undefined) copy[key] = option as T[typeof key];
  }
  return copy;
}

/** A time to wait in milliseconds, fractions allowed: 0 to 2^31 - 1; `undefined` is none. */
export function timeoutMs(name: string, value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number') throw invalidArgType(name, 'of type number', value);
  if (!(value >= 0 && value <= TIMEOUT_MAX)) throw outOfRange(name, `>= 0 && <= ${TIMEOUT_MAX}`, value);
  return value + 0;
}

/** An `AbortSignal`, of this realm or another; `undefined` is none. */
export function signal(name: string, value: unknown): AbortSignal | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'object' && value !== null) {
    const aborted = property(name, value, 'aborted');
    const methods = ['addEventListener', 'removeEventListener', 'throwIfAborted'];
    const complete = methods.every((method) => typeof property(name, value, method) === 'function');
    if (typeof aborted === 'boolean' && complete) return value as AbortSignal;
  }
  throw invalidArgType(name, 'an instance of AbortSignal', value);
}

/** A class as far as `instanceof` needs it. */
export interface ClassLike<T> {
  readonly name: string;
  readonly prototype: T;
}

/**
 * An instance of a class of ours. A class that wants to be sure (an object may have its prototype without having been
 * constructed) gives itself a static `[Symbol.hasInstance]` that looks for a private field.
 */
export function instance<T extends object>(name: string, value: unknown, type: ClassLike<T>): T {
  const constructor = type as unknown as new () => T;
  if (!guarded(name, () => value instanceof constructor)) {
    throw invalidArgType(name, `an instance of ${type.name}`, value);
  }
  return value as T;
}
