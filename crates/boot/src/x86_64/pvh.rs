//! PVH: Xen's docs/misc/pvh.pandoc and the structures of include/public/arch-x86/hvm/start_info.h.

use super::elf::Elf;
use super::layout::{COMMAND_LINE, RAM_ABOVE_HOLE, START_INFO, ZERO_PAGE};
use super::machine::{LINUX_COMMAND_LINE_MAX, Machine, Start, entry_32, place_elf};
use super::start_info::{HvmMemmapTableEntry, HvmModlistEntry, HvmStartInfo, XEN_HVM_START_MAGIC_VALUE};
use super::{Entry, Gdt};
use crate::BootError;
use crate::place::Placement;
use std::mem::{offset_of, size_of};
use zerocopy::IntoBytes;

const NAME: &str = "PVH start info";
const ROOM: u64 = ZERO_PAGE - START_INFO;
const MAX_MAP_ENTRIES: usize = 96;
const MAX_MODULES: usize =
    (ROOM as usize - size_of::<HvmStartInfo>() - MAX_MAP_ENTRIES * size_of::<HvmMemmapTableEntry>())
        / size_of::<HvmModlistEntry>();

/// Plans the memory of a machine that starts an ELF image with the PVH note.
pub(crate) fn plan<'a>(
    machine: &Machine<'a>,
    elf: &Elf<'a>,
    entry: u32,
    placement: &mut Placement<'a>,
) -> Result<Start, BootError> {
    machine.check_command_line(LINUX_COMMAND_LINE_MAX)?;
    machine.reserve_tables(placement)?;
    machine.place_gdt(false, placement)?;
    placement.reserve(NAME, START_INFO, ROOM)?;
    let modules = machine.modules();
    if modules.len() > MAX_MODULES {
        return Err(BootError::TooManyModules { found: modules.len(), max: MAX_MODULES });
    }
    let strings = machine.place_strings(&modules, None, placement)?;
    place_elf(elf, placement)?;
    let eip = entry_32(elf, "the entry in the PVH note", entry.into())?;
    // Linux takes only 32 bits of a module's address.
    let places = machine.place_modules(&modules, RAM_ABOVE_HOLE, placement)?;

    let map = machine.ram.map_of_at_most(MAX_MAP_ENTRIES)?;
    let memmap_paddr = START_INFO + size_of::<HvmStartInfo>() as u64;
    let modlist_paddr = memmap_paddr + (map.len() * size_of::<HvmMemmapTableEntry>()) as u64;
    let info = HvmStartInfo {
        magic: XEN_HVM_START_MAGIC_VALUE.into(),
        version: 1.into(),
        flags: 0.into(),
        nr_modules: (modules.len() as u32).into(),
        modlist_paddr: if modules.is_empty() { 0 } else { modlist_paddr }.into(),
        cmdline_paddr: COMMAND_LINE.into(),
        rsdp_paddr: 0.into(),
        memmap_paddr: memmap_paddr.into(),
        memmap_entries: (map.len() as u32).into(),
        reserved: 0.into(),
    };
    let mut bytes = info.as_bytes().to_vec();
    for entry in &map {
        let entry = HvmMemmapTableEntry {
            addr: entry.start.into(),
            size: entry.length.into(),
            r#type: (entry.kind as u32).into(),
            reserved: 0.into(),
        };
        bytes.extend_from_slice(entry.as_bytes());
    }
    for ((place, module), name) in places.iter().zip(&modules).zip(&strings.modules) {
        let entry = HvmModlistEntry {
            paddr: place.start.into(),
            size: (place.end - place.start).into(),
            // 0 is "none".
            cmdline_paddr: if module.command_line.is_empty() { 0 } else { *name }.into(),
            reserved: 0.into(),
        };
        bytes.extend_from_slice(entry.as_bytes());
    }
    placement.fill(NAME, bytes);
    let entry = Entry::Protected { eip, eax: 0, ebx: START_INFO as u32, gdt: Gdt::STANDARD };
    Ok(Start { entry, rsdp_at: Some(START_INFO + offset_of!(HvmStartInfo, rsdp_paddr) as u64) })
}
