//! What a machine wants in its memory before the first instruction, and the state in which that one starts.

use super::fdt::FdtConfig;
use super::layout::RAM_START;
use crate::{Placed, Protocol};

/// Where a flat image goes. Only for [`Protocol::Flat`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flat {
    /// The guest address of its first byte.
    pub address: u64,
    /// The guest address of its first instruction: in the image, a multiple of 4.
    pub entry: u64,
}

impl Default for Flat {
    /// Loaded and entered at the start of RAM.
    fn default() -> Self {
        Self { address: RAM_START, entry: RAM_START }
    }
}

/// All that a machine wants in its memory before the first instruction.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// The image of the kernel.
    pub kernel: &'a [u8],
    /// How it is booted: [`Protocol::Image`], or [`Protocol::Flat`] if that is asked for.
    pub protocol: Option<Protocol>,
    /// The initial RAM disk.
    pub initrd: Option<&'a [u8]>,
    /// The command line, without NUL.
    pub command_line: &'a [u8],
    /// Where a flat image goes.
    pub flat: Flat,
    /// What the device tree tells, beside memory, initrd and command line.
    pub fdt: &'a FdtConfig,
}

impl<'a> Plan<'a> {
    /// A plan with nothing but a kernel, and a device tree.
    pub fn new(kernel: &'a [u8], fdt: &'a FdtConfig) -> Self {
        Self { kernel, protocol: None, initrd: None, command_line: b"", flat: Flat::default(), fdt }
    }
}

/// What is in memory now, and how the first vCPU starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The protocol, also if the plan left it open.
    pub protocol: Protocol,
    /// How the first vCPU starts.
    pub entry: Entry,
    /// What was written, by address.
    pub placed: Vec<Placed>,
}

/// The state in which the first vCPU starts: EL1 with its own stack pointer and all interrupts masked ([`Entry::PSTATE`]),
/// MMU off, all general registers but these 0. The other vCPUs are off until the guest calls PSCI's `CPU_ON`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The first instruction.
    pub pc: u64,
    /// The device tree.
    pub x0: u64,
}

impl Entry {
    /// `PSR_D_BIT | PSR_A_BIT | PSR_I_BIT | PSR_F_BIT | PSR_MODE_EL1h` of Linux's arch/arm64/include/uapi/asm/ptrace.h.
    pub const PSTATE: u64 = 0x3c5;
}
