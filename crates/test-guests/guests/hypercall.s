# Makes KVM's hypercall 12 (KVM_HC_MAP_GPA_RANGE) for one page at 0x5000 with attributes 0x10, and prints the low
# byte of what comes back.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. Needs no other memory.
# Registers: rflags 2. Exits: the hypercall, if the host asked for it; out 0x3f8 (the byte); hlt.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    mov eax, 12
    mov ebx, 0x5000
    mov ecx, 1
    mov edx, 0x10
    xor esi, esi
    vmcall
    mov dx, 0x3f8
    out dx, al
    hlt
