# The guest of the first example in the documentation of the Rust crate kvm-ioctls, byte for byte.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. 0x8000 must not be mapped.
# Registers: al and bl, whose sum is at most 9; rflags 2.
# Exits: out 0x3f8 (the sum's digit), in 0x3f8, MMIO write of 1 byte (0) at 0x8000, MMIO read of 1 byte at
# 0x8000 (into dl), hlt.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    mov dx, 0x3f8
    add al, bl
    add al, '0'
    out dx, al
    in al, dx
    mov byte ptr ds:[0x8000], 0
    mov dl, byte ptr ds:[0x8000]
    hlt
