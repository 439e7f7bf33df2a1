/**
 * The pages that a vCPU shares with JavaScript, as typed arrays made once: KVM's `struct kvm_run` with its data,
 * then the control page, then the posted page. Indices are computed here, so the run loop only reads and writes.
 */
import { CONTROL, POSTED } from '../generated/control-page.ts';
import { RUN } from '../generated/run-page.ts';

const PAGE_BYTES = 4096;

/** The part of the control page that describes the current exit; the counters follow. */
const HEAD_BYTES = 64;

/** Indices into {@link RunView.access}, and {@link ACCESS.offset} into {@link RunView.accessOffset}. */
export const ACCESS = {
  route: CONTROL.route / 4,
  size: CONTROL.size / 4,
  count: CONTROL.count / 4,
  dataOffset: CONTROL.dataOffset / 4,
  offset: CONTROL.offset / 8,
  postedCount: CONTROL.postedCount / 4,
  openAccess: CONTROL.openAccess / 4,
  stopCode: CONTROL.stopCode / 4,
  stopDevice: CONTROL.stopDevice / 4,
} as const;

/** One vCPU's shared pages. After a close all arrays are empty. */
export class RunView {
  readonly buffer: ArrayBuffer;
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly data: DataView;

  /** Where the control page starts, in bytes. */
  readonly control: number;
  /** The head of the control page, so that the hot path reads it at constant indices: {@link ACCESS}. */
  readonly access: Uint32Array;
  /** The same head, for the offset in a device's range. */
  readonly accessOffset: Float64Array;
  /** Where the posted page starts, in bytes. */
  readonly posted: number;
  /** Where structures change hands, in bytes. */
  readonly exchange: number;
  readonly #closed: number;

  constructor(buffer: ArrayBuffer, controlOffset: number) {
    this.buffer = buffer;
    this.u8 = new Uint8Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.data = new DataView(buffer);
    this.control = controlOffset;
    this.access = new Uint32Array(buffer, controlOffset, HEAD_BYTES / 4);
    this.accessOffset = new Float64Array(buffer, controlOffset, HEAD_BYTES / 8);
    this.posted = controlOffset + PAGE_BYTES;
    this.exchange = controlOffset + CONTROL.exchange.offset;
    this.#closed = (controlOffset + CONTROL.closed) / 4;
  }

  /** Whether the vCPU is closed, here or in another isolate. */
  get closed(): boolean {
    // Of pages that are gone it is undefined.
    return this.u32[this.#closed] !== 0;
  }

  /** Where the data of the port access is, in bytes. */
  get ioData(): number {
    // The offset is 64 bits wide and far below 2^32; reading the low half allocates no bigint.
    return this.u32[RUN.io.dataOffset / 4]!;
  }

  /** One element of 1, 2 or 4 bytes, little-endian; of other sizes the low 4 bytes at most. */
  load(at: number, size: number): number {
    if (size === 1) return this.u8[at]!;
    if (size === 2) return this.data.getUint16(at, true);
    if (size >= 4) return this.data.getUint32(at, true);
    return this.u8[at]! | (this.u8[at + 1]! << 8) | (this.u8[at + 2]! << 16);
  }

  /** All of up to 8 bytes. */
  load64(at: number, size: number): bigint {
    const value = this.data.getBigUint64(at, true);
    return size >= 8 ? value : BigInt.asUintN(size * 8, value);
  }

  /** Stores one element of up to 4 bytes. */
  store(at: number, size: number, value: number): void {
    if (size === 1) {
      this.u8[at] = value;
    } else if (size === 2) {
      this.data.setUint16(at, value, true);
    } else if (size === 4) {
      this.data.setUint32(at, value, true);
    } else {
      for (let byte = 0; byte < size; byte++) this.u8[at + byte] = byte < 4 ? value >>> (byte * 8) : 0;
    }
  }

  /** Stores one element of up to 8 bytes. */
  store64(at: number, size: number, value: bigint): void {
    if (size === 8) {
      this.data.setBigUint64(at, value, true);
      return;
    }
    for (let byte = 0; byte < size; byte++) this.u8[at + byte] = Number((value >> BigInt(byte * 8)) & 0xffn);
  }

  /** A counter of the control page. */
  counter(offset: number): bigint {
    return this.u8.length === 0 ? 0n : this.data.getBigUint64(this.control + offset, true);
  }

  /** Where posted write `index` starts, in bytes. */
  postedEntry(index: number): number {
    return this.posted + index * POSTED.stride;
  }
}
