# A Multiboot kernel: prints what its loader tells, and powers off.
#
# Mode: 32-bit protected mode. Loaded and entered at 0x1000, as the ELF32 file or by the addresses that a test gives
# it; the stack is below 0x5000. 0x1000 to 0x4fff must be mapped.
# Registers: eax and ebx as the specification says: the magic number and the information structure.
# Exits: out 0x3f8 with each byte of the text, one line for each fact; out 0x600 (0x34).
.intel_syntax noprefix
.code32
.org 0x1000
    .set LOADER_MAGIC, 0x2badb002
    .set HEADER_MAGIC, 0x1badb002
    .set HEADER_FLAGS, 3            # page-aligned modules, information about memory
    .set INFO_MEMORY, 1 << 0
    .set INFO_COMMAND_LINE, 1 << 2
    .set INFO_MODULES, 1 << 3
    .set INFO_MEMORY_MAP, 1 << 6
    .set INFO_LOADER_NAME, 1 << 9
    .set COM1, 0x3f8
start:
    jmp begin
    .balign 4
    .long HEADER_MAGIC
    .long HEADER_FLAGS
    .long -(HEADER_MAGIC + HEADER_FLAGS)
begin:
    mov esp, 0x5000
    cld
    mov ebp, ebx
    mov esi, offset magic_text
    mov edx, eax
    call fact
    mov esi, offset flags_text
    mov edx, dword ptr [ebp]
    call fact

    test dword ptr [ebp], INFO_MEMORY
    jz 1f
    mov esi, offset lower_text
    mov edx, dword ptr [ebp + 4]
    call fact
    mov esi, offset upper_text
    mov edx, dword ptr [ebp + 8]
    call fact
1:
    test dword ptr [ebp], INFO_COMMAND_LINE
    jz 1f
    mov esi, offset command_line_text
    mov edi, dword ptr [ebp + 16]
    call text_fact
1:
    test dword ptr [ebp], INFO_LOADER_NAME
    jz 1f
    mov esi, offset loader_text
    mov edi, dword ptr [ebp + 64]
    call text_fact
1:
    test dword ptr [ebp], INFO_MODULES
    jz maps
    mov ecx, dword ptr [ebp + 20]
    mov ebx, dword ptr [ebp + 24]
module:
    test ecx, ecx
    jz maps
    mov esi, offset module_text
    call put_text
    mov edx, dword ptr [ebx]
    call put_number
    mov al, ' '
    call put_byte
    mov edx, dword ptr [ebx + 4]
    sub edx, dword ptr [ebx]
    call put_number
    mov al, ' '
    call put_byte
    mov esi, dword ptr [ebx]
    mov edx, dword ptr [esi]        # its first four bytes
    call put_number
    mov al, ' '
    call put_byte
    mov esi, dword ptr [ebx + 8]
    call put_text
    call end_line
    add ebx, 16
    dec ecx
    jmp module
maps:
    test dword ptr [ebp], INFO_MEMORY_MAP
    jz off
    mov ebx, dword ptr [ebp + 48]
    mov ecx, dword ptr [ebp + 44]
    add ecx, ebx
range:
    cmp ebx, ecx
    jae off
    mov esi, offset map_text
    call put_text
    mov edx, dword ptr [ebx + 8]    # the upper half of a number first
    call put_number
    mov edx, dword ptr [ebx + 4]
    call put_number
    mov al, ' '
    call put_byte
    mov edx, dword ptr [ebx + 16]
    call put_number
    mov edx, dword ptr [ebx + 12]
    call put_number
    mov al, ' '
    call put_byte
    mov edx, dword ptr [ebx + 20]
    call put_number
    call end_line
    add ebx, dword ptr [ebx]        # its size does not count itself
    add ebx, 4
    jmp range
off:
.include "machine-off.inc"

# A line of the name at esi and the number in edx.
fact:
    call put_text
    call put_number
    jmp end_line

# A line of the name at esi and the text at edi.
text_fact:
    call put_text
    mov esi, edi
    call put_text
end_line:
    mov al, '\n'
put_byte:
    push edx
    mov dx, COM1
    out dx, al
    pop edx
    ret

# Prints the text at esi, which ends with a zero.
put_text:
    lodsb
    test al, al
    jz 1f
    call put_byte
    jmp put_text
1:
    ret

# Prints edx in 8 hexadecimal digits.
put_number:
    push ecx
    mov ecx, 8
1:
    rol edx, 4
    mov al, dl
    and al, 15
    add al, '0'
    cmp al, '9'
    jbe 2f
    add al, 'a' - '9' - 1
2:
    call put_byte
    dec ecx
    jnz 1b
    pop ecx
    ret

magic_text:
    .asciz "magic "
flags_text:
    .asciz "flags "
lower_text:
    .asciz "lower "
upper_text:
    .asciz "upper "
command_line_text:
    .asciz "cmdline "
loader_text:
    .asciz "loader "
module_text:
    .asciz "module "
map_text:
    .asciz "map "
