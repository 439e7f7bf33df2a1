# Two vCPUs meet: each counts itself, says its name, and waits for the other.
#
# Mode: 16-bit real mode, cs base 0, both vCPUs. Loaded and entered at 0x1000. The word at 0x2000 must be
# mapped and 0.
# Registers: bl, the byte that this vCPU prints; rflags 2.
# Exits of each vCPU: out 0x3f8 (bl), then, when both have counted, hlt.
.intel_syntax noprefix
.code16
.org 0x1000
start:
    lock inc word ptr ds:[0x2000]
    mov al, bl
    mov dx, 0x3f8
    out dx, al
wait_for_other:
    pause
    cmp word ptr ds:[0x2000], 2
    jb wait_for_other
    hlt
