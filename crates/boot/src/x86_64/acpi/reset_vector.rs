//! What a guest finds where a PC has its BIOS's reset vector.
//!
//! Linux with EFI support, as distributions build it, resets a hardware-reduced machine through EFI, and without EFI
//! through the BIOS, and does not try the reset register at all: `reboot_init()` and
//! `native_machine_emergency_restart()` in `arch/x86/kernel/reboot.c`. It goes back to real mode and jumps to f000:fff0
//! (`arch/x86/realmode/rm/reboot.S`).

use super::config::Reset;

/// Up to the end of the first MiB.
const ROOM: usize = 16;

/// Code for real mode that writes to the reset register, and waits for the reset with interrupts off.
pub(super) fn reset_vector(reset: Reset) -> [u8; ROOM] {
    let [port_low, port_high] = reset.port.to_le_bytes();
    let code = [
        [0xfa].as_slice(),            // cli
        &[0xba, port_low, port_high], // mov dx, port
        &[0xb0, reset.value],         // mov al, value
        &[0xee],                      // out dx, al
        &[0xf4],                      // halt: hlt
        &[0xeb, 0xfd],                // jmp halt
    ]
    .concat();
    let mut bytes = [0; ROOM];
    bytes[..code.len()].copy_from_slice(&code);
    bytes
}
