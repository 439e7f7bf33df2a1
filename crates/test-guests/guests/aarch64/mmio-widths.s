// Writes a value to one MMIO address in three sizes.
//
// Loaded and entered at 0x1000. 0x10000 to 0x10003 must not be mapped.
// Registers: w1, the value.
// Exits: MMIO writes of 1, 2 and 4 bytes at 0x10000, of the low part of the value; system event, shutdown.
.include "power-off.inc"
.org 0x1000
start:
    mov x9, #0x10000
    strb w1, [x9]
    strh w1, [x9]
    str w1, [x9]
    power_off
