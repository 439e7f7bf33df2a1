# Sleeps until a device interrupts, and prints what the device then has.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. 0x0 to 0x1fff must be mapped: the vector
# table is at 0, the stack below 0x2000. Needs KVM's interrupt controller.
# The device is at port 0x500, on IRQ 5, edge-triggered: written (1) once, when the guest is ready for
# interrupts (edges before that are lost); read once per interrupt.
# Registers: rflags 2.
# Exits: out 0x500 (1); for each interrupt in 0x500, and unless it is 0, out 0x3f8 (the byte); after a 0, out
# 0xf4 (0), where the host stops: after that the guest halts with interrupts off.
.intel_syntax noprefix
.code16
.org 0x1000
    .set PIC1_COMMAND, 0x20
    .set PIC1_DATA, 0x21
    .set VECTOR_BASE, 0x20          # above the CPU's own exceptions
    .set END_OF_INTERRUPT, 0x20
    .set IRQ, 5
    .set DEVICE, 0x500
start:
    mov sp, 0x2000
    mov word ptr ds:[(VECTOR_BASE + IRQ) * 4], offset called
    mov word ptr ds:[(VECTOR_BASE + IRQ) * 4 + 2], 0

    mov al, 0x11                    # ICW1: start, edge-triggered, two chips, ICW4 follows
    out PIC1_COMMAND, al
    mov al, VECTOR_BASE             # ICW2
    out PIC1_DATA, al
    mov al, 0x04                    # ICW3: the second chip is at IRQ 2
    out PIC1_DATA, al
    mov al, 0x01                    # ICW4: 8086
    out PIC1_DATA, al
    mov al, 0xff & ~(1 << IRQ)      # only the device is let through
    out PIC1_DATA, al

    mov dx, DEVICE
    mov al, 1
    out dx, al
    mov bl, al
sleep:
    sti
    hlt
    cli
    test bl, bl
    jnz sleep

    xor al, al
    out 0xf4, al
    hlt

called:
    push ax
    push dx
    mov dx, DEVICE
    in al, dx
    mov bl, al                      # the main program looks at the last byte
    test al, al
    jz acknowledge
    mov dx, 0x3f8
    out dx, al
acknowledge:
    mov al, END_OF_INTERRUPT
    out PIC1_COMMAND, al
    pop dx
    pop ax
    iret
