// Counts cycles with the performance monitor, and says how many a loop took; then powers off.
//
// Loaded and entered at 0x1000. 0x10000 to 0x10117 must not be mapped. Where the vCPU has no counters it ends by an
// undefined instruction: see vectors.inc.
// Exits: MMIO write of 8 bytes at 0x10000, the cycles; system event, shutdown.
.include "power-off.inc"
.include "vectors.inc"
    .set ENABLE_AND_RESET, 5            // PMCR_EL0: all counters count, the cycles start at zero
    .set CYCLES, 1 << 31
.org 0x1000
start:
    use_vectors
    mov x10, #CYCLES
    msr pmcntenset_el0, x10
    mov x10, #ENABLE_AND_RESET
    msr pmcr_el0, x10
    isb
    mov x11, #1000
loop:
    subs x11, x11, #1
    b.ne loop
    isb
    mrs x1, pmccntr_el0
    mov x9, #0x10000
    str x1, [x9]
    power_off
    vectors_that_report
