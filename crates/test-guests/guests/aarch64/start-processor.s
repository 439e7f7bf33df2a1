// Two processors: the first starts the second by PSCI, with a word for it, and waits until it has said that word.
//
// Loaded and entered at 0x1000; 0x2000 must be mapped, 0x10000 and 0x10008 not. The second vCPU is powered off at first.
// Registers: x1 the affinity (MPIDR) of the second, x3 the word.
// Exits of the first: MMIO write of 8 bytes at 0x10000, what CPU_ON gave; system event, shutdown.
// Exits of the second: MMIO write of 8 bytes at 0x10008, the word. Then it turns itself off.
.include "power-off.inc"
    .set PSCI_CPU_ON, 0xc4000003
    .set PSCI_CPU_OFF, 0x84000002
.org 0x1000
start:
    movz x0, #(PSCI_CPU_ON & 0xffff)
    movk x0, #(PSCI_CPU_ON >> 16), lsl #16
    adr x2, second
    hvc #0
    mov x9, #0x10000
    str x0, [x9]
    mov x10, #0x2000
wait:
    ldr w1, [x10]
    cbz w1, wait
    power_off
second:
    mov x9, #0x10000
    str x0, [x9, #8]
    mov x10, #0x2000
    mov w1, #1
    str w1, [x10]
    movz w0, #(PSCI_CPU_OFF & 0xffff)
    movk w0, #(PSCI_CPU_OFF >> 16), lsl #16
    hvc #0
