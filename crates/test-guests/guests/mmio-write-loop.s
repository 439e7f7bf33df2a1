# Writes the 2 bytes in cx at 0x10000 for ever: what one MMIO write costs.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. 0x10000 must not be mapped: it is the
# first address that the guest reaches through ds = 0x1000.
# Registers: cx, the value; rflags 2. Exits: MMIO write, 2 bytes at 0x10000, again and again.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    mov ax, 0x1000
    mov ds, ax
    xor bx, bx
again:
    mov word ptr [bx], cx
    jmp again
