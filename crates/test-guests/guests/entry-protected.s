# Notes the registers that a machine starts it with, and powers off.
#
# Mode: 32-bit protected mode. Loaded and entered at 0x1000. 0x2000 to 0x205f must be mapped: dwords eax, ebx, ecx,
# edx, esi, edi, ebp, esp, eflags, cr0, cr3, cr4, then words cs, ds, es, ss, fs, gs, tr, the limit of the GDT, and
# its base as a dword. The stack is below 0x3000.
# Registers: none.
# Exits: out 0x600 (0x34).
.intel_syntax noprefix
.code32
.org 0x1000
start:
    mov dword ptr ds:[0x2000], eax
    mov dword ptr ds:[0x2004], ebx
    mov dword ptr ds:[0x2008], ecx
    mov dword ptr ds:[0x200c], edx
    mov dword ptr ds:[0x2010], esi
    mov dword ptr ds:[0x2014], edi
    mov dword ptr ds:[0x2018], ebp
    mov dword ptr ds:[0x201c], esp
    mov esp, 0x3000
    pushfd
    pop eax
    mov dword ptr ds:[0x2020], eax
    mov eax, cr0
    mov dword ptr ds:[0x2024], eax
    mov eax, cr3
    mov dword ptr ds:[0x2028], eax
    mov eax, cr4
    mov dword ptr ds:[0x202c], eax
    mov word ptr ds:[0x2030], cs
    mov word ptr ds:[0x2032], ds
    mov word ptr ds:[0x2034], es
    mov word ptr ds:[0x2036], ss
    mov word ptr ds:[0x2038], fs
    mov word ptr ds:[0x203a], gs
    str word ptr ds:[0x203c]
    sgdt ds:[0x203e]
.include "machine-off.inc"
