# Faults with no way to handle a fault, nor the fault about that: the CPU shuts down.
#
# Mode: 32-bit protected mode without paging, flat segments. Loaded and entered at 0x1000. Needs no other
# memory.
# Registers: rflags 2. Exits: shutdown.
.intel_syntax noprefix
.code32
.org 0x1000
start:
    lidt [no_handlers]
    ud2
no_handlers:
    .word 0
    .long 0
