# Writes one byte, at 0x5000: exactly one page becomes dirty.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. 0x5000 must be mapped.
# Registers: rflags 2. Exits: hlt.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    mov byte ptr ds:[0x5000], 0x5a
    hlt
