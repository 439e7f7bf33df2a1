// Writes one byte, at 0x5000: exactly one page becomes dirty.
//
// Loaded and entered at 0x1000. 0x5000 must be mapped. Exits: system event, shutdown.
.include "power-off.inc"
.org 0x1000
start:
    mov x9, #0x5000
    mov w1, #0x5a
    strb w1, [x9]
    power_off
