# Reads 1, 2 and 4 bytes from MMIO and writes each value back elsewhere.
#
# Mode: 32-bit protected mode without paging, flat segments. Loaded and entered at 0x1000. 0x10000 to 0x1001f
# must not be mapped.
# Registers: rflags 2.
# Exits: MMIO read of 1 byte at 0x10000, write of it at 0x10010; 2 bytes, 0x10002 to 0x10012; 4 bytes, 0x10004
# to 0x10014; hlt.
.intel_syntax noprefix
.code32
.org 0x1000
start:
    mov ebx, 0x10000
    mov al, byte ptr [ebx]
    mov byte ptr [ebx + 0x10], al
    mov ax, word ptr [ebx + 0x02]
    mov word ptr [ebx + 0x12], ax
    mov eax, dword ptr [ebx + 0x04]
    mov dword ptr [ebx + 0x14], eax
    hlt
