import { UsageError } from './usage-error.ts';

const units: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  kib: 2 ** 10,
  m: 2 ** 20,
  mib: 2 ** 20,
  g: 2 ** 30,
  gib: 2 ** 30,
};

const spelling = /^(?:(0x[0-9a-f]+)|(\d+)\s*(b|k|kib|m|mib|g|gib)?)$/i;

/**
 * Bytes, or an address: `4096`, `0x1000`, `64KiB`, `16M`. Units are powers of two.
 *
 * @param what - the option's name, for the refusal
 * @throws UsageError when it is not spelled so, or is above 2^52 - 1, the last guest-physical address
 */
export function parseQuantity(text: string, what: string): number {
  const match = spelling.exec(text.trim());
  if (match === null) {
    throw new UsageError(`${what}: '${text}' is no number of bytes; write 4096, 0x1000, 64KiB or 16MiB`);
  }
  const number = Number(match[1] ?? match[2]) * units[(match[3] ?? '').toLowerCase()]!;
  if (!(number < 2 ** 52))
    throw new UsageError(`${what}: ${text} is beyond the 52 bits of a guest-physical address`);
  return number;
}

/** A whole number above zero, as `--max-exits` wants it. */
export function parseCount(text: string, what: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : 0;
  if (!Number.isSafeInteger(count) || count < 1)
    throw new UsageError(`${what}: '${text}' is no whole number above 0`);
  return count;
}

/** Seconds, fractions allowed, as milliseconds; at least one. */
export function parseSeconds(text: string, what: string): number {
  const ms = /^(\d+\.?\d*|\.\d+)$/.test(text) ? Math.round(Number(text) * 1000) : 0;
  // setTimeout, which keeps the time, holds 31 bits of milliseconds.
  if (ms < 1 || ms >= 2 ** 31) throw new UsageError(`${what}: '${text}' is no number of seconds above 0`);
  return ms;
}

/** `0x3f8`: how addresses, ports and registers are written everywhere in the CLI. */
export function hex(value: number | bigint, digits = 0): string {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}

/** Bytes in the largest unit that keeps them readable: `16 MiB`, `7.7 GiB`. */
export function formatBytes(bytes: number): string {
  for (const [size, name] of [
    [2 ** 40, 'TiB'],
    [2 ** 30, 'GiB'],
    [2 ** 20, 'MiB'],
    [2 ** 10, 'KiB'],
  ] as const) {
    if (bytes >= size) {
      const value = bytes / size;
      return `${Number.isInteger(value) ? value : value.toFixed(1)} ${name}`;
    }
  }
  return `${bytes} bytes`;
}

/** A span of time: `12.3 ms`, `1.52 s`. */
export function formatMs(ms: number): string {
  return ms < 1000 ? `${ms.toFixed(1)} ms` : `${(ms / 1000).toFixed(2)} s`;
}
