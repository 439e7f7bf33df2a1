/** Pages of the host: memory is mapped, logged and given away in whole ones. */
import { invalidArgValue } from './errors.ts';
import { native } from './native.ts';

let bytes: number | undefined;

/** The size of a page of the host, in bytes: 4096 on x86_64, on aarch64 as its kernel was built. */
export function pageSize(): number {
  return (bytes ??= native().pageSize());
}

/** An address or a size that is a multiple of the host's pages. */
export function wholePages(name: string, value: number): number {
  const page = pageSize();
  if (value % page !== 0) throw invalidArgValue(name, value, `must be a multiple of ${page}`);
  return value;
}
