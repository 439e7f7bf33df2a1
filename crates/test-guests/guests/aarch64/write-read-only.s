// Writes 'W' to memory that may only be read, and says what is there afterwards.
//
// Loaded and entered at 0x1000. What x3 points to must be mapped read-only, 0x10000 not at all.
// Exits: MMIO write of 1 byte there; MMIO write of 1 byte at 0x10000, what is there; system event, shutdown.
.include "power-off.inc"
.org 0x1000
start:
    mov w1, #'W'
    strb w1, [x3]
    ldrb w1, [x3]
    mov x10, #0x10000
    strb w1, [x10]
    power_off
