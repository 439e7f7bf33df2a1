// Accesses MMIO with an instruction that the processor does not describe to the hypervisor: a load of two registers.
//
// Loaded and entered at 0x1000. 0x10000 must not be mapped, 0x10100 neither: see vectors.inc for what happens at an
// exception.
// Exits: where it is asked for, KVM_EXIT_ARM_NISV at the load, whose result is in x1 and x2; MMIO write of 4 bytes at
// 0x10000, what is in w1; system event, shutdown.
.include "power-off.inc"
.include "vectors.inc"
.org 0x1000
start:
    use_vectors
    mov x9, #0x10000
pair:
    ldp w1, w2, [x9]
    str w1, [x9]
    power_off
    vectors_that_report
