# Adds two digits and prints the sum: the guest of the LWN article "Using the KVM API"
# (lwn.net/Articles/658511).
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. Needs no other memory.
# Registers: al and bl hold the two numbers, their sum is at most 9; rflags 2.
# Exits: out 0x3f8 (the digit), out 0x3f8 (a newline), hlt.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    mov dx, 0x3f8
    add al, bl
    add al, '0'
    out dx, al
    mov al, '\n'
    out dx, al
    hlt
