// Writes one byte, where x3 says: exactly one page becomes dirty.
//
// Loaded and entered at 0x1000. That byte must be mapped. Exits: system event, shutdown.
.include "power-off.inc"
.org 0x1000
start:
    mov w1, #0x5a
    strb w1, [x3]
    power_off
