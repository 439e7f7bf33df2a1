// Two vCPUs meet: each says its name, and waits for the other.
//
// Loaded and entered at 0x1000. 0x10000 to 0x10007 must not be mapped.
// Registers: w1, the name; x3, the address of this one's word; x4, of the other's: mapped, and 0.
// Exits of each vCPU: MMIO write of 4 bytes at 0x10000, the name; then, when both have said it, MMIO read of 4 bytes at
// 0x10004, again and again. A power-off would be that of both.
.org 0x1000
start:
    mov x9, #0x10000
    str w1, [x9]
    mov w10, #1
    str w10, [x3]
wait_for_other:
    yield
    ldr w10, [x4]
    cbz w10, wait_for_other
again:
    ldr w1, [x9, #4]
    b again
