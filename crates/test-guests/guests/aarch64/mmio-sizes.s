// Reads 1, 2 and 4 bytes from MMIO and writes each value back elsewhere.
//
// Loaded and entered at 0x1000. 0x10000 to 0x1001f must not be mapped.
// Exits: MMIO read of 1 byte at 0x10000, write of it at 0x10010; 2 bytes, 0x10002 to 0x10012; 4 bytes, 0x10004 to
// 0x10014; system event, shutdown.
.include "power-off.inc"
.org 0x1000
start:
    mov x9, #0x10000
    ldrb w1, [x9]
    strb w1, [x9, #0x10]
    ldrh w1, [x9, #2]
    strh w1, [x9, #0x12]
    ldr w1, [x9, #4]
    str w1, [x9, #0x14]
    power_off
