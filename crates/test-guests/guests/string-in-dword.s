# Reads 16 bytes from a port into memory with one string instruction, as 4 doublewords.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. 0x2000 to 0x200f must be mapped.
# Registers: rflags 2.
# Exits: in 0x500, 4 bytes each, until 4 are read; KVM asks for several with one exit (count). Then hlt.
# What was read lies at 0x2000.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    cld
    mov di, 0x2000
    mov cx, 4
    mov dx, 0x500
    rep insd
    hlt
