// Reads 1, 2, 4 and 8 bytes from MMIO and writes each value back elsewhere.
//
// Loaded and entered at 0x1000. 0x10000 to 0x1003f must not be mapped.
// Exits: MMIO read of 1 byte at 0x10000, write of it at 0x10020; 2 bytes, 0x10002 to 0x10022; 4 bytes, 0x10004 to
// 0x10024; 8 bytes, 0x10008 to 0x10028; read of 1 byte at 0x10010, which is sign-extended, write of 8 bytes at 0x10030;
// system event, shutdown.
.include "power-off.inc"
.org 0x1000
start:
    mov x9, #0x10000
    ldrb w1, [x9]
    strb w1, [x9, #0x20]
    ldrh w1, [x9, #2]
    strh w1, [x9, #0x22]
    ldr w1, [x9, #4]
    str w1, [x9, #0x24]
    ldr x1, [x9, #8]
    str x1, [x9, #0x28]
    ldrsb x1, [x9, #0x10]
    str x1, [x9, #0x30]
    power_off
