/** Which errors a call may throw. */
import { ERROR_CODES } from 'vmhatch';

const ARGUMENT_CODES = new Set([
  'ERR_INVALID_ARG_TYPE',
  'ERR_OUT_OF_RANGE',
  'ERR_INVALID_ARG_VALUE',
  'ERR_ILLEGAL_CONSTRUCTOR',
]);

/** What a call came to. */
export type Outcome = { readonly value: unknown } | { readonly error: unknown };

/** An error that code of the caller's threw: a handler, a listener. It passes through as it is. */
export class CallersOwnError extends Error {
  override readonly name = 'CallersOwnError';
}

/** What a proxy's trap throws. From an argument it must not get through; from a receiver nothing can be done. */
export class TrapError extends Error {
  override readonly name = 'TrapError';
}

/** Whether a call with a proper receiver may throw this. */
export function isTypedError(error: unknown): boolean {
  if (error instanceof CallersOwnError) return true;
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return false;
  // A fault of the library, even one that it caught.
  if (error.code === 'ERR_KVM_INTERNAL') return false;
  return ARGUMENT_CODES.has(error.code) || Object.hasOwn(ERROR_CODES, error.code);
}

/**
 * Whether a call may throw this whose receiver is of another class, or which lacks `new`: there the language itself
 * refuses with an error that has no code, as it does for `Map.prototype.get.call({})`.
 */
export function isLanguageError(error: unknown): boolean {
  if (error instanceof TrapError) return true;
  return (error instanceof TypeError || error instanceof RangeError) && !('code' in error);
}

/** Calls, and awaits what has to be awaited. */
export async function outcomeOf(call: () => unknown): Promise<Outcome> {
  try {
    return { value: await call() };
  } catch (error) {
    return { error };
  }
}

/** An error with what a person needs to see of it, for the report of a failed property. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return `something that is no Error: ${String(error)}`;
  const { code } = error as { code?: unknown };
  return `${error.name} [code ${String(code)}]: ${error.message}\n${error.stack ?? ''}`;
}
