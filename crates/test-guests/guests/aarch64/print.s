// Prints a text, a byte at a time; then powers off.
//
// Loaded and entered at 0x1000. 0x10000 must not be mapped.
// Exits: MMIO writes of 1 byte at 0x10000: "hello", newline; system event, shutdown.
.include "power-off.inc"
.org 0x1000
start:
    mov x9, #0x10000
    adr x10, text
next:
    ldrb w1, [x10], #1
    cbz w1, end
    strb w1, [x9]
    b next
end:
    power_off
text:
    .asciz "hello\n"
