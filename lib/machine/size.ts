import { invalidArgType, invalidArgValue, outOfRange } from '../internal/errors.ts';
import { ADDRESS_LIMIT } from '../internal/check.ts';

/** A number of bytes, or a string as people write it: `'512MiB'`, `'5GiB'`, `'64K'`. Units are powers of two. */
export type ByteSize = number | string;

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  K: 2 ** 10,
  KIB: 2 ** 10,
  M: 2 ** 20,
  MIB: 2 ** 20,
  G: 2 ** 30,
  GIB: 2 ** 30,
};

/** The bytes that a size names. */
export function byteSize(name: string, value: unknown): number {
  if (typeof value === 'string') return written(name, value);
  if (typeof value !== 'number') {
    throw invalidArgType(name, 'a number of bytes or a string such as 512MiB', value);
  }
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value);
  if (value < 0 || value > ADDRESS_LIMIT) throw outOfRange(name, `>= 0 && <= ${ADDRESS_LIMIT}`, value);
  return value;
}

function written(name: string, text: string): number {
  const match = /^\s*(\d+)\s*([KMG](?:iB)?|B)?\s*$/i.exec(text);
  if (match === null) throw invalidArgValue(name, text, 'must be a size such as 512MiB, 5GiB or 4096');
  return byteSize(name, Number(match[1]) * UNITS[(match[2] ?? '').toUpperCase()]!);
}

/** Bytes in the largest unit that keeps them readable: `16 MiB`, `7.7 GiB`. */
export function readableSize(bytes: number): string {
  for (const [size, unit] of [
    [2 ** 30, 'GiB'],
    [2 ** 20, 'MiB'],
    [2 ** 10, 'KiB'],
  ] as const) {
    if (bytes >= size) return `${Number((bytes / size).toFixed(1))} ${unit}`;
  }
  return `${bytes} bytes`;
}
