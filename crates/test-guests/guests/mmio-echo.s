# Reads MMIO, adds ecx, and writes the sum back elsewhere, for ever.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. 0x10000 to 0x10007 must not be mapped.
# Registers: ecx, what is added to each value; rflags 2.
# Exits: MMIO read of 4 bytes at 0x10000, write of 4 bytes at 0x10004.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    mov bx, 0x1000
    mov ds, bx
    xor bx, bx
again:
    mov eax, dword ptr [bx]
    add eax, ecx
    mov dword ptr [bx + 4], eax
    jmp again
