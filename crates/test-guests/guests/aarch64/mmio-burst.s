// Writes the low byte of w1 at MMIO and counts w1 up, as often as w2 says; then says how it ended.
//
// Loaded and entered at 0x1000. 0x10000 to 0x1000b must not be mapped.
// Registers: w1, the first value; w2, how many are written, not 0.
// Exits: MMIO writes of 1 byte at 0x10000, that many; MMIO write of 4 bytes at 0x10008, the next value; system event,
// shutdown.
.include "power-off.inc"
.org 0x1000
start:
    mov x9, #0x10000
again:
    strb w1, [x9]
    add w1, w1, #1
    subs w2, w2, #1
    b.ne again
    str w1, [x9, #8]
    power_off
