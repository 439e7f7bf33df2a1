# Writes to memory that the host has mapped read-only, and shows that it did not change.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. The page at 0x3000 is mapped read-only; the
# host puts a byte other than 'W' at 0x3000. 0x10000 must not be mapped.
# Registers: rflags 2.
# Exits: MMIO write of 1 byte ('W') at 0x3000; MMIO write of 1 byte at 0x10000, the byte that is there; hlt.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    mov ax, 0x1000
    mov es, ax
    mov bx, 0x3000
    mov byte ptr [bx], 'W'
    mov al, byte ptr [bx]
    mov byte ptr es:[0], al
    hlt
