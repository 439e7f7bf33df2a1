//! What is wrong with a plan.

use crate::Protocol;

/// Why a machine cannot boot by a plan. All of it is found before the guest runs, and but for a lost region of memory
/// before anything is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BootError {
    /// The image is none that can be booted.
    #[error("{found}")]
    Image {
        /// What the bytes look like instead.
        found: String,
    },
    /// The image ends before what its header says.
    #[error("the image is truncated: {what} needs {needed} bytes, the image has {found}")]
    Truncated {
        /// The part that is not there, or not whole.
        what: &'static str,
        /// The length of the image with it, in bytes.
        needed: u64,
        /// The length of the image, in bytes.
        found: u64,
    },
    /// A field of the image's header has a value that no good image has.
    #[error("{field} is {found:#x}; it must be {allowed}")]
    Header {
        /// The name of the field in its specification.
        field: &'static str,
        /// What is there.
        found: u64,
        /// What may be there, in words that follow "it must be".
        allowed: &'static str,
    },
    /// The image is for a processor of another kind.
    #[error("the image is {found}; this machine is {machine}")]
    Machine {
        /// What it is.
        found: String,
        /// This machine's kind.
        machine: &'static str,
    },
    /// The image cannot be booted by the protocol that was asked for.
    #[error("{image} cannot be booted by {asked}; it can be by {}", names(.possible))]
    Protocol {
        /// What was asked for.
        asked: Protocol,
        /// What the image is.
        image: String,
        /// What is possible.
        possible: Vec<Protocol>,
    },
    /// What was given has no place in the protocol.
    #[error("the protocol {protocol} takes no {what}")]
    NotTaken {
        /// The protocol.
        protocol: Protocol,
        /// `initrd`, `cmdline` or `modules`.
        what: &'static str,
    },
    /// The compressed kernel in the image cannot be unpacked.
    #[error("the image's {format} payload: {reason}")]
    Payload {
        /// How it is compressed.
        format: &'static str,
        /// What the decoder found.
        reason: String,
    },
    /// The compressed kernel in the image is larger than it may be.
    #[error(
        "the image's {format} payload unpacks to more than {limit} bytes, which is more than its header says or the machine holds"
    )]
    PayloadTooBig {
        /// How it is compressed.
        format: &'static str,
        /// The most bytes it may have.
        limit: u64,
    },
    /// The compressed kernel in the image is not an ELF file that the protocol can boot.
    #[error("the image's payload unpacks to {found}, which cannot be booted by {asked}; {instead}")]
    PayloadContent {
        /// What it is.
        found: String,
        /// The protocol that was asked for.
        asked: Protocol,
        /// What can be done.
        instead: &'static str,
    },
    /// Two parts want the same memory: the image asks for a place where something else must be.
    #[error("{what} at {start:#x}..{end:#x} overlaps {other} at {other_start:#x}..{other_end:#x}")]
    Overlap {
        /// What was to be placed.
        what: &'static str,
        /// Its first address.
        start: u64,
        /// The address after its last.
        end: u64,
        /// What is there.
        other: &'static str,
        /// Its first address.
        other_start: u64,
        /// The address after its last.
        other_end: u64,
    },
    /// A part does not lie in the machine's memory.
    #[error("{what} needs {length} bytes at {start:#x}, which are not all in the machine's memory ({ram})")]
    NotRam {
        /// What was to be placed.
        what: &'static str,
        /// The guest address.
        start: u64,
        /// Its bytes.
        length: u64,
        /// The memory that there is.
        ram: String,
    },
    /// There is no memory at address 0, or not the first MiB of it.
    #[error("{found} bytes of memory from address 0 on; {protocol} needs {needed}")]
    MemoryTooSmall {
        /// The bytes there are.
        found: u64,
        /// The least number of bytes.
        needed: u64,
        /// The protocol that needs them.
        protocol: Protocol,
    },
    /// The memory is in more pieces than the guest can be told about.
    #[error("memory in {found} pieces; the guest can be told about {max}")]
    TooManyRegions {
        /// The entries of the memory map.
        found: usize,
        /// The most that are possible.
        max: usize,
    },
    /// There is no free piece of memory, where it must be, that a part fits into.
    #[error(
        "{what} needs {length} bytes of memory in one piece from {from:#x} on; the largest free piece has {room}"
    )]
    NoRoom {
        /// What was to be placed.
        what: &'static str,
        /// Its bytes.
        length: u64,
        /// Where the memory begins in which it must be.
        from: u64,
        /// The bytes of the largest piece that is free.
        room: u64,
    },
    /// The initrd is empty.
    #[error("the initrd is empty")]
    InitrdEmpty,
    /// The initrd does not fit beside the kernel.
    #[error(
        "the initrd of {length} bytes does not fit: below {limit:#x} the largest free piece of memory beside the kernel has {room} bytes"
    )]
    InitrdTooBig {
        /// Its bytes.
        length: u64,
        /// The bytes of the largest piece that is free.
        room: u64,
        /// Where the kernel wants it to end at most.
        limit: u64,
    },
    /// A module does not fit beside the kernel.
    #[error(
        "module {index} of {length} bytes does not fit: the largest free piece of memory beside the kernel has {room} bytes"
    )]
    ModuleTooBig {
        /// Its number, from 0.
        index: usize,
        /// Its bytes.
        length: u64,
        /// The bytes of the largest piece that is free.
        room: u64,
    },
    /// There are more modules than their list has room for.
    #[error("{found} modules; there is room for {max}")]
    TooManyModules {
        /// The number of modules.
        found: usize,
        /// The most that are possible.
        max: usize,
    },
    /// The modules' command lines need more room than there is.
    #[error("the command line of module {index} has {length} bytes, there is room for {room}")]
    ModuleCommandLineTooLong {
        /// The module's number, from 0.
        index: usize,
        /// Its bytes.
        length: u64,
        /// The bytes that the ones before it left.
        room: u64,
    },
    /// A module's command line holds a NUL byte, which would end it.
    #[error("the command line of module {index} has a NUL byte at {at}")]
    ModuleCommandLineNul {
        /// The module's number, from 0.
        index: usize,
        /// The offset of the byte.
        at: usize,
    },
    /// The command line is longer than the kernel takes.
    #[error("{length} bytes; this kernel takes {max}")]
    CommandLineTooLong {
        /// Its bytes.
        length: u64,
        /// The most bytes.
        max: u64,
    },
    /// The command line holds a NUL byte, which would end it.
    #[error("NUL byte at {at}")]
    CommandLineNul {
        /// The offset of the byte.
        at: usize,
    },
    /// The number of vCPUs is not one that a machine can have.
    #[error("{found} vCPUs: a machine has 1 to {max}")]
    Cpus {
        /// The number asked for.
        found: u32,
        /// The most that are possible.
        max: u32,
    },
    /// A device cannot be described in the firmware tables.
    #[error("{reason}")]
    Devices {
        /// Which one and why.
        reason: String,
    },
    /// The firmware tables need more room than there is at their place in guest memory.
    #[error("{what} take {needed} bytes, there is room for {room}")]
    TablesTooBig {
        /// Which tables.
        what: &'static str,
        /// The bytes they take.
        needed: u64,
        /// The bytes there are.
        room: u64,
    },
}

impl BootError {
    /// The part of the plan that is wrong: `kernel`, `initrd`, `cmdline`, `memory`, `cpus`, `protocol`, `modules` or
    /// `devices`.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Image { .. }
            | Self::Truncated { .. }
            | Self::Header { .. }
            | Self::Machine { .. }
            | Self::Payload { .. }
            | Self::PayloadTooBig { .. }
            | Self::PayloadContent { .. }
            | Self::Overlap { .. } => "kernel",
            Self::Protocol { .. } => "protocol",
            Self::NotTaken { what, .. } => what,
            Self::NotRam { .. }
            | Self::MemoryTooSmall { .. }
            | Self::TooManyRegions { .. }
            | Self::NoRoom { .. } => "memory",
            Self::InitrdEmpty | Self::InitrdTooBig { .. } => "initrd",
            Self::ModuleTooBig { .. }
            | Self::TooManyModules { .. }
            | Self::ModuleCommandLineTooLong { .. }
            | Self::ModuleCommandLineNul { .. } => "modules",
            Self::CommandLineTooLong { .. } | Self::CommandLineNul { .. } => "cmdline",
            Self::Cpus { .. } => "cpus",
            Self::Devices { .. } | Self::TablesTooBig { .. } => "devices",
        }
    }
}

fn names(protocols: &[Protocol]) -> String {
    protocols.iter().map(|protocol| protocol.name()).collect::<Vec<_>>().join(", ")
}
