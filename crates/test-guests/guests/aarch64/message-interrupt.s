// Takes a message-signalled interrupt (LPI) through an interrupt translation service, whose commands the host has
// written into memory.
//
// Loaded and entered at 0x1000. GICv3 as gic.inc has it, ITS at 0x8080000. 0x10000 to 0x10007 must not be mapped, 0x20000
// to 0x7ffff must be: tables of devices at 0x20000, of collections at 0x30000, the commands at 0x40000, the LPIs'
// properties at 0x50000, which are pending at 0x60000.
// Registers: x19 how many bytes of commands there are.
// Exits: MMIO write of 4 bytes at 0x10000 ('R'), when the commands are done; MMIO write of 4 bytes at 0x10004, the number
// of each interrupt that it takes.
.include "gic.inc"
    .set ITS, 0x08080000
    .set GITS_CTLR, 0x000
    .set GITS_CBASER, 0x080
    .set GITS_CWRITER, 0x088
    .set GITS_CREADR, 0x090
    .set GITS_BASER0, 0x100
    .set GITS_BASER1, 0x108
    .set VALID, 1 << 63
    .set PAGES_OF_64K, 2 << 8
    .set LPI_BITS, 13                   // one less than there are: 14 bits, LPIs 8192 to 16383
    .set PENDING_IS_ZERO, 1 << 62
.org 0x1000
start:
    gic_init
    load x9, GICR
    load x10, 0x50000 + LPI_BITS
    str x10, [x9, #GICR_PROPBASER]
    load x10, 0x60000
    orr x10, x10, #PENDING_IS_ZERO
    str x10, [x9, #GICR_PENDBASER]
    mov w10, #1
    str w10, [x9, #GICR_CTLR]           // LPIs are on

    load x9, ITS
    load x10, 0x20000 + PAGES_OF_64K
    orr x10, x10, #VALID
    str x10, [x9, #GITS_BASER0]
    load x10, 0x30000 + PAGES_OF_64K
    orr x10, x10, #VALID
    str x10, [x9, #GITS_BASER1]
    load x10, 0x40000
    orr x10, x10, #VALID
    str x10, [x9, #GITS_CBASER]
    mov w10, #1
    str w10, [x9, #GITS_CTLR]
    str x19, [x9, #GITS_CWRITER]
done:
    ldr x10, [x9, #GITS_CREADR]
    cmp x10, x19
    b.ne done

    msr daifclr, #2
    load x11, OUTPUT
    mov w10, #'R'
    str w10, [x11]
sleep:
    wfi
    b sleep
    vectors_that_acknowledge
