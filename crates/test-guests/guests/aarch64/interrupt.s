// Takes shared interrupts 32 to 47 of a GICv3, and sleeps between them.
//
// Loaded and entered at 0x1000. GICv3 as gic.inc has it. 0x10000 to 0x10007 must not be mapped.
// Registers: x19 the configuration of the interrupts (GICD_ICFGR2): 2 in the two bits of one makes it edge-triggered.
// Exits: MMIO write of 4 bytes at 0x10000 ('R'), when it is ready; MMIO write of 4 bytes at 0x10004, the number of each
// interrupt that it takes.
.include "gic.inc"
.org 0x1000
start:
    gic_init
    load x9, GICD
    str w19, [x9, #GICD_ICFGR2]
    mov w10, #0xffff
    str w10, [x9, #GICD_ISENABLER1]
    msr daifclr, #2
    load x11, OUTPUT
    mov w10, #'R'
    str w10, [x11]
sleep:
    wfi
    b sleep
    vectors_that_acknowledge
