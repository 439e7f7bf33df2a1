/** Pages of the host, by what the kernel tells each process: this package's own answer is what is tested with it. */
import { readFileSync } from 'node:fs';

/** `AT_PAGESZ` of the auxiliary vector, pairs of words that end with a zero (getauxval(3)). */
const AT_PAGESZ = 6n;

function readPageSize(): number {
  const bytes = readFileSync('/proc/self/auxv');
  for (let at = 0; at + 16 <= bytes.length; at += 16) {
    if (bytes.readBigUInt64LE(at) === AT_PAGESZ) return Number(bytes.readBigUInt64LE(at + 8));
  }
  throw new Error('the kernel does not say how large its pages are');
}

/** The size of a page of the host: what memory is mapped and logged in. 4096, but on some hosts of aarch64. */
export const PAGE = readPageSize();

/** Whole pages that have room for some bytes. */
export const wholePages = (size: number): number => Math.ceil(size / PAGE) * PAGE;
