# Spins for ever without an exit: only a kick or a signal gets the host its thread back.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. Needs no other memory.
# Registers: rflags 2. Exits: none.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    jmp start
