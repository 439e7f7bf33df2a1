# Writes to memory that the host has mapped read-only, and shows that it did not change.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. The page at rsi, below 0x10000, is mapped read-only;
# the host puts a byte other than 'W' there. 0x10000 must not be mapped.
# Registers: rflags 2; rsi.
# Exits: MMIO write of 1 byte ('W') at rsi; MMIO write of 1 byte at 0x10000, the byte that is there; hlt.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    mov ax, 0x1000
    mov es, ax
    mov byte ptr [si], 'W'
    mov al, byte ptr [si]
    mov byte ptr es:[0], al
    hlt
