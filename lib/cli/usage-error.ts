import { nearest } from '../internal/suggest.ts';

/** The person asked for something that cannot be done as asked: one line, exit status 2, never a stack. */
export class UsageError extends Error {
  readonly code = 'ERR_USAGE';

  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

/** ` (did you mean '--trace'?)`, or nothing: to be appended to a refusal. */
export function didYouMean(word: string, names: readonly string[]): string {
  const name = nearest(word, names);
  return name === undefined ? '' : ` (did you mean '${name}'?)`;
}
