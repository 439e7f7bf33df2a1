// Calls the hypervisor with the x0 to x3 that the host set, says what came back, and powers off.
//
// Loaded and entered at 0x1000. 0x10000 must not be mapped.
// Exits: what the call makes; MMIO write of 8 bytes at 0x10000, what x0 is then; system event, shutdown.
.include "power-off.inc"
.org 0x1000
start:
    hvc #0
    mov x9, #0x10000
    str x0, [x9]
    power_off
