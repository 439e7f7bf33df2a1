# Prints 'M' for each interrupt with vector 0x30, and tells its local APIC that it is done.
#
# Mode: 32-bit protected mode, code selector 8. Loaded and entered at 0x1000. 0x0 to 0x3fff must be mapped: the
# interrupt table is at 0x2000, the stack below 0x3000. Needs a local APIC in the kernel.
# Registers: rflags 2.
# Exits: out 0x500 (1) when it is ready; for each interrupt out 0x3f8 ('M'). With a split interrupt controller the
# end of a level-triggered one is an exit, too.
.intel_syntax noprefix
.code32
.org 0x1000
    .set IDT, 0x2000
    .set VECTOR, 0x30
    .set CODE, 8
    .set INTERRUPT_GATE, 0x8e00
    .set LAPIC_EOI, 0xfee000b0
    .set LAPIC_SPURIOUS, 0xfee000f0
start:
    mov esp, 0x3000
    mov eax, offset message
    mov word ptr ds:[IDT + VECTOR * 8], ax
    mov word ptr ds:[IDT + VECTOR * 8 + 2], CODE
    mov word ptr ds:[IDT + VECTOR * 8 + 4], INTERRUPT_GATE
    shr eax, 16
    mov word ptr ds:[IDT + VECTOR * 8 + 6], ax
    lidt [table]
    mov eax, dword ptr ds:[LAPIC_SPURIOUS]
    or eax, 0x100                   # the APIC is on
    mov dword ptr ds:[LAPIC_SPURIOUS], eax
    mov dx, 0x500
    mov al, 1
    out dx, al
sleep:
    sti
    hlt
    jmp sleep

message:                            # does not return: some hosts' KVM cannot emulate iret in this mode
    mov esp, 0x3000
    mov dx, 0x3f8
    mov al, 'M'
    out dx, al
    mov dword ptr ds:[LAPIC_EOI], 0
    jmp sleep

table:
    .word (VECTOR + 1) * 8 - 1
    .long IDT
