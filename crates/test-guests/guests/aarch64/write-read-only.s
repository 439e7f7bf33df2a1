// Writes 'W' to memory that may only be read, and says what is there afterwards.
//
// Loaded and entered at 0x1000. 0x3000 must be mapped read-only, 0x10000 not at all.
// Exits: MMIO write of 1 byte at 0x3000; MMIO write of 1 byte at 0x10000, what is at 0x3000; system event, shutdown.
.include "power-off.inc"
.org 0x1000
start:
    mov x9, #0x3000
    mov w1, #'W'
    strb w1, [x9]
    ldrb w1, [x9]
    mov x10, #0x10000
    strb w1, [x10]
    power_off
