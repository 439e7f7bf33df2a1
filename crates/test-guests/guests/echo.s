# Sleeps until COM1 interrupts, and prints what was typed, until that is Ctrl-D: then it powers its machine off.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. 0x0 to 0x1fff must be mapped: the vector table is
# at 0, the stack below 0x2000. Needs KVM's interrupt controller, and COM1 on IRQ 4.
# Registers: rflags 2.
# Exits: out 0x3f9 (1); out 0x3f8 '>'; for each byte in 0x3fd, in 0x3f8, out 0x3f8; after Ctrl-D out 0x600 (0x34).
.intel_syntax noprefix
.code16
.org 0x1000
    .set PIC1_COMMAND, 0x20
    .set PIC1_DATA, 0x21
    .set VECTOR_BASE, 0x20          # above the CPU's own exceptions
    .set END_OF_INTERRUPT, 0x20
    .set IRQ, 4
    .set COM1, 0x3f8
    .set INTERRUPT_ENABLE, 1
    .set LINE_STATUS, 5
    .set CTRL_D, 4
start:
    mov sp, 0x2000
    mov word ptr ds:[(VECTOR_BASE + IRQ) * 4], offset typed
    mov word ptr ds:[(VECTOR_BASE + IRQ) * 4 + 2], 0

    mov al, 0x11                    # ICW1: start, edge-triggered, two chips, ICW4 follows
    out PIC1_COMMAND, al
    mov al, VECTOR_BASE             # ICW2
    out PIC1_DATA, al
    mov al, 0x04                    # ICW3: the second chip is at IRQ 2
    out PIC1_DATA, al
    mov al, 0x01                    # ICW4: 8086
    out PIC1_DATA, al
    mov al, 0xff & ~(1 << IRQ)      # only the serial port is let through
    out PIC1_DATA, al

    mov dx, COM1 + INTERRUPT_ENABLE
    mov al, 1                       # received data
    out dx, al
    mov dx, COM1
    mov al, '>'
    out dx, al
    xor bx, bx
    call take                       # what was typed before: its edge may be lost
sleep:
    sti
    hlt
    cli
    test bx, bx
    jz sleep
.include "machine-off.inc"

# Prints all that waits. bx becomes 1 at Ctrl-D.
take:
    mov dx, COM1 + LINE_STATUS
    in al, dx
    test al, 1
    jz 2f
    mov dx, COM1
    in al, dx
    cmp al, CTRL_D
    jne 1f
    mov bx, 1
    jmp take
1:
    out dx, al
    jmp take
2:
    ret

typed:
    push ax
    push dx
    call take
    mov al, END_OF_INTERRUPT
    out PIC1_COMMAND, al
    pop dx
    pop ax
    iret
