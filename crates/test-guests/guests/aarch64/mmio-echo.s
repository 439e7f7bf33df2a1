// Reads MMIO, adds x2, and writes the sum back elsewhere, for ever.
//
// Loaded and entered at 0x1000. 0x10000 to 0x10007 must not be mapped.
// Exits: MMIO read of 4 bytes at 0x10000, write of 4 bytes at 0x10004.
.org 0x1000
start:
    mov x9, #0x10000
again:
    ldr w1, [x9]
    add w1, w1, w2
    str w1, [x9, #4]
    b again
