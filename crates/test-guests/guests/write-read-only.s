# Writes to memory that the host has mapped read-only, and shows that it did not change.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. The page at 0x3000 is mapped read-only; the
# host puts a byte other than 'W' at 0x3000.
# Registers: rflags 2.
# Exits: MMIO write of 1 byte ('W') at 0x3000, out 0x3f8 (the byte that is there), hlt.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    mov bx, 0x3000
    mov byte ptr [bx], 'W'
    mov al, byte ptr [bx]
    mov dx, 0x3f8
    out dx, al
    hlt
