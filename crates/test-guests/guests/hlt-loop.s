# Halts for ever: the cheapest exit. (Without an interrupt controller in the kernel; with one, the first hlt
# waits in the kernel.)
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. Needs no other memory.
# Registers: rflags 2. Exits: hlt, again and again.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    hlt
    jmp start
