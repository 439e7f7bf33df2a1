# A text adventure in three rooms on COM1: there is gold in the cellar, but it is dark.
#
# Mode: 16-bit real mode, cs base 0. Loaded and entered at 0x1000. 0x1000 to 0x1fff must be mapped, the stack
# is at its end.
# Registers: rflags 2.
# Exits: in 0x3fd (line status) while it waits, in 0x3f8, out 0x3f8; hlt when the game is won or after `quit`.
# The way to win: north, take lamp, south, down.
.intel_syntax noprefix
.code16
.org 0x1000
    .set HALL, 0
    .set GARDEN, 1
start:
    cld
    mov sp, 0x2000
    mov byte ptr ds:[room], HALL
    mov byte ptr ds:[have_lamp], 0
    mov si, offset banner
    call put_text
    call look
.include "commands.inc"

look:
    cmp byte ptr ds:[room], GARDEN
    je look_garden
    mov si, offset hall_text
    jmp put_text
look_garden:
    mov si, offset garden_text
    call put_text
    cmp byte ptr ds:[have_lamp], 0
    jne nothing_more
    mov si, offset lamp_text
    jmp put_text
nothing_more:
    ret

north:
    cmp byte ptr ds:[room], HALL
    jne no_way
    mov byte ptr ds:[room], GARDEN
    jmp look

south:
    cmp byte ptr ds:[room], GARDEN
    jne no_way
    mov byte ptr ds:[room], HALL
    jmp look

down:
    cmp byte ptr ds:[room], HALL
    jne no_way
    cmp byte ptr ds:[have_lamp], 0
    jne win
    mov si, offset dark_text
    jmp put_text

no_way:
    mov si, offset no_way_text
    jmp put_text

take_lamp:
    cmp byte ptr ds:[room], GARDEN
    jne no_lamp
    cmp byte ptr ds:[have_lamp], 0
    jne no_lamp
    mov byte ptr ds:[have_lamp], 1
    mov si, offset taken_text
    jmp put_text
no_lamp:
    mov si, offset no_lamp_text
    jmp put_text

inventory:
    mov si, offset lamp_in_hand_text
    cmp byte ptr ds:[have_lamp], 0
    jne put_text
    mov si, offset empty_hands_text
    jmp put_text

win:
    mov si, offset win_text
    jmp end
quit:
    mov si, offset quit_text
end:
    call put_text
halted:
    hlt
    jmp halted

commands:
    .word help_word, help, look_word, look, north_word, north, south_word, south, down_word, down
    .word take_lamp_word, take_lamp, inventory_word, inventory, quit_word, quit, 0

help_word:
    .asciz "help"
look_word:
    .asciz "look"
north_word:
    .asciz "north"
south_word:
    .asciz "south"
down_word:
    .asciz "down"
take_lamp_word:
    .asciz "take lamp"
inventory_word:
    .asciz "inventory"
quit_word:
    .asciz "quit"

banner:
    .asciz "The Cellar: a small adventure. Type help.\n\n"
help_text:
    .asciz "look, north, south, down, take lamp, inventory, quit\n"
hall_text:
    .asciz "You are in a hall. A door leads north, stairs lead down.\n"
garden_text:
    .asciz "You are in a garden. A door leads south.\n"
lamp_text:
    .asciz "A lamp hangs on a tree.\n"
taken_text:
    .asciz "You take the lamp. It is lit.\n"
no_lamp_text:
    .asciz "There is no lamp to take.\n"
lamp_in_hand_text:
    .asciz "You carry a lamp.\n"
empty_hands_text:
    .asciz "You carry nothing.\n"
dark_text:
    .asciz "It is pitch dark. You dare not go down.\n"
no_way_text:
    .asciz "You cannot go there.\n"
unknown_text:
    .asciz "I do not understand.\n"
win_text:
    .asciz "By the light of the lamp you find a chest of gold. You win!\n"
quit_text:
    .asciz "Goodbye.\n"
room:
    .byte HALL
have_lamp:
    .byte 0

.include "console.inc"
