# Notes the registers that a machine starts it with, and powers off.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. 0x2000 to 0x203f must be mapped: dwords eax,
# ebx, ecx, edx, esi, edi, ebp, esp, eflags, cr0, then words cs, ds, es, ss, fs, gs. The stack is below 0x3000.
# Registers: none.
# Exits: out 0x600 (0x34).
.intel_syntax noprefix
.code16
.org 0x1000
start:
    mov dword ptr cs:[0x2000], eax
    mov dword ptr cs:[0x2004], ebx
    mov dword ptr cs:[0x2008], ecx
    mov dword ptr cs:[0x200c], edx
    mov dword ptr cs:[0x2010], esi
    mov dword ptr cs:[0x2014], edi
    mov dword ptr cs:[0x2018], ebp
    mov dword ptr cs:[0x201c], esp
    mov word ptr cs:[0x2028], cs
    mov word ptr cs:[0x202a], ds
    mov word ptr cs:[0x202c], es
    mov word ptr cs:[0x202e], ss
    mov word ptr cs:[0x2030], fs
    mov word ptr cs:[0x2032], gs
    mov sp, 0x3000
    pushfd
    pop eax
    mov dword ptr cs:[0x2020], eax
    mov eax, cr0
    mov dword ptr cs:[0x2024], eax
.include "machine-off.inc"
