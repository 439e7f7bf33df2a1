// Writes a byte to each page from x3 to below x1, and says so after each; over and over. Pages are x2 bytes apart.
//
// Loaded and entered at 0x1000. The pages must be mapped, 8 bytes at x4 must not.
// Exits: MMIO write of 4 bytes at x4 after each page; after the last one MMIO read of 4 bytes at x4 + 4.
.org 0x1000
start:
    mov x10, x3
next:
    strb w10, [x10]
    str w10, [x4]
    add x10, x10, x2
    cmp x10, x1
    b.lo next
    ldr w11, [x4, #4]
    b start
