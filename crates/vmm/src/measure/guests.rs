//! The guest programs that all peers run: native, C, Rust and JavaScript.
//!
//! Real mode, code and data segments at base 0, loaded at [`GUEST_ADDRESS`]. A program is 63 times the measured
//! instruction, unrolled so that no other instruction stands between two exits, then the marker that ends a
//! block, then a jump back:
//!
//! ```text
//! 1000:   e6 10        out 0x10, al       ; or another instruction of `access`, 63 times
//!         …
//!         e6 11        out 0x11, al       ; the marker: every peer stops its block here
//!         e9 xx xx     jmp 0x1000
//! ```

/// Exits in one block: 63 of the measured kind and the marker. With an ioeventfd or a coalesced zone only the
/// marker is an exit, the 63 writes before it stay in the kernel.
pub const EXITS_PER_BLOCK: u32 = 64;

/// Guest-physical address where a program is loaded and starts.
pub const GUEST_ADDRESS: u64 = 0x1000;

/// Bytes of guest memory from [`GUEST_ADDRESS`] on.
pub const GUEST_MEMORY_SIZE: usize = 0x1000;

/// Guest-physical address of the measured MMIO accesses: no memory is there.
pub const MMIO_ADDRESS: u64 = 0x9000;

/// Port of the measured accesses.
pub const ACCESS_PORT: u16 = 0x10;

/// Port of the write that ends a block.
pub const MARKER_PORT: u16 = 0x11;

/// What the guest does 63 times a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitKind {
    /// `out` to a port: `KVM_EXIT_IO`, direction out.
    PioOut,
    /// `in` from a port: `KVM_EXIT_IO`, answered with a byte.
    PioIn,
    /// A read where no memory is: `KVM_EXIT_MMIO`, answered with a byte.
    MmioRead,
    /// A write where no memory is: `KVM_EXIT_MMIO`.
    MmioWrite,
    /// `hlt`: `KVM_EXIT_HLT`, there is no interrupt controller in the kernel.
    Hlt,
    /// `out` to a port that an ioeventfd takes: no exit.
    IoEventFd,
    /// `out` to a port in a coalesced zone: no exit, the byte waits in KVM's ring.
    Coalesced,
}

impl ExitKind {
    /// All kinds, in the order in which tables show them.
    pub const ALL: [Self; 7] = [
        Self::PioOut,
        Self::PioIn,
        Self::MmioRead,
        Self::MmioWrite,
        Self::Hlt,
        Self::IoEventFd,
        Self::Coalesced,
    ];

    /// The name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PioOut => "pioOut",
            Self::PioIn => "pioIn",
            Self::MmioRead => "mmioRead",
            Self::MmioWrite => "mmioWrite",
            Self::Hlt => "hlt",
            Self::IoEventFd => "ioeventfd",
            Self::Coalesced => "coalesced",
        }
    }

    /// The kind of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The measured instruction.
    fn access(self) -> &'static [u8] {
        match self {
            Self::PioOut | Self::IoEventFd | Self::Coalesced => &[0xe6, 0x10], // out 0x10, al
            Self::PioIn => &[0xe4, 0x10],                                      // in al, 0x10
            Self::MmioRead => &[0xa0, 0x00, 0x90],                             // mov al, [0x9000]
            Self::MmioWrite => &[0xa2, 0x00, 0x90],                            // mov [0x9000], al
            Self::Hlt => &[0xf4],                                              // hlt
        }
    }
}

/// The program of one kind, to be loaded at [`GUEST_ADDRESS`].
#[must_use]
pub fn guest(kind: ExitKind) -> Vec<u8> {
    let mut program = kind.access().repeat(EXITS_PER_BLOCK as usize - 1);
    program.extend([0xe6, MARKER_PORT as u8]); // out 0x11, al
    // jmp rel16, counted from the end of the jump: back to the first byte.
    let length = program.len() as i16 + 3;
    program.push(0xe9);
    program.extend((-length).to_le_bytes());
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_63_accesses_a_marker_and_a_jump_to_its_start() {
        for kind in ExitKind::ALL {
            let program = guest(kind);
            let access = kind.access();
            let accesses = 63 * access.len();
            assert!(program[..accesses].chunks(access.len()).all(|chunk| chunk == access));
            assert_eq!(program[accesses..accesses + 3], [0xe6, 0x11, 0xe9]);
            let jump = i16::from_le_bytes([program[accesses + 3], program[accesses + 4]]);
            assert_eq!(program.len() as i16 + jump, 0);
            assert!(program.len() <= GUEST_MEMORY_SIZE);
        }
    }

    #[test]
    fn names_lead_back_to_their_kinds() {
        for kind in ExitKind::ALL {
            assert_eq!(ExitKind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(ExitKind::from_name("nothing"), None);
    }
}
