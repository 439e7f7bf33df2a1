# Reads memory far from any that is mapped.
#
# Mode: 32-bit protected mode without paging, flat segments. Loaded and entered at 0x1000. 0xd0000000 must
# not be mapped.
# Registers: rflags 2. Exits: MMIO read of 4 bytes at 0xd0000000 (into eax), hlt.
.intel_syntax noprefix
.code32
.org 0x1000
start:
    mov ebx, 0xd0000000
    mov eax, dword ptr [ebx]
    hlt
