// Says how many bytes a scalable vector has, and what a sum over one gives; then powers off.
//
// Loaded and entered at 0x1000. 0x10000 to 0x10117 must not be mapped. Where the vCPU has no SVE it ends by an undefined
// instruction: see vectors.inc.
// Exits: MMIO write of 8 bytes at 0x10000, the bytes of a vector; MMIO write of 8 bytes at 0x10008, the sum of 1 in each
// byte; system event, shutdown.
.include "power-off.inc"
.include "vectors.inc"
.arch armv8.2-a+sve
.org 0x1000
start:
    use_vectors
    mov x10, #0x330000                  // CPACR_EL1: SVE and SIMD are not trapped
    msr cpacr_el1, x10
    isb
    mov x10, #0xf                       // ZCR_EL1: as long as can be
    msr zcr_el1, x10
    isb
    mov x9, #0x10000
    rdvl x1, #1
    str x1, [x9]
    ptrue p0.b
    mov z0.b, #1
    uaddv d1, p0, z0.b
    fmov x1, d1
    str x1, [x9, #8]
    power_off
    vectors_that_report
