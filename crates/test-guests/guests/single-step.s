# A few instructions, one byte each, to be stepped through.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. Needs no other memory.
# Registers: rflags 2.
# Exits: hlt, again and again; ax and bx are one more than before. When single-stepped, first debug at 0x1001,
# 0x1002 and 0x1003; a stepped hlt is told as hlt by one host, as debug at 0x1004 by another.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    nop
    inc ax
    inc bx
halted:
    hlt
    jmp halted
