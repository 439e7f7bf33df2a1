# Starts all processors of its machine: each prints its number, from the local APIC, to port 0x3f8; when all have,
# the first one prints how many there are, as letters from 'A', and powers off.
#
# Mode: 32-bit protected mode on the first processor. Loaded and entered at 0x1000. 0x0 to 0x3fff must be mapped.
# Needs KVM's interrupt controllers, an MP table at 0x9fc00, and processors that wait for INIT and SIPI.
# Registers: none.
# Exits: out 0x3f8 '0' to ...; out 0x3f8 'A' to ... (number of processors); out 0x600 (0x34).
.intel_syntax noprefix
.code32
.org 0x1000
    .set EBDA, 0x9fc00
    .set LAPIC_ID, 0xfee00020
    .set LAPIC_SPURIOUS, 0xfee000f0
    .set LAPIC_COMMAND, 0xfee00300
    .set INIT_ALL_OTHERS, 0x000c4500
    .set START_ALL_OTHERS, 0x000c4603    # at page 3
    .set TRAMPOLINE, 0x3000
    .set TRAMPOLINE_ROOM, 64        # more than it needs
    .set STARTED, 0x2000            # how many processors run
    .set LOCK, 0x2004               # who prints
    .set COM1, 0x3f8
start:
    mov esp, 0x2000
    mov dword ptr ds:[STARTED], 0
    mov dword ptr ds:[LOCK], 0

    mov esi, offset trampoline      # the others begin in real mode, at the start of a page
    mov edi, TRAMPOLINE
    mov ecx, TRAMPOLINE_ROOM
    cld
    rep movsb

    cmp dword ptr ds:[EBDA], 0x5f504d5f     # "_MP_"
    jne no_table
    mov esi, dword ptr ds:[EBDA + 4]
    movzx ecx, word ptr [esi + 34]  # the number of entries; those of processors come first
    add esi, 44
    xor ebp, ebp
count:
    cmp byte ptr [esi], 0
    jne counted
    inc ebp
    add esi, 20
    dec ecx
    jnz count
counted:

    mov eax, dword ptr ds:[LAPIC_SPURIOUS]
    or eax, 0x100                   # the APIC is on
    mov dword ptr ds:[LAPIC_SPURIOUS], eax
    cmp ebp, 1
    je alone
    mov dword ptr ds:[LAPIC_COMMAND], INIT_ALL_OTHERS
    call pause_a_while
    mov dword ptr ds:[LAPIC_COMMAND], START_ALL_OTHERS
    call pause_a_while
    mov dword ptr ds:[LAPIC_COMMAND], START_ALL_OTHERS
alone:
    call say_id
wait_for_others:
    pause
    cmp dword ptr ds:[STARTED], ebp
    jb wait_for_others

    mov ecx, ebp
    mov al, 'A'
    mov dx, COM1
letters:
    out dx, al
    inc al
    dec ecx
    jnz letters
off:
.include "machine-off.inc"

no_table:
    mov al, '?'
    mov dx, COM1
    out dx, al
    jmp off

pause_a_while:
    mov ecx, 2000
1:
    pause
    dec ecx
    jnz 1b
    ret

# Prints this processor's number and counts it.
say_id:
    mov ebx, dword ptr ds:[LAPIC_ID]
    shr ebx, 24
1:
    mov al, 1
    xchg byte ptr ds:[LOCK], al
    test al, al
    jnz 1b
    lea eax, [ebx + '0']
    mov dx, COM1
    out dx, al
    mov byte ptr ds:[LOCK], 0
    lock inc dword ptr ds:[STARTED]
    ret

# Runs at TRAMPOLINE, in real mode: into protected mode by the first processor's descriptor table.
trampoline:
    .code16
    cli
    xor ax, ax
    mov ds, ax
    .byte 0x66                      # lgdt with all 32 bits of the base
    lgdt ds:[descriptors]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    .byte 0x66, 0xea                # jmp 0x10:on, 32 bits
    .long on
    .word 0x10
    .code32
on:
    mov ax, 0x18
    mov ds, ax
    mov es, ax
    mov ss, ax
    # No stack is needed but for the return: each processor has one of 64 bytes.
    mov eax, dword ptr ds:[LAPIC_ID]
    shr eax, 24
    shl eax, 6
    lea esp, [eax + 0x2800]
    call say_id
1:
    cli
    hlt
    jmp 1b

descriptors:
    .word 6 * 8 - 1
    .long 0x500                     # where the machine has put its own
