// Counts in x0 to x3, one instruction each, for single steps and breakpoints; then powers off.
//
// Loaded and entered at 0x1000. Needs no other memory. Exits: system event, shutdown.
.include "power-off.inc"
.org 0x1000
start:
    add x0, x0, #1
    add x1, x1, #1
    add x2, x2, #1
    add x3, x3, #1
    power_off
