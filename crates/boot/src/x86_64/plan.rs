//! What a machine wants in its memory before the first instruction, and the state in which that one starts.

use super::Gdt;
use super::acpi::AcpiConfig;
use crate::{Placed, Protocol};

/// A file that the kernel finds in memory, with words for it.
#[derive(Debug, Clone, Copy)]
pub struct Module<'a> {
    /// The file.
    pub bytes: &'a [u8],
    /// Its command line, without NUL; Multiboot kernels expect the file's name first.
    pub command_line: &'a [u8],
}

/// The state in which a flat image starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FlatMode {
    /// 16-bit real mode.
    #[default]
    Real,
    /// 32-bit protected mode, flat segments, paging off.
    Protected,
    /// 64-bit mode, the first 4 GiB mapped at themselves.
    Long,
}

/// Where a flat image goes. Only for [`Protocol::Flat`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flat {
    /// The guest address of its first byte.
    pub address: u64,
    /// The guest address of its first instruction.
    pub entry: u64,
    /// How that one is executed.
    pub mode: FlatMode,
}

impl Default for Flat {
    /// A boot sector: loaded and entered at 0x7c00 in real mode.
    fn default() -> Self {
        Self { address: 0x7c00, entry: 0x7c00, mode: FlatMode::Real }
    }
}

/// All that a machine wants in its memory before the first instruction.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// The image of the kernel.
    pub kernel: &'a [u8],
    /// How it is booted; `None`: by what it is, see [`crate::x86_64::identify`].
    pub protocol: Option<Protocol>,
    /// The initial RAM disk; for PVH and Multiboot it is module 0.
    pub initrd: Option<&'a [u8]>,
    /// The command line, without NUL.
    pub command_line: &'a [u8],
    /// Files for PVH and Multiboot kernels.
    pub modules: &'a [Module<'a>],
    /// Where a flat image goes.
    pub flat: Flat,
    /// The vCPUs, 1 to 32, with APIC ids from 0 on.
    pub cpus: u32,
    /// The ACPI tables; `None`: none. Firmware makes its own.
    pub acpi: Option<&'a AcpiConfig>,
    /// Whether there is an MP table. Firmware makes its own.
    pub mp_table: bool,
}

impl<'a> Plan<'a> {
    /// A plan for one vCPU with nothing but a kernel.
    pub fn new(kernel: &'a [u8]) -> Self {
        Self {
            kernel,
            protocol: None,
            initrd: None,
            command_line: b"",
            modules: &[],
            flat: Flat::default(),
            cpus: 1,
            acpi: None,
            mp_table: false,
        }
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

/// The state in which the first vCPU starts. General registers that are not named are 0, `rflags` is 2 (interrupts off).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// 64-bit mode: CR0 PE and PG, CR4 PAE, EFER LME and LMA; `cs` and the others are the segments of `gdt`.
    Long {
        /// The first instruction.
        rip: u64,
        /// What the protocol passes: the zero page.
        rsi: u64,
        /// The stack.
        rsp: u64,
        /// The page tables.
        cr3: u64,
        /// The descriptor table in memory.
        gdt: Gdt,
    },
    /// 32-bit protected mode: CR0 PE, paging off, flat segments of `gdt`.
    Protected {
        /// The first instruction.
        eip: u32,
        /// Multiboot: the magic number of its loaders.
        eax: u32,
        /// PVH: `hvm_start_info`; Multiboot: its information structure.
        ebx: u32,
        /// The descriptor table in memory.
        gdt: Gdt,
    },
    /// 16-bit real mode, all segments with this selector and a base of 16 times it.
    Real {
        /// CS.
        selector: u16,
        /// IP.
        offset: u16,
    },
    /// The state after reset: the processor's own.
    Reset,
}
