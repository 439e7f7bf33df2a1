import { inspect } from 'node:util';

import type { KvmErrorCode } from '../generated/error-codes.ts';

/** What a {@link KvmError} knows beside its code and message. */
export interface KvmErrorDetails {
  /** The kernel's reason, positive, as in `errno.h`. */
  errno?: number;
  /** The call that the kernel refused: `'KVM_CREATE_VM'`, `'mmap'`. */
  syscall?: string;
  /** The error behind this one. */
  cause?: unknown;
}

/**
 * What the host could not do. Compare `code`, not the class: a code is the same in every realm and every release.
 *
 * @example
 * ```ts
 * try {
 *   new Kvm();
 * } catch (error) {
 *   if (error instanceof Error && 'code' in error && error.code === 'ERR_KVM_PERMISSION') process.exit(77);
 *   throw error;
 * }
 * ```
 */
export class KvmError extends Error {
  /** Which failure it is: docs/errors.md lists them all. */
  readonly code: KvmErrorCode;
  /** The kernel's reason, positive, as in `errno.h`; absent if the kernel was not asked. */
  declare readonly errno?: number;
  /** The call that the kernel refused; absent if the kernel was not asked. */
  declare readonly syscall?: string;

  /** @internal */
  constructor(code: KvmErrorCode, message: string, details: KvmErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.code = code;
    if (details.errno !== undefined) this.errno = details.errno;
    if (details.syscall !== undefined) this.syscall = details.syscall;
  }
}

// On the prototype, as the names of the language's own errors: not a property that printing an error shows.
Object.defineProperty(KvmError.prototype, 'name', {
  value: 'KvmError',
  configurable: true,
  writable: true,
});

/** What the native side calls to make its errors; `null` and `undefined` both mean that the kernel was not asked. */
export function makeNativeError(
  code: KvmErrorCode,
  message: string,
  errno?: number | null,
  syscall?: string | null,
): KvmError {
  return new KvmError(code, message, { errno: errno ?? undefined, syscall: syscall ?? undefined });
}

/** A wrong argument: an error of the language's own classes with a code of Node's. */
export type ArgumentError<E extends Error, Code extends string> = E & { code: Code };

function withCode<E extends Error, const Code extends string>(error: E, code: Code): ArgumentError<E, Code> {
  return Object.assign(error, { code });
}

/** Node speaks of the property of an options object, and of an argument otherwise. */
function kindOf(name: string): string {
  return /[.[]/.test(name) ? 'property' : 'argument';
}

/** How much of a value a message shows. */
const SHOWN_LENGTH = 128;

/** The value in a message. */
function shown(value: unknown): string {
  const clipped = typeof value === 'string' ? value.slice(0, SHOWN_LENGTH) : value;
  return guarded(value, () => {
    const text = inspect(clipped, { depth: -1, customInspect: false });
    return text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH)}...` : text;
  });
}

/** The value's type in a message, as Node says it. */
function described(value: unknown): string {
  return guarded(value, () => {
    if (value === null || value === undefined) return String(value);
    if (typeof value === 'function') return value.name === '' ? 'a function' : `function ${value.name}`;
    if (typeof value !== 'object') {
      const long = typeof value === 'string' && value.length > 28;
      return `type ${typeof value} (${shown(long ? `${value.slice(0, 25)}...` : value)})`;
    }
    const name: unknown = value.constructor?.name;
    return typeof name === 'string' && name !== '' ? `an instance of ${name}` : shown(value);
  });
}

/** A value may be anything, a proxy that throws at every touch included: then the message says less. */
function guarded(value: unknown, say: () => string): string {
  try {
    return say();
  } catch {
    return `a value of type ${typeof value}`;
  }
}

/**
 * An argument of the wrong type.
 *
 * @param expected - in words: `'of type number'`, `'an instance of Vcpu'`
 */
export function invalidArgType(
  name: string,
  expected: string,
  actual: unknown,
): ArgumentError<TypeError, 'ERR_INVALID_ARG_TYPE'> {
  const message = `The "${name}" ${kindOf(name)} must be ${expected}. Received ${described(actual)}`;
  return withCode(new TypeError(message), 'ERR_INVALID_ARG_TYPE');
}

/** Digits in groups, as Node writes large numbers. */
function grouped(digits: string): string {
  return digits.replace(/\B(?=(\d{3})+$)/g, '_');
}

/**
 * A number outside its range.
 *
 * @param range - in words: `'an integer'`, `'>= 0 && <= 65535'`
 */
export function outOfRange(
  name: string,
  range: string,
  received: unknown,
): ArgumentError<RangeError, 'ERR_OUT_OF_RANGE'> {
  let text = shown(received);
  if (typeof received === 'bigint') text = `${received < 0n ? '-' : ''}${grouped(text.replace(/\D/g, ''))}n`;
  else if (Number.isInteger(received) && Math.abs(Number(received)) > 2 ** 32) {
    text = text.replace(/^\d+$|(?<=^-)\d+$/, grouped);
  }
  const message = `The value of "${name}" is out of range. It must be ${range}. Received ${text}`;
  return withCode(new RangeError(message), 'ERR_OUT_OF_RANGE');
}

/**
 * A value of the right type that means nothing here.
 *
 * @param reason - in words that follow the name: `'is detached'`
 */
export function invalidArgValue(
  name: string,
  value: unknown,
  reason = 'is invalid',
  cause?: { cause: unknown },
): ArgumentError<TypeError, 'ERR_INVALID_ARG_VALUE'> {
  const message = `The ${kindOf(name)} '${name}' ${reason}. Received ${shown(value)}`;
  return withCode(new TypeError(message, cause), 'ERR_INVALID_ARG_VALUE');
}
