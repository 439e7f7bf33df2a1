# A tiny shell on COM1.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. 0x1000 to 0x1fff must be mapped, the stack
# is at its end.
# Registers: rflags 2.
# Exits: in 0x3fd (line status) while it waits, in 0x3f8, out 0x3f8; hlt after `quit`.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    cld
    mov sp, 0x2000
    mov si, offset banner
    call put_text
.include "commands.inc"

hello:
    mov si, offset hello_text
    jmp put_text

echo:
    mov si, di
    call put_text
    mov al, '\n'
    jmp put_byte

add:                                # di: "2 3"
    mov ax, word ptr [di]
    mov cl, byte ptr [di + 2]
    cmp ah, ' '
    jne not_digits
    cmp byte ptr [di + 3], 0
    jne not_digits
    sub al, '0'
    cmp al, 9
    ja not_digits
    sub cl, '0'
    cmp cl, 9
    ja not_digits
    add al, cl
    cmp al, 10
    jb ones
    sub al, 10
    push ax
    mov al, '1'
    call put_byte
    pop ax
ones:
    add al, '0'
    call put_byte
    mov al, '\n'
    jmp put_byte
not_digits:
    mov si, offset not_digits_text
    jmp put_text

quit:
    mov si, offset quit_text
    call put_text
    hlt
    jmp quit

commands:
    .word help_word, help, hello_word, hello, echo_word, echo, add_word, add, quit_word, quit, 0

help_word:
    .asciz "help"
hello_word:
    .asciz "hello"
echo_word:
    .asciz "echo"
add_word:
    .asciz "add"
quit_word:
    .asciz "quit"

banner:
    .asciz "A tiny shell. Type help.\n"
help_text:
    .asciz "help, hello, echo TEXT, add DIGIT DIGIT, quit\n"
hello_text:
    .asciz "Hello from the guest!\n"
not_digits_text:
    .asciz "usage: add DIGIT DIGIT\n"
unknown_text:
    .asciz "unknown command\n"
quit_text:
    .asciz "Bye.\n"

.include "console.inc"
