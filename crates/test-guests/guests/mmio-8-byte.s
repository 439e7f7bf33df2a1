# Reads 8 bytes from MMIO with one instruction and writes them back with another.
#
# Mode: 64-bit long mode; the host's page tables map the first 2 MiB to themselves. Loaded and entered at
# 0x1000. 0x10000 to 0x1000f must not be in a memory slot.
# Registers: rflags 2.
# Exits: MMIO read of 8 bytes at 0x10000, MMIO write of the same value at 0x10008, hlt. rax holds the value.
.intel_syntax noprefix
.code64
.org 0x1000
start:
    mov ebx, 0x10000
    mov rax, qword ptr [rbx]
    mov qword ptr [rbx + 8], rax
    hlt
