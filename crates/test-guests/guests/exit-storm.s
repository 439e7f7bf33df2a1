# Writes to ports 0x600 to 0x6ff, one after another, as fast as it can, for ever.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. Needs no other memory.
# Registers: rflags 2. Exits: out, 1 byte (the port's low byte), again and again.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    mov dx, 0x600
again:
    mov al, dl
    out dx, al
    inc dl
    jmp again
