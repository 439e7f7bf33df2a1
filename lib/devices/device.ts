/**
 * What a device written in JavaScript implements. All of it is optional: what is missing reads as all ones and drops
 * writes, as an empty bus does.
 *
 * Offsets are relative to the start of the range that the device was attached to. On the sync lanes the answers must
 * come at once; on the background lane they may be Promises, and only the vCPU that asked waits.
 *
 * @example
 * ```ts
 * const random: Device = {
 *   read: (_offset, size) => randomBytes(size).readUIntLE(0, size),
 * };
 * vm.io.attach({ base: 0x500, length: 4 }, random);
 * ```
 */
export interface Device {
  /** Answers a read of `size` (1, 2 or 4, on MMIO also 3) bytes. */
  read?(offset: number, size: number): number | Promise<number>;
  /** Takes a write of `size` bytes. */
  write?(offset: number, value: number, size: number): void | Promise<void>;
  /** Answers a read of 5 to 8 bytes; without it, it becomes two reads, low half first. */
  read64?(offset: number): bigint | Promise<bigint>;
  /** Takes a write of 5 to 8 bytes; without it, it becomes two writes, low half first. */
  write64?(offset: number, value: bigint): void | Promise<void>;
  /** The device's state, for snapshots. */
  save?(): DeviceState;
  /** Takes over a saved state. */
  restore?(state: DeviceState): void;
}

/** A device's state: what `save()` gives and `restore()` takes. */
export interface DeviceState {
  /** The kind of device that saved it. */
  readonly kind: string;
  /** The version of the encoding of `data`. */
  readonly version: number;
  /** The encoded state. */
  readonly data: Uint8Array;
}
