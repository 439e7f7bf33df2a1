/**
 * Where a machine's parts are on aarch64: guest-physical addresses and interrupts. docs/boot.md draws it, and
 * crates/boot/src/aarch64/layout.rs says the same to the device tree.
 */

/** The first byte of RAM. */
export const RAM_START = 0x4000_0000;

/** Registers of the interrupt controller: GICv3, and GICv2 where the host has no other. */
export const GIC = {
  distributor: 0x800_0000,
  cpuInterface: 0x801_0000,
  its: 0x808_0000,
  redistributors: 0x80a_0000,
} as const;

/** The first register of each device of the machine. */
export const DEVICES = {
  serial: 0x900_0000,
  rtc: 0x901_0000,
  serial2: 0x904_0000,
  bootTimer: 0x905_0000,
  pvpanic: 0x906_0000,
} as const;

/** Their interrupts: SPIs, counted from 0. */
export const INTERRUPTS = { com1: 1, rtc: 2, com2: 8 } as const;

/** Device windows of a caller's must lie in here. */
export const DEVICE_WINDOWS = { start: 0xa00_0000, end: 0x3800_0000 } as const;

/** The SPIs that devices of a caller's may have. */
export const DEVICE_LINES = { first: 16, last: 255 } as const;

/** Interrupts of the GIC in all: 32 of each vCPU's own, and the SPIs. */
export const GIC_INTERRUPTS = 288;

/** The first SPI in the GIC's own numbering. */
export const FIRST_SPI = 32;

/** The most vCPUs of a machine, and of one with a GICv2. */
export const MAX_CPUS = 32;
export const GIC_V2_MAX_CPUS = 8;

/** The RAM of a machine. */
export function ramRanges(memory: number): { guestAddress: number; size: number }[] {
  return [{ guestAddress: RAM_START, size: memory }];
}
