/** Where a machine's parts are: guest-physical addresses, ports and interrupt lines. docs/boot.md draws it. */

/** The size of a page of x86_64 in bytes. */
export const PAGE = 4096;

/** RAM below 4 GiB ends here at most; devices are between it and {@link RAM_ABOVE_HOLE}. */
export const LOW_RAM_END = 0xc000_0000;

/** RAM goes on here. */
export const RAM_ABOVE_HOLE = 2 ** 32;

/** The first byte of a boot timer that a guest reaches through memory, as in Firecracker. */
export const BOOT_TIMER_ADDRESS = 0xd000_0000;

/** Device windows of a caller's must lie in here: above the boot timer, below the IOAPIC. */
export const DEVICE_WINDOWS = { start: 0xd000_1000, end: 0xfec0_0000 } as const;

/** A page that KVM needs on older Intel processors, then three for a task state segment. */
export const IDENTITY_MAP_ADDRESS = 0xfeff_c000;
export const TSS_ADDRESS = IDENTITY_MAP_ADDRESS + 0x1000;

/** Firmware ends at 4 GiB and begins above the pages before it. */
export const FIRMWARE_LIMIT = 16 * 2 ** 20;

/** Ports: first port and number of ports. */
export const PORTS = {
  com1: { base: 0x3f8, length: 8 },
  com2: { base: 0x2f8, length: 8 },
  i8042: { base: 0x60, length: 5 },
  cmos: { base: 0x70, length: 2 },
  bootTimer: { base: 0x3f0, length: 1 },
  pvpanic: { base: 0x505, length: 1 },
  acpiPower: { base: 0x600, length: 3 },
} as const;

/** Interrupt lines of the ISA devices. */
export const INTERRUPTS = { com1: 4, com2: 3 } as const;

/** The lines of the IOAPIC. */
export const INTERRUPT_LINES = 24;

/** The most vCPUs of a machine. */
export const MAX_CPUS = 32;

/** The RAM of a machine: below the hole, and what does not fit there from 4 GiB on. */
export function ramRanges(memory: number): { guestAddress: number; size: number }[] {
  const low = { guestAddress: 0, size: Math.min(memory, LOW_RAM_END) };
  if (memory <= LOW_RAM_END) return [low];
  return [low, { guestAddress: RAM_ABOVE_HOLE, size: memory - LOW_RAM_END }];
}
