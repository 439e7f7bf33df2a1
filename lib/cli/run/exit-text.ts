import type { Exit } from '../../kvm/exits.ts';
import { hex } from '../quantity.ts';
import { internalErrorName } from './internal-error.ts';

/** Bytes as a trace shows them: at most this many, then an ellipsis. */
const shownBytes = 16;

/** `48 69 21`. */
export function bytesText(bytes: Uint8Array): string {
  const digits = Array.from(bytes.subarray(0, shownBytes), (byte) => byte.toString(16).padStart(2, '0'));
  return digits.join(' ') + (bytes.length > shownBytes ? ' …' : '');
}

/** `48 69 21  "Hi!"`: what is written to a port is often text. */
function writtenText(bytes: Uint8Array): string {
  const shown = bytes.subarray(0, shownBytes);
  const printable = shown.every((byte) => byte === 0x0a || (byte >= 0x20 && byte < 0x7f));
  return printable
    ? `${bytesText(bytes)}  ${JSON.stringify(String.fromCharCode(...shown))}`
    : bytesText(bytes);
}

/** Where the exit happened, and how wide the access was: `0x03f8/1`, `0xe0000000/4 ×3`. Empty for the kinds without. */
export function placeText(exit: Exit): string {
  switch (exit.kind) {
    case 'ioIn':
    case 'ioOut':
      return `${hex(exit.port, 4)}/${exit.size}${exit.count > 1 ? ` ×${exit.count}` : ''}`;
    case 'mmioRead':
    case 'mmioWrite':
      return `${hex(exit.address, 8)}/${exit.size}`;
    case 'x86Rdmsr':
    case 'x86Wrmsr':
      return `msr ${hex(exit.index, 8)}`;
    case 'memoryFault':
      return `${hex(exit.gpa, 8)}/${exit.size}`;
    default:
      return '';
  }
}

function valueBytes(value: bigint, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, index) => Number((value >> BigInt(8 * index)) & 0xffn));
}

/** What the exit carries besides its place, in words and numbers. */
export function detailText(exit: Exit): string {
  switch (exit.kind) {
    case 'ioOut':
      return writtenText(exit.data);
    case 'mmioWrite':
      return bytesText(valueBytes(exit.value64, exit.size));
    case 'internalError':
      return `${internalErrorName(exit.suberror)}${exit.instruction === undefined ? '' : ` at ${bytesText(exit.instruction)}`}`;
    case 'failEntry':
      return `hardware reason ${hex(exit.hardwareEntryFailureReason)}, cpu ${exit.cpu}`;
    case 'exception':
      return `vector ${exit.exception}, error code ${hex(exit.errorCode)}`;
    case 'debug':
      return `vector ${exit.exception}, pc ${hex(exit.pc)}, dr6 ${hex(exit.dr6)}`;
    case 'x86Wrmsr':
      return hex(exit.data);
    case 'systemEvent':
      return `type ${exit.type}`;
    case 'hypercall':
      return `nr ${exit.nr}`;
    case 'unknown':
      return `reason ${exit.reason}`;
    default:
      return '';
  }
}
