//! What the protocols share: the machine that is planned for, and the parts of its memory that most of them want.

use super::elf::Elf;
use super::layout::{
    ACPI, ACPI_END, BASE_MEMORY_END, COMMAND_LINE, COMMAND_LINE_ROOM, EBDA, HIGH_MEMORY, PAGE_SIZE,
    PAGE_TABLES, RAM_ABOVE_HOLE, ZERO_PAGE,
};
use super::{Entry, Gdt, Module, Plan, gdt, page_tables};
use crate::BootError;
use crate::place::Placement;
use crate::ram::Ram;
use std::ops::Range;

/// The most bytes of any command line, without NUL: half of the room, the other half is for those of the modules.
pub(crate) const COMMAND_LINE_MAX: u64 = COMMAND_LINE_ROOM / 2 - 1;
/// Linux cuts a longer command line off in silence: `COMMAND_LINE_SIZE` of arch/x86/include/asm/setup.h, less a NUL.
pub(crate) const LINUX_COMMAND_LINE_MAX: u64 = 2047;

/// How the first vCPU starts, and where the guest looks for the RSDP.
pub(crate) struct Start {
    pub entry: Entry,
    /// The address of the 64-bit field that holds the address of the RSDP.
    pub rsdp_at: Option<u64>,
}

/// The machine that is planned for.
pub(crate) struct Machine<'a> {
    pub plan: Plan<'a>,
    pub ram: &'a Ram,
}

/// Where the texts are.
pub(crate) struct Strings {
    pub command_line: u64,
    pub loader_name: u64,
    /// The command line of each module.
    pub modules: Vec<u64>,
}

impl<'a> Machine<'a> {
    /// Fails if the command line is longer than `max`, or than there is room for.
    pub fn check_command_line(&self, max: u64) -> Result<(), BootError> {
        let (length, max) = (self.plan.command_line.len() as u64, max.min(COMMAND_LINE_MAX));
        if length > max {
            return Err(BootError::CommandLineTooLong { length, max });
        }
        Ok(())
    }

    /// Keeps the places of the firmware tables free, if there will be any.
    pub fn reserve_tables(&self, placement: &mut Placement<'a>) -> Result<(), BootError> {
        if self.plan.mp_table {
            placement.reserve("MP table", EBDA, BASE_MEMORY_END - EBDA)?;
        }
        if self.plan.acpi.is_some() {
            placement.reserve("ACPI tables", ACPI, ACPI_END - ACPI)?;
        }
        Ok(())
    }

    pub fn place_gdt(&self, long: bool, placement: &mut Placement<'a>) -> Result<(), BootError> {
        placement.put("GDT", Gdt::STANDARD.base, gdt::bytes(long))
    }

    /// What a vCPU needs to start in 64-bit mode, and its state then.
    pub fn place_long_mode(&self, placement: &mut Placement<'a>) -> Result<(), BootError> {
        self.place_gdt(true, placement)?;
        placement.reserve("boot stack", ZERO_PAGE + PAGE_SIZE, PAGE_TABLES - ZERO_PAGE - PAGE_SIZE)?;
        placement.put("page tables", PAGE_TABLES, page_tables::bytes())
    }

    /// The command line, alone.
    pub fn place_command_line(&self, placement: &mut Placement<'a>) -> Result<(), BootError> {
        self.place_strings(&[], None, placement).map(|_| ())
    }

    /// The command line, the name of the loader and the command lines of the modules, each with a NUL.
    pub fn place_strings(
        &self,
        modules: &[Module<'a>],
        loader_name: Option<&[u8]>,
        placement: &mut Placement<'a>,
    ) -> Result<Strings, BootError> {
        self.check_command_line(COMMAND_LINE_MAX)?;
        let mut bytes = Vec::new();
        let mut add = |text: &[u8]| {
            let start = COMMAND_LINE + bytes.len() as u64;
            bytes.extend_from_slice(text);
            bytes.push(0);
            (start, COMMAND_LINE_ROOM.saturating_sub(bytes.len() as u64))
        };
        let (command_line, _) = add(self.plan.command_line);
        let (loader_name, mut room) = add(loader_name.unwrap_or_default());
        let mut starts = Vec::with_capacity(modules.len());
        for (index, module) in modules.iter().enumerate() {
            let length = module.command_line.len() as u64;
            if let Some(at) = module.command_line.iter().position(|byte| *byte == 0) {
                return Err(BootError::ModuleCommandLineNul { index, at });
            }
            if length >= room {
                return Err(BootError::ModuleCommandLineTooLong {
                    index,
                    length,
                    room: room.saturating_sub(1),
                });
            }
            let start;
            (start, room) = add(module.command_line);
            starts.push(start);
        }
        placement.reserve("command line", COMMAND_LINE, COMMAND_LINE_ROOM)?;
        placement.fill("command line", bytes);
        Ok(Strings { command_line, loader_name, modules: starts })
    }

    /// The modules: the initrd is the first.
    pub fn modules(&self) -> Vec<Module<'a>> {
        let initrd = self.plan.initrd.map(|bytes| Module { bytes, command_line: b"" });
        initrd.into_iter().chain(self.plan.modules.iter().copied()).collect()
    }

    /// The modules as high as they can be below `limit` and 4 GiB, the first one highest.
    pub fn place_modules(
        &self,
        modules: &[Module<'a>],
        limit: u64,
        placement: &mut Placement<'a>,
    ) -> Result<Vec<Range<u64>>, BootError> {
        let limit = limit.min(RAM_ABOVE_HOLE);
        let has_initrd = usize::from(self.plan.initrd.is_some());
        modules
            .iter()
            .enumerate()
            .map(|(index, module)| {
                let length = module.bytes.len() as u64;
                let is_initrd = index < has_initrd;
                let start = placement.find_below(length, HIGH_MEMORY, limit).map_err(|room| {
                    if is_initrd {
                        BootError::InitrdTooBig { length, room, limit }
                    } else {
                        BootError::ModuleTooBig { index: index - has_initrd, length, room }
                    }
                })?;
                placement.put(if is_initrd { "initrd" } else { "module" }, start, module.bytes)?;
                Ok(start..start + length)
            })
            .collect()
    }

    /// The initrd of a Linux kernel: as high as it can be below `limit` and 4 GiB, or above them if `high` allows.
    pub fn place_initrd(
        &self,
        limit: u64,
        high: bool,
        placement: &mut Placement<'a>,
    ) -> Result<Option<Range<u64>>, BootError> {
        let Some(bytes) = self.plan.initrd else { return Ok(None) };
        let length = bytes.len() as u64;
        let limit = limit.min(RAM_ABOVE_HOLE);
        let start = placement
            .find_below(length, HIGH_MEMORY, limit)
            .or_else(|room| {
                if !high {
                    return Err(room);
                }
                placement.find_below(length, RAM_ABOVE_HOLE, u64::MAX).map_err(|above| above.max(room))
            })
            .map_err(|room| BootError::InitrdTooBig { length, room, limit })?;
        placement.put("initrd", start, bytes)?;
        Ok(Some(start..start + length))
    }
}

/// The segments of an ELF image at their physical addresses.
pub(crate) fn place_elf<'a>(elf: &Elf<'a>, placement: &mut Placement<'a>) -> Result<(), BootError> {
    for segment in &elf.segments {
        placement.put_with_zeros("kernel", segment.address, segment.bytes, segment.length)?;
    }
    Ok(())
}

/// An entry as a physical 32-bit address: it must be in what is loaded.
pub(crate) fn entry_32(elf: &Elf<'_>, field: &'static str, entry: u64) -> Result<u32, BootError> {
    elf.physical(entry).and_then(|entry| u32::try_from(entry).ok()).ok_or(BootError::Header {
        field,
        found: entry,
        allowed: "an address in a loaded segment, below 4 GiB",
    })
}
