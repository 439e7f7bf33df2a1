# Writes one byte, where rsi says: exactly one page becomes dirty.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. That byte must be mapped.
# Registers: rflags 2; rsi, below 0x10000. Exits: hlt.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    mov byte ptr ds:[si], 0x5a
    hlt
