// Signs a pointer and checks the signature; then powers off.
//
// Loaded and entered at 0x1000. 0x10000 to 0x10117 must not be mapped. Where the vCPU has no pointer authentication it
// ends by an undefined instruction: see vectors.inc.
// Registers: x1 the pointer, x2 its context, x3 and x4 the key; x5 not 0 to use it. Otherwise nothing is signed, because
// these instructions then do nothing.
// Exits: MMIO write of 8 bytes at 0x10000, the pointer, signed; MMIO write of 8 bytes at 0x10008, the pointer, checked;
// with a key, MMIO write of 8 bytes at 0x10010, a signature of the pointer alone; system event, shutdown.
.include "power-off.inc"
.include "vectors.inc"
.arch armv8.3-a
    .set SCTLR_ENIA, 1 << 31
.org 0x1000
start:
    use_vectors
    cbz x5, no_keys
    msr apiakeylo_el1, x3
    msr apiakeyhi_el1, x4
    msr apgakeylo_el1, x3
    msr apgakeyhi_el1, x4
    mrs x10, sctlr_el1
    orr x10, x10, #SCTLR_ENIA
    msr sctlr_el1, x10
    isb
no_keys:
    mov x9, #0x10000
    mov x17, x1
    mov x16, x2
    pacia1716
    str x17, [x9]
    autia1716
    str x17, [x9, #8]
    cbz x5, end
    pacga x3, x1, x2
    str x3, [x9, #16]
end:
    power_off
    vectors_that_report
