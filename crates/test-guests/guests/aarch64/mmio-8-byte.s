// Reads 8 bytes from MMIO with one instruction and writes them back with another.
//
// Loaded and entered at 0x1000. 0x10000 to 0x1000f must not be mapped.
// Exits: MMIO read of 8 bytes at 0x10000, MMIO write of the same value at 0x10008; system event, shutdown.
.include "power-off.inc"
.org 0x1000
start:
    mov x9, #0x10000
    ldr x1, [x9]
    str x1, [x9, #8]
    power_off
