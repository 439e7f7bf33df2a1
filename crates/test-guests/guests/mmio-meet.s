# Two vCPUs meet: each says its name, and waits for the other.
#
# Mode: 16-bit real mode, cs base 0, both vCPUs. Loaded and entered at 0x1000. 0x10000 to 0x10007 must not be
# mapped.
# Registers: eax, the name; si, the address of this one's word; di, of the other's: mapped, and 0; rflags 2.
# Exits of each vCPU: MMIO write of 4 bytes at 0x10000, the name; then, when both have said it, MMIO read of
# 4 bytes at 0x10004, again and again.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    mov bx, 0x1000
    mov es, bx
    xor bx, bx
    mov dword ptr es:[bx], eax
    mov word ptr [si], 1
wait_for_other:
    pause
    cmp word ptr [di], 0
    je wait_for_other
again:
    mov eax, dword ptr es:[bx + 4]
    jmp again
