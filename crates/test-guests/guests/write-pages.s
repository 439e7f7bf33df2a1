# Writes a byte to each of the pages 0x10 to 0xef, and says so after each; over and over.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. 0x10000 to 0xeffff must be mapped, 0x100000 to
# 0x100007 must not: they are the last addresses that the guest reaches, through ds = 0xffff.
# Registers: rflags 2.
# Exits: MMIO write of 4 bytes at 0x100000 after each page; after the last one MMIO read of 4 bytes at 0x100004.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    mov bx, 0xffff
    mov ds, bx
    mov bx, 0x10
again:
    mov ax, 0x1000
next:
    mov es, ax
    mov byte ptr es:[0], al
    mov dword ptr [bx], eax
    add ax, 0x100
    cmp ax, 0xf000
    jb next
    mov eax, dword ptr [bx + 4]
    jmp again
