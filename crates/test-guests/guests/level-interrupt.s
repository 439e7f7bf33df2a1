# Takes level-triggered interrupts by the IOAPIC, and says before and behind each end of interrupt that it is there.
#
# Mode: 32-bit protected mode, flat segments. Loaded and entered at 0x1000. 0x0 to 0x2fff must be mapped: the vector
# table is at 0x2000, the stack below 0x3000. Needs KVM's interrupt controllers.
# The device is at port 0x500, on IOAPIC pin 5.
# Registers: rflags 2.
# Exits: out 0x500 (1) when interrupts can come; for each in 0x500, out 0x3f8 (the byte), and behind the end of
# interrupt out 0x501 (the byte). Sleeps in between, for ever.
.intel_syntax noprefix
.code32
.org 0x1000
    .set PIC1_DATA, 0x21
    .set PIC2_DATA, 0xa1
    .set VECTORS, 0x2000
    .set VECTOR, 0x30
    .set CODE_SEGMENT, 0x8
    .set INTERRUPT_GATE, 0x8e00
    .set APIC_EOI, 0xfee000b0
    .set APIC_SPURIOUS, 0xfee000f0
    .set IOAPIC_SELECT, 0xfec00000
    .set IOAPIC_WINDOW, 0xfec00010
    .set PIN, 5
    .set REDIRECTION, 0x10 + PIN * 2
    .set LEVEL, 1 << 15
    .set DEVICE, 0x500
start:
    mov esp, 0x3000
    mov al, 0xff                    # the PICs have the line as well, and keep quiet
    out PIC1_DATA, al
    out PIC2_DATA, al
    mov eax, offset called
    mov word ptr ds:[VECTORS + VECTOR * 8], ax
    mov word ptr ds:[VECTORS + VECTOR * 8 + 2], CODE_SEGMENT
    mov dword ptr ds:[VECTORS + VECTOR * 8 + 4], INTERRUPT_GATE
    lidt ds:[table]
    mov dword ptr ds:[APIC_SPURIOUS], 0x1ff
    mov dword ptr ds:[IOAPIC_SELECT], REDIRECTION + 1
    mov dword ptr ds:[IOAPIC_WINDOW], 0     # to APIC 0
    mov dword ptr ds:[IOAPIC_SELECT], REDIRECTION
    mov dword ptr ds:[IOAPIC_WINDOW], LEVEL | VECTOR
    mov dx, DEVICE
    mov al, 1
    out dx, al
sleep:
    sti
    hlt
    jmp sleep

called:
    mov dx, DEVICE
    in al, dx
    mov dx, 0x3f8
    out dx, al
    mov dword ptr ds:[APIC_EOI], 0
    mov dx, DEVICE + 1
    out dx, al
    add esp, 12                     # KVM's emulator, where it must be used, knows no iret in protected mode
    jmp sleep

table:
    .word VECTOR * 8 + 7
    .long VECTORS
