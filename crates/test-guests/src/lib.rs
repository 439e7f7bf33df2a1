//! Guest programs for tests, benchmarks and examples: readable assembly in `guests/NAME.s`, and beside it the
//! bytes and the listing that `scripts/assemble-guests.mjs` makes of it.
//!
//! Each source says what the guest shows, which registers and memory it expects, and how it exits. Common to
//! all: everything that a guest needs lies below 0x8000, and everything that it expects not to be mapped at
//! 0x8000 or above; `guests/guests.json` tells the same as [`ALL`] to TypeScript. Those for a `Machine` want its
//! devices and tables too, and end it.
//!
//! The guests of aarch64 are in `guests/aarch64`, listed in a `guests.json` of their own: TypeScript reads them.
#![forbid(unsafe_code)]

/// How the CPU must be set up before the guest is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// 16-bit real mode with cs base 0: otherwise a vCPU as it is after creation.
    Real16,
    /// 32-bit protected mode without paging: cs and data segments flat, cs with 32-bit operands.
    Protected32,
    /// 64-bit long mode: page tables of the host's map at least the first 2 MiB to themselves.
    Long64,
}

/// A guest program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guest {
    /// The name of its files.
    pub name: &'static str,
    /// The mode that it is written for.
    pub mode: Mode,
    /// The guest-physical address of its first byte.
    pub load_address: u64,
    /// The address to enter it at.
    pub entry: u64,
    /// The program.
    pub bytes: &'static [u8],
}

/// Declares a constant for each guest, and the list of all.
macro_rules! guests {
    ($($(#[$doc:meta])+ $constant:ident = $name:literal, $mode:ident;)+) => {
        $(
            $(#[$doc])+
            pub const $constant: Guest = Guest {
                name: $name,
                mode: Mode::$mode,
                load_address: 0x1000,
                entry: 0x1000,
                bytes: include_bytes!(concat!("../guests/", $name, ".bin")),
            };
        )+

        /// All guests, sorted by name.
        pub const ALL: &[Guest] = &[$($constant),+];
    };
}

guests! {
    /// Prints the sum of al and bl as a digit, and a newline, to port 0x3f8; halts.
    ADD_NUMBERS = "add-numbers", Real16;
    /// A text adventure on COM1.
    ADVENTURE = "adventure", Real16;
    /// Prints what the device at port 0x500 has at each IRQ 5, until that is 0; then writes 0 to port 0xf4.
    DEVICE_INTERRUPT = "device-interrupt", Real16;
    /// Writes one byte at 0x5000, halts.
    DIRTY_ONE_PAGE = "dirty-one-page", Real16;
    /// For a `Machine`: prints what is typed, by interrupts, until Ctrl-D; powers off.
    ECHO = "echo", Real16;
    /// Stores an x87 register at the unmapped 0x10000, which KVM cannot emulate.
    EMULATION_FAILURE = "emulation-failure", Real16;
    /// For a `Machine`: notes the registers that it starts with, powers off.
    ENTRY_LONG = "entry-long", Long64;
    /// For a `Machine`: notes the registers that it starts with, powers off.
    ENTRY_PROTECTED = "entry-protected", Protected32;
    /// For a `Machine`: notes the registers that it starts with, powers off.
    ENTRY_REAL = "entry-real", Real16;
    /// Writes to ports 0x600 to 0x6ff for ever.
    EXIT_STORM = "exit-storm", Real16;
    /// Halts for ever.
    HLT_LOOP = "hlt-loop", Real16;
    /// Makes hypercall 12 for one page, prints the low byte of its result, halts.
    HYPERCALL = "hypercall", Real16;
    /// Prints a letter for each NMI, invalid-opcode exception and external interrupt that the host injects.
    INJECTED_EVENTS = "injected-events", Real16;
    /// Prints 'M' for each interrupt with vector 0x30 at its local APIC.
    INTERRUPT_MESSAGE = "interrupt-message", Protected32;
    /// The first example in kvm-ioctls' documentation; 0x8000 must not be mapped.
    KVM_IOCTLS_EXAMPLE = "kvm-ioctls-example", Real16;
    /// Takes level-triggered interrupts of the device at port 0x500 by the IOAPIC; says when it has ended each.
    LEVEL_INTERRUPT = "level-interrupt", Protected32;
    /// Prints from 64-bit mode, computes in r8 to r15, halts.
    LONG_MODE_HELLO = "long-mode-hello", Long64;
    /// Reads 8 bytes at the unmapped 0x10000, writes them at 0x10008, halts.
    MMIO_8_BYTE = "mmio-8-byte", Long64;
    /// Writes al at the unmapped 0x10000 and counts eax up, ecx times; then eax at 0x10008, halts.
    MMIO_BURST = "mmio-burst", Real16;
    /// Reads 4 bytes at the unmapped 0x10000, adds ecx, writes them at 0x10004, for ever.
    MMIO_ECHO = "mmio-echo", Real16;
    /// On two vCPUs: each writes eax at the unmapped 0x10000; reads at 0x10004 when both have.
    MMIO_MEET = "mmio-meet", Real16;
    /// Reads 2 bytes at the unmapped 0x10000 for ever.
    MMIO_READ_LOOP = "mmio-read-loop", Real16;
    /// Reads 1, 2 and 4 bytes from the unmapped 0x10000, 0x10002, 0x10004, writes each 16 bytes above, halts.
    MMIO_SIZES = "mmio-sizes", Protected32;
    /// Writes eax at the unmapped 0x10000 and counts it up, for ever.
    MMIO_STORM = "mmio-storm", Real16;
    /// Writes 1, 2 and 4 bytes of eax at the unmapped 0x10000, halts.
    MMIO_WIDTHS = "mmio-widths", Real16;
    /// Writes the 2 bytes in cx at the unmapped 0x10000 for ever.
    MMIO_WRITE_LOOP = "mmio-write-loop", Real16;
    /// For a `Machine`: prints what a Multiboot loader tells it, powers off.
    MULTIBOOT = "multiboot", Protected32;
    /// Reads a byte from port 0x500 for ever.
    PIO_IN_LOOP = "pio-in-loop", Real16;
    /// Writes the byte in al to port 0x500 for ever.
    PIO_OUT_LOOP = "pio-out-loop", Real16;
    /// A tiny shell on COM1.
    SHELL = "shell", Real16;
    /// nop, inc ax, inc bx, hlt.
    SINGLE_STEP = "single-step", Real16;
    /// Jumps to itself for ever.
    SPIN = "spin", Real16;
    /// For a `Machine`: starts its other processors, prints their numbers, powers off.
    START_PROCESSORS = "start-processors", Protected32;
    /// Reads 16 bytes from port 0x500 to 0x2000 with `rep insb`, halts.
    STRING_IN = "string-in", Real16;
    /// Reads 16 bytes from port 0x500 to 0x2000 with `rep insd`, halts.
    STRING_IN_DWORD = "string-in-dword", Real16;
    /// Reads 16 bytes from port 0x500 to 0x2000 with `rep insw`, halts.
    STRING_IN_WORD = "string-in-word", Real16;
    /// Writes a text to port 0x3f8 with `rep outsb`, halts.
    STRING_OUT = "string-out", Real16;
    /// Prints 'S' for each system management interrupt; needs memory up to 0x3ffff.
    SYSTEM_MANAGEMENT = "system-management", Real16;
    /// Prints 'T' at each of three PIT ticks, then 'D', then writes 0 to port 0xf4.
    TIMER_INTERRUPT = "timer-interrupt", Real16;
    /// Faults without any handler.
    TRIPLE_FAULT = "triple-fault", Protected32;
    /// On two vCPUs: each prints its bl and halts when both have counted at 0x2000.
    TWO_VCPUS = "two-vcpus", Real16;
    /// Reads 4 bytes at the unmapped 0xd0000000, halts.
    UNMAPPED_READ = "unmapped-read", Protected32;
    /// Writes to the pages 0x10 to 0xef, and at the unmapped 0x100000 after each, for ever.
    WRITE_PAGES = "write-pages", Real16;
    /// Writes 'W' at 0x3000, which is mapped read-only, and the byte that is there at 0x10000, halts.
    WRITE_READ_ONLY = "write-read-only", Real16;
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const JSON: &str = include_str!("../guests/guests.json");

    fn as_json(guest: &Guest) -> String {
        let mode = match guest.mode {
            Mode::Real16 => "real16",
            Mode::Protected32 => "protected32",
            Mode::Long64 => "long64",
        };
        let fields = [
            format!(r#""name": "{}""#, guest.name),
            format!(r#""mode": "{mode}""#),
            format!(r#""loadAddress": {}"#, guest.load_address),
            format!(r#""entry": {}"#, guest.entry),
            format!(r#""file": "{}.bin""#, guest.name),
        ];
        format!("  {{\n    {}\n  }}", fields.join(",\n    "))
    }

    #[test]
    fn typescript_is_told_the_same() {
        let rows: Vec<String> = ALL.iter().map(as_json).collect();
        assert_eq!(JSON, format!("[\n{}\n]\n", rows.join(",\n")));
    }

    #[test]
    fn every_source_has_a_constant() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests");
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|entry| {
                let file = entry.unwrap().file_name().into_string().unwrap();
                file.strip_suffix(".s").map(str::to_owned)
            })
            .collect();
        names.sort();
        let constants: Vec<&str> = ALL.iter().map(|guest| guest.name).collect();
        assert_eq!(names, constants);
    }

    #[test]
    fn guests_fit_below_their_data() {
        for guest in ALL {
            assert!(!guest.bytes.is_empty(), "{} is empty", guest.name);
            assert!(guest.bytes.len() < 0xf00, "{} meets its stack", guest.name);
        }
    }
}
