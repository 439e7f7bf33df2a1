//! Multiboot 1: the header, the information structure and the load.
//! Specification: "Multiboot Specification version 0.6.96".

use super::elf::Elf;
use super::layout::{COMMAND_LINE, EBDA, HIGH_MEMORY, MULTIBOOT_INFO, RAM_ABOVE_HOLE};
use super::machine::{Machine, Start, entry_32, place_elf};
use super::{Entry, Gdt};
use crate::BootError;
use crate::place::Placement;

/// 3.1.1 "The layout of Multiboot header": in the first 8192 bytes, aligned to 4.
const SEARCHED: usize = 8192;
const HEADER_MAGIC: u32 = 0x1bad_b002;
/// 3.2 "Machine state": what EAX holds.
const LOADER_MAGIC: u32 = 0x2bad_b002;
/// 3.1.2 "The magic fields of Multiboot header": page-aligned modules and memory information are always given.
const FLAGS_GRANTED: u32 = 0x3;
/// Bits 0 to 15 are wants that a loader must grant or refuse to boot.
const FLAGS_REQUIRED: u32 = 0xffff;
const FLAG_VIDEO: u32 = 1 << 2;
/// The address fields of the header are valid.
const FLAG_ADDRESSES: u32 = 1 << 16;

/// 3.3 "Boot information format": which of its fields are valid.
const INFO_MEMORY: u32 = 1 << 0;
const INFO_COMMAND_LINE: u32 = 1 << 2;
const INFO_MODULES: u32 = 1 << 3;
const INFO_MEMORY_MAP: u32 = 1 << 6;
const INFO_LOADER_NAME: u32 = 1 << 9;
const INFO_SIZE: usize = 120;
const MEMORY_MAP_ENTRY: usize = 24;
const MODULE_ENTRY: usize = 16;
const LOADER_NAME: &[u8] = b"vmhatch";

const FLAGS: &str = "flags of the Multiboot header";
const INFORMATION: &str = "Multiboot information";
const INFO_ROOM: u64 = COMMAND_LINE - MULTIBOOT_INFO;
const MAX_MAP_ENTRIES: usize = 1024;
const MAX_MODULES: usize =
    (INFO_ROOM as usize - INFO_SIZE - MAX_MAP_ENTRIES * MEMORY_MAP_ENTRY) / MODULE_ENTRY;

/// The header of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MultibootHeader {
    /// Where it is in the image.
    offset: u64,
    flags: u32,
    header_addr: u32,
    load_addr: u32,
    load_end_addr: u32,
    bss_end_addr: u32,
    entry_addr: u32,
}

impl MultibootHeader {
    /// The first header with a good checksum.
    pub fn find(image: &[u8]) -> Option<Self> {
        let searched = &image[..image.len().min(SEARCHED)];
        (0..searched.len()).step_by(4).find_map(|offset| {
            // The address fields are optional: those that are not there are not valid either.
            let field = |index: usize| {
                let at = offset + index * 4;
                Some(u32::from_le_bytes(searched.get(at..at + 4)?.try_into().ok()?))
            };
            let (magic, flags, checksum) = (field(0)?, field(1)?, field(2)?);
            let good = magic == HEADER_MAGIC && magic.wrapping_add(flags).wrapping_add(checksum) == 0;
            let has_addresses = flags & FLAG_ADDRESSES != 0;
            let address = |index| if has_addresses { field(index) } else { Some(0) };
            good.then_some(())?;
            Some(Self {
                offset: offset as u64,
                flags,
                header_addr: address(3)?,
                load_addr: address(4)?,
                load_end_addr: address(5)?,
                bss_end_addr: address(6)?,
                entry_addr: address(7)?,
            })
        })
    }

    fn check(&self) -> Result<(), BootError> {
        if self.flags & FLAG_VIDEO != 0 {
            let allowed = "one with bit 2 clear (the image asks for a video mode, and there is no display)";
            return Err(BootError::Header { field: FLAGS, found: self.flags.into(), allowed });
        }
        if self.flags & FLAGS_REQUIRED & !FLAGS_GRANTED != 0 {
            let allowed = "one with bits 2 to 15 clear";
            return Err(BootError::Header { field: FLAGS, found: self.flags.into(), allowed });
        }
        Ok(())
    }

    /// 3.1.3 "The address fields of Multiboot header": the part of the file that is loaded.
    fn place<'a>(&self, image: &'a [u8], placement: &mut Placement<'a>) -> Result<u32, BootError> {
        let header =
            |field, found: u32, allowed| Err(BootError::Header { field, found: found.into(), allowed });
        let Some(before) = self.header_addr.checked_sub(self.load_addr) else {
            return header("load_addr", self.load_addr, "at most header_addr");
        };
        let Some(start) = self.offset.checked_sub(before.into()) else {
            return header("load_addr", self.load_addr, "not so low that the load starts before the file");
        };
        let bytes = &image[start as usize..];
        let bytes = match self.load_end_addr {
            0 => bytes,
            end => {
                let Some(length) = end.checked_sub(self.load_addr).filter(|length| *length > 0) else {
                    return header("load_end_addr", end, "0, or above load_addr");
                };
                bytes.get(..length as usize).ok_or(BootError::Truncated {
                    what: "the load that the Multiboot header describes",
                    needed: start + u64::from(length),
                    found: image.len() as u64,
                })?
            }
        };
        let start = u64::from(self.load_addr);
        let end = start + bytes.len() as u64;
        let end = match self.bss_end_addr {
            0 => end,
            bss_end if u64::from(bss_end) < end => {
                return header("bss_end_addr", bss_end, "0, or not below the end of the load");
            }
            bss_end => bss_end.into(),
        };
        if !(start..end).contains(&self.entry_addr.into()) {
            return header("entry_addr", self.entry_addr, "inside of what is loaded");
        }
        placement.put_with_zeros("kernel", start, bytes, end - start)?;
        Ok(self.entry_addr)
    }
}

/// Plans the memory of a machine that starts a Multiboot image.
pub(crate) fn plan<'a>(
    machine: &Machine<'a>,
    header: &MultibootHeader,
    elf: Option<&Elf<'a>>,
    placement: &mut Placement<'a>,
) -> Result<Start, BootError> {
    header.check()?;
    machine.reserve_tables(placement)?;
    machine.place_gdt(false, placement)?;
    placement.reserve(INFORMATION, MULTIBOOT_INFO, INFO_ROOM)?;
    let modules = machine.modules();
    let map = machine.ram.map_of_at_most(MAX_MAP_ENTRIES)?;
    if modules.len() > MAX_MODULES {
        return Err(BootError::TooManyModules { found: modules.len(), max: MAX_MODULES });
    }
    let strings = machine.place_strings(&modules, Some(LOADER_NAME), placement)?;
    let eip = match elf {
        _ if header.flags & FLAG_ADDRESSES != 0 => header.place(machine.plan.kernel, placement)?,
        Some(elf) => {
            place_elf(elf, placement)?;
            entry_32(elf, "e_entry", elf.entry)?
        }
        None => {
            return Err(BootError::Header {
                field: FLAGS,
                found: header.flags.into(),
                allowed: "one with bit 16 set, as the image is no ELF file",
            });
        }
    };
    // All addresses of the information are 32 bits.
    let places = machine.place_modules(&modules, RAM_ABOVE_HOLE, placement)?;

    let map_address = MULTIBOOT_INFO + INFO_SIZE as u64;
    let map_size = map.len() * MEMORY_MAP_ENTRY;
    let mut info = vec![0; INFO_SIZE];
    let mut set =
        |offset: usize, value: u64| info[offset..offset + 4].copy_from_slice(&(value as u32).to_le_bytes());
    let mut flags = INFO_MEMORY | INFO_COMMAND_LINE | INFO_MEMORY_MAP | INFO_LOADER_NAME;
    if !modules.is_empty() {
        flags |= INFO_MODULES;
        set(20, modules.len() as u64);
        set(24, map_address + map_size as u64);
    }
    set(0, flags.into());
    // mem_lower and mem_upper, in KiB: base memory up to the EBDA, and the RAM that starts at 1 MiB.
    set(4, EBDA / 1024);
    set(8, (machine.ram.end_above_1_mib() - HIGH_MEMORY) / 1024);
    set(16, strings.command_line);
    set(44, map_size as u64);
    set(48, map_address);
    set(64, strings.loader_name);
    for entry in &map {
        // The size of an entry counts what follows it.
        info.extend((MEMORY_MAP_ENTRY as u32 - 4).to_le_bytes());
        info.extend(entry.start.to_le_bytes());
        info.extend(entry.length.to_le_bytes());
        info.extend((entry.kind as u32).to_le_bytes());
    }
    for (place, name) in places.iter().zip(&strings.modules) {
        for value in [place.start, place.end, *name, 0] {
            info.extend((value as u32).to_le_bytes());
        }
    }
    placement.fill(INFORMATION, info);
    let entry = Entry::Protected { eip, eax: LOADER_MAGIC, ebx: MULTIBOOT_INFO as u32, gdt: Gdt::STANDARD };
    Ok(Start { entry, rsdp_at: None })
}
