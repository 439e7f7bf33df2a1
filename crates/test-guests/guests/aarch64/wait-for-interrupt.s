// Sleeps until an interrupt waits for it, says so, and sleeps again, for ever. Interrupts are masked, which keeps none
// from waking it.
//
// Loaded and entered at 0x1000. 0x10000 must not be mapped.
// Exits: MMIO write of 4 bytes at 0x10000, how often it found an interrupt, each time.
.org 0x1000
start:
    mov x9, #0x10000
    mov w1, #0
sleep:
    wfi
    mrs x10, isr_el1                    // a processor may wake for nothing
    cbz x10, sleep
    add w1, w1, #1
    str w1, [x9]
    b sleep
