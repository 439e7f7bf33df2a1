// Writes w1 at MMIO and counts it up, for ever.
//
// Loaded and entered at 0x1000. 0x10000 must not be mapped.
// Exits: MMIO writes of 4 bytes at 0x10000.
.org 0x1000
start:
    mov x9, #0x10000
again:
    str w1, [x9]
    add w1, w1, #1
    b again
