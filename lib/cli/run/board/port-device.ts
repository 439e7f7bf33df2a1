/**
 * A device on the board that `run` makes, written in Rust or in TypeScript: as much of a `Device` as a port needs,
 * and always answered at once.
 */
export interface PortDevice {
  /** Answers a read of 1, 2 or 4 bytes. */
  read(offset: number, size: number): number;
  write(offset: number, value: number, size: number): void;
}

/** A device and the ports that it answers. */
export interface PortEntry {
  readonly base: number;
  readonly length: number;
  readonly device: PortDevice;
}
