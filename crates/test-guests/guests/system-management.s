# Prints 'S' for each system management interrupt.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. 0x0 to 0x3ffff must be mapped: unlike other
# guests, this one needs memory above 0x8000, since the CPU begins in system management mode at 0x38000 and keeps
# its state at 0x3fe00.
# Registers: rflags 2. Exits: out 0x500 (1) for ever; out 0x3f8 ('S') for each interrupt.
.intel_syntax noprefix
.code16
.org 0x1000
    .set HANDLER_SEGMENT, 0x3000
    .set HANDLER_OFFSET, 0x8000
start:
    mov sp, 0x2000
    mov ax, HANDLER_SEGMENT
    mov es, ax
    mov di, HANDLER_OFFSET
    mov si, offset handler
    mov cx, offset handler_end - handler
    cld
    rep movsb
ready:
    mov dx, 0x500
    mov al, 1
    out dx, al
    jmp ready

handler:
    mov dx, 0x3f8
    mov al, 'S'
    out dx, al
    rsm
handler_end:
