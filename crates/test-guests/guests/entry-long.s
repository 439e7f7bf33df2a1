# Notes the registers that a machine starts it with, and powers off.
#
# Mode: 64-bit long mode. Loaded and entered at 0x1000. 0x2000 to 0x20af must be mapped: quadwords rax, rbx, rcx,
# rdx, rsi, rdi, rbp, rsp, rflags, cr0, cr3, cr4, EFER, then words cs, ds, es, ss, fs, gs, tr, the limit of the GDT,
# its base as a quadword. The stack is the machine's.
# Registers: none.
# Exits: out 0x600 (0x34).
.intel_syntax noprefix
.code64
.org 0x1000
    .set MSR_EFER, 0xc0000080
start:
    mov qword ptr ds:[0x2000], rax
    mov qword ptr ds:[0x2008], rbx
    mov qword ptr ds:[0x2010], rcx
    mov qword ptr ds:[0x2018], rdx
    mov qword ptr ds:[0x2020], rsi
    mov qword ptr ds:[0x2028], rdi
    mov qword ptr ds:[0x2030], rbp
    mov qword ptr ds:[0x2038], rsp
    pushfq
    pop rax
    mov qword ptr ds:[0x2040], rax
    mov rax, cr0
    mov qword ptr ds:[0x2048], rax
    mov rax, cr3
    mov qword ptr ds:[0x2050], rax
    mov rax, cr4
    mov qword ptr ds:[0x2058], rax
    mov ecx, MSR_EFER
    rdmsr
    mov dword ptr ds:[0x2060], eax
    mov dword ptr ds:[0x2064], edx
    mov word ptr ds:[0x2068], cs
    mov word ptr ds:[0x206a], ds
    mov word ptr ds:[0x206c], es
    mov word ptr ds:[0x206e], ss
    mov word ptr ds:[0x2070], fs
    mov word ptr ds:[0x2072], gs
    str word ptr ds:[0x2074]
    sgdt ds:[0x2076]
.include "machine-off.inc"
