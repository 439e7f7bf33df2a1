# Prints a letter for each event that the host injects: 'N' for an NMI, 'U' for an invalid-opcode exception, 'I' for
# an external interrupt with vector 0x20.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. 0x0 to 0x1fff must be mapped: the vector table is
# at 0, the stack below 0x2000. There must be no interrupt controllers in the kernel.
# Registers: rflags 2.
# Exits: out 0x500 (0) once with interrupts off, then out 0x500 (1) with interrupts on, for ever; out 0x3f8 (the
# letter) for each event.
.intel_syntax noprefix
.code16
.org 0x1000
    .set DEVICE, 0x500
    .set COM1, 0x3f8
start:
    mov sp, 0x2000
    mov word ptr ds:[2 * 4], offset nmi
    mov word ptr ds:[2 * 4 + 2], 0
    mov word ptr ds:[6 * 4], offset invalid_opcode
    mov word ptr ds:[6 * 4 + 2], 0
    mov word ptr ds:[0x20 * 4], offset interrupt
    mov word ptr ds:[0x20 * 4 + 2], 0
    mov dx, DEVICE
    xor al, al
    out dx, al
    sti
    mov cx, 20000                   # time for the host to see that interrupts are on: some look between exits only
settle:
    loop settle
ready:
    mov dx, DEVICE
    mov al, 1
    out dx, al
    jmp ready

nmi:
    push ax
    mov al, 'N'
    jmp print
invalid_opcode:
    push ax
    mov al, 'U'
    jmp print
interrupt:
    push ax
    mov al, 'I'
print:
    push dx
    mov dx, COM1
    out dx, al
    pop dx
    pop ax
    iret
