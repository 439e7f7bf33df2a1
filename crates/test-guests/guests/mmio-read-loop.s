# Reads 2 bytes at 0x10000 into ax for ever: what one MMIO read costs.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. 0x10000 must not be mapped: it is the
# first address that the guest reaches through ds = 0x1000.
# Registers: rflags 2. Exits: MMIO read, 2 bytes at 0x10000, again and again.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    mov ax, 0x1000
    mov ds, ax
    xor bx, bx
again:
    mov ax, word ptr [bx]
    jmp again
