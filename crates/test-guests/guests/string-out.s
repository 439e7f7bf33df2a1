# Prints a text with one string instruction.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. Needs no other memory.
# Registers: rflags 2.
# Exits: out 0x3f8, 1 byte, until "Hello, strings!\n" is printed; hosts differ in how many bytes they give
# with one exit. Then hlt.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    cld
    mov si, offset text
    mov cx, offset text_length
    mov dx, 0x3f8
    rep outsb
    hlt
text:
    .ascii "Hello, strings!\n"
    .set text_length, . - text
