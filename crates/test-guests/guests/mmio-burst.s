# Writes al at MMIO and counts eax up, as often as ecx says; then says how it ended.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. 0x10000 to 0x1000b must not be mapped.
# Registers: eax, the first value; ecx, how many are written, not 0; rflags 2.
# Exits: MMIO writes of 1 byte at 0x10000, that many; MMIO write of 4 bytes at 0x10008, the next value; hlt.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    mov bx, 0x1000
    mov ds, bx
    xor bx, bx
again:
    mov byte ptr [bx], al
    inc eax
    dec ecx
    jnz again
    mov dword ptr [bx + 8], eax
    hlt
