/** How much is thrown, and from which seed: `npm run fuzz` says it by the environment. */

import { scaled } from '../../helpers/common-guests.ts';

/** What all property tests together throw in `npm test`. */
const DEFAULT_CASES = scaled(110_000);

function fromEnvironment(name: string, otherwise: () => number): number {
  const text = process.env[name];
  if (text === undefined || text === '') return otherwise();
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new Error(`${name} must be an integer, not ${text}`);
  return value;
}

/** All cases of a run. */
export const CASES = fromEnvironment('VMHATCH_FUZZ_CASES', () => DEFAULT_CASES);

/** Where the generators start; a failure prints it, and with it the same cases come again. */
export const SEED = fromEnvironment('VMHATCH_FUZZ_SEED', () => Math.floor(Math.random() * 2 ** 31));

/** A part of all cases, at least one. */
export function share(part: number): number {
  return Math.max(1, Math.ceil(CASES * part));
}

/** What a test logs, so that its cases can be had again. */
export function seedLine(cases: number, milliseconds: number): string {
  const seconds = (milliseconds / 1000).toFixed(1);
  return `${cases.toLocaleString('en')} cases in ${seconds} s; again with VMHATCH_FUZZ_SEED=${SEED}`;
}
