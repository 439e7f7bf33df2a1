# Counts three ticks of the PIT, sleeping between them.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. 0x0 to 0x1fff must be mapped: the vector
# table is at 0, the stack below 0x2000. Needs KVM's interrupt controller and PIT.
# Registers: rflags 2.
# Exits: out 0x3f8 'T', three times, 10 ms apart; out 0x3f8 'D'; out 0xf4 (0), where the host stops: after
# that the guest halts with interrupts off.
.intel_syntax noprefix
.code16
.org 0x1000
    .set PIC1_COMMAND, 0x20
    .set PIC1_DATA, 0x21
    .set VECTOR_BASE, 8             # IRQ 0 is vector 8, as the BIOS of a PC has it
    .set END_OF_INTERRUPT, 0x20
    .set PIT_CHANNEL_0, 0x40
    .set PIT_COMMAND, 0x43
    .set DIVISOR, 11932             # 1193182 Hz / 11932 = 100 Hz
start:
    mov sp, 0x2000
    mov word ptr ds:[VECTOR_BASE * 4], offset tick
    mov word ptr ds:[VECTOR_BASE * 4 + 2], 0

    mov al, 0x11                    # ICW1: start, edge-triggered, two chips, ICW4 follows
    out PIC1_COMMAND, al
    mov al, VECTOR_BASE             # ICW2
    out PIC1_DATA, al
    mov al, 0x04                    # ICW3: the second chip is at IRQ 2
    out PIC1_DATA, al
    mov al, 0x01                    # ICW4: 8086
    out PIC1_DATA, al
    mov al, 0xfe                    # only IRQ 0 is let through
    out PIC1_DATA, al

    mov al, 0x34                    # channel 0, low byte then high byte, mode 2: a tick every DIVISOR
    out PIT_COMMAND, al
    mov al, DIVISOR & 0xff
    out PIT_CHANNEL_0, al
    mov al, DIVISOR >> 8
    out PIT_CHANNEL_0, al

    xor bx, bx
sleep:
    sti
    hlt
    cli
    cmp bx, 3
    jb sleep

    mov al, 'D'
    mov dx, 0x3f8
    out dx, al
    xor al, al
    out 0xf4, al
    hlt

tick:
    push ax
    push dx
    inc bx
    mov al, 'T'
    mov dx, 0x3f8
    out dx, al
    mov al, END_OF_INTERRUPT
    out PIC1_COMMAND, al
    pop dx
    pop ax
    iret
