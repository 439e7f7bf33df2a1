//! The ways into a kernel, and what an image is.

use std::fmt;

/// How a kernel is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// x86_64: a bzImage by the 64-bit entry of the Linux boot protocol.
    Linux64,
    /// x86_64: an ELF file with the PVH note, or a bzImage whose payload is one.
    Pvh,
    /// x86_64: a vmlinux (ELF, or the payload of a bzImage) by the 64-bit entry of the Linux boot protocol, with a zero page.
    Elf64,
    /// x86_64: Multiboot 1.
    Multiboot,
    /// Bytes at an address.
    Flat,
    /// x86_64: firmware that ends at 4 GiB and starts at the reset vector.
    Firmware,
    /// aarch64: a Linux `Image`, compressed or not, with a device tree.
    Image,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Linux64, Self::Pvh, Self::Elf64, Self::Multiboot, Self::Flat, Self::Firmware, Self::Image];

    /// The name in options and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linux64 => "linux64",
            Self::Pvh => "pvh",
            Self::Elf64 => "elf64",
            Self::Multiboot => "multiboot",
            Self::Flat => "flat",
            Self::Firmware => "firmware",
            Self::Image => "image",
        }
    }

    /// The protocol of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == name)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// A few words for messages, as "a Linux bzImage (6.12.0)".
    pub name: String,
    /// The protocols that can boot it; the first is the one that is taken if none is asked for.
    pub protocols: Vec<Protocol>,
}
