// Lets system errors through, says that it is ready, reads MMIO, and spins until an exception comes.
//
// Loaded and entered at 0x1000. 0x10000 to 0x10117 must not be mapped.
// Exits: MMIO write of 4 bytes at 0x10000 ('R'); MMIO read of 4 bytes at 0x10004; at an exception see vectors.inc.
.include "power-off.inc"
.include "vectors.inc"
.org 0x1000
start:
    use_vectors
    msr daifclr, #4
    isb
    mov x9, #0x10000
    mov w1, #'R'
    str w1, [x9]
    ldr w1, [x9, #4]
spin:
    b spin
    vectors_that_report
