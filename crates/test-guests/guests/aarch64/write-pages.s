// Writes a byte to each of the pages 0x10 to 0xef, and says so after each; over and over.
//
// Loaded and entered at 0x1000. 0x10000 to 0xeffff must be mapped, 0x100000 to 0x100007 must not.
// Exits: MMIO write of 4 bytes at 0x100000 after each page; after the last one MMIO read of 4 bytes at 0x100004.
.org 0x1000
start:
    mov x9, #0x100000
again:
    mov x10, #0x10000
next:
    strb w10, [x10]
    str w10, [x9]
    add x10, x10, #0x1000
    cmp x10, #0xf0, lsl #12
    b.lo next
    ldr w1, [x9, #4]
    b again
