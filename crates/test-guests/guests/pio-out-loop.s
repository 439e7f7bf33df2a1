# Writes the byte in al to port 0x500 for ever: what one port write costs.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. Needs no other memory.
# Registers: al, the byte; rflags 2. Exits: out 0x500, 1 byte, again and again.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    mov dx, 0x500
again:
    out dx, al
    jmp again
