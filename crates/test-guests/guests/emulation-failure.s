# Stores an x87 register to MMIO: KVM must emulate an access to MMIO, and its emulator knows no fst.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. 0x10000 must not be mapped.
# Registers: rflags 2. Exits: internal error, sub-error 1 (emulation), with the instruction d9 17 (fst dword
# ptr [bx]) where the host gives instructions.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    mov ax, 0x1000
    mov ds, ax
    xor bx, bx
    fst dword ptr [bx]
    hlt
