# Writes eax at MMIO and counts it up, for ever.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. 0x10000 must not be mapped: it is the
# first address that the guest reaches through ds = 0x1000.
# Registers: eax, the first value; rflags 2. Exits: MMIO writes of 4 bytes at 0x10000.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    mov bx, 0x1000
    mov ds, bx
    xor bx, bx
again:
    mov dword ptr [bx], eax
    inc eax
    jmp again
