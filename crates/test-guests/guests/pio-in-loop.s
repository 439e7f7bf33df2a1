# Reads a byte from port 0x500 into al for ever: what one port read costs.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. Needs no other memory.
# Registers: rflags 2. Exits: in 0x500, 1 byte, again and again.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    mov dx, 0x500
again:
    in al, dx
    jmp again
