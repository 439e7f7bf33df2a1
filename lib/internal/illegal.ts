/** Classes that only this package makes: `new` from outside is refused as Node refuses it. */

/** Given to constructors by the package itself. */
export const KEY: unique symbol = Symbol('vmhatch');

/** Throws unless the constructor was called by the package. */
export function checkKey(key: unknown): void {
  if (key === KEY) return;
  const error: TypeError & { code?: string } = new TypeError('Illegal constructor');
  error.code = 'ERR_ILLEGAL_CONSTRUCTOR';
  throw error;
}
