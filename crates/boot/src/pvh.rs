//! PVH: Xen's docs/misc/pvh.pandoc and the structures of include/public/arch-x86/hvm/start_info.h.

use crate::elf::Elf;
use crate::layout::{COMMAND_LINE, RAM_ABOVE_HOLE, START_INFO, ZERO_PAGE};
use crate::machine::{LINUX_COMMAND_LINE_MAX, Machine, Start, entry_32, place_elf};
use crate::place::Placement;
use crate::{BootError, Entry, Gdt};
use linux_loader::loader::elf::start_info::{
    XEN_HVM_START_MAGIC_VALUE, hvm_memmap_table_entry, hvm_modlist_entry, hvm_start_info,
};
use std::mem::{offset_of, size_of};
use vm_memory::ByteValued;

const NAME: &str = "PVH start info";
const ROOM: u64 = ZERO_PAGE - START_INFO;
const MAX_MAP_ENTRIES: usize = 96;
const MAX_MODULES: usize =
    (ROOM as usize - size_of::<hvm_start_info>() - MAX_MAP_ENTRIES * size_of::<hvm_memmap_table_entry>())
        / size_of::<hvm_modlist_entry>();

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
    let memmap_paddr = START_INFO + size_of::<hvm_start_info>() as u64;
    let modlist_paddr = memmap_paddr + (map.len() * size_of::<hvm_memmap_table_entry>()) as u64;
    let info = hvm_start_info {
        magic: XEN_HVM_START_MAGIC_VALUE,
        version: 1,
        flags: 0,
        nr_modules: modules.len() as u32,
        modlist_paddr: if modules.is_empty() { 0 } else { modlist_paddr },
        cmdline_paddr: COMMAND_LINE,
        rsdp_paddr: 0,
        memmap_paddr,
        memmap_entries: map.len() as u32,
        reserved: 0,
    };
    let mut bytes = info.as_slice().to_vec();
    for entry in &map {
        let entry = hvm_memmap_table_entry {
            addr: entry.start,
            size: entry.length,
            type_: entry.kind as u32,
            reserved: 0,
        };
        bytes.extend_from_slice(entry.as_slice());
    }
    for ((place, module), name) in places.iter().zip(&modules).zip(&strings.modules) {
        let entry = hvm_modlist_entry {
            paddr: place.start,
            size: place.end - place.start,
            // 0 is "none".
            cmdline_paddr: if module.command_line.is_empty() { 0 } else { *name },
            reserved: 0,
        };
        bytes.extend_from_slice(entry.as_slice());
    }
    placement.fill(NAME, bytes);
    let entry = Entry::Protected { eip, eax: 0, ebx: START_INFO as u32, gdt: Gdt::STANDARD };
    Ok(Start { entry, rsdp_at: Some(START_INFO + offset_of!(hvm_start_info, rsdp_paddr) as u64) })
}
