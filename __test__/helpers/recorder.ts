/** A device of a test, which notes what it is asked. */
import type { Device } from '../../index.ts';

/** One access: what it was, where, of which value and size. */
export type Access = [
  what: 'read' | 'write' | 'read64' | 'write64',
  offset: number,
  value?: number | bigint,
  size?: number,
];

/** A device that notes its accesses and answers reads with their offset, or from a list. */
export function recorder(log: Access[], answers: number[] = []): Device {
  return {
    read: (offset, size) => {
      log.push(['read', offset, undefined, size]);
      return answers.shift() ?? offset;
    },
    write: (offset, value, size) => void log.push(['write', offset, value, size]),
  };
}
