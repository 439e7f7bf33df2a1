# Writes a value to one MMIO address in three sizes.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. 0x10000 to 0x10003 must not be mapped.
# Registers: eax, the value; rflags 2.
# Exits: MMIO writes of 1, 2 and 4 bytes at 0x10000, of the low part of the value; hlt.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    mov bx, 0x1000
    mov ds, bx
    xor bx, bx
    mov byte ptr [bx], al
    mov word ptr [bx], ax
    mov dword ptr [bx], eax
    hlt
