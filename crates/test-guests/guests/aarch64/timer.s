// Sets the virtual timer and sleeps until its interrupt, a private one of a GICv3; then powers off.
//
// Loaded and entered at 0x1000. GICv3 as gic.inc has it. 0x10000 to 0x1000f must not be mapped.
// Registers: x19 ticks of the counter until the interrupt.
// Exits: MMIO write of 4 bytes at 0x10004, the number of the interrupt (27); MMIO write of 8 bytes at 0x10008, how many
// ticks it took; system event, shutdown.
.include "power-off.inc"
.include "gic.inc"
    .set VIRTUAL_TIMER, 27
.org 0x1000
start:
    gic_init
    load x9, GICR_SGI
    mov w10, #(1 << VIRTUAL_TIMER)
    str w10, [x9, #GICR_ISENABLER0]
    isb
    mrs x20, cntvct_el0
    add x10, x20, x19
    msr cntv_cval_el0, x10
    mov x10, #1
    msr cntv_ctl_el0, x10
    isb
sleep:
    wfi
    msr daifclr, #2
    isb
    msr daifset, #2
    mrs x10, cntv_ctl_el0               // the interrupt's entry turns it off
    cbnz x10, sleep
    mrs x10, cntvct_el0
    sub x10, x10, x20
    load x11, OUTPUT
    str x10, [x11, #8]
    power_off
    vectors_that_acknowledge
