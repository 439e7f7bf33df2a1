# Prints a greeting from 64-bit mode, then leaves eight numbers in the registers that only this mode has.
#
# Mode: 64-bit long mode; the host's page tables map the first 2 MiB to themselves. Loaded and entered at
# 0x1000. Needs no other memory, no stack.
# Registers: rflags 2.
# Exits: out 0x3f8, 1 byte, until "Hello from 64 bits\n" is printed; then hlt.
# Then r8 to r15 are the Fibonacci numbers 1, 2, 3, 5, 8, 13, 21, 34, each shifted left by 40 bits.
.intel_syntax noprefix
.code64
.org 0x1000
start:
    lea rsi, [rip + text]
    mov dx, 0x3f8
next:
    mov al, byte ptr [rsi]
    test al, al
    jz printed
    out dx, al
    inc rsi
    jmp next
printed:
    movabs r8, 1 << 40
    movabs r9, 2 << 40
    lea r10, [r8 + r9]
    lea r11, [r9 + r10]
    lea r12, [r10 + r11]
    lea r13, [r11 + r12]
    lea r14, [r12 + r13]
    lea r15, [r13 + r14]
    hlt
text:
    .asciz "Hello from 64 bits\n"
