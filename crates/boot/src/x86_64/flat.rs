//! Images without a header: bytes at an address, and firmware at the end of the first 4 GiB.

use super::layout::{BOOT_STACK_TOP, HIGH_MEMORY, PAGE_SIZE, PAGE_TABLES, RAM_ABOVE_HOLE};
use super::machine::{Machine, Start};
use super::{Entry, FlatMode, Gdt};
use crate::BootError;
use crate::place::Placement;

/// The largest firmware: no PC has more below 4 GiB.
pub const FIRMWARE_MAX: u64 = 16 << 20;
/// PCs show the last 128 KiB of their firmware below 1 MiB too. SeaBIOS runs in up to 256 KiB there, and copies the rest
/// itself only where it finds the bridge of a PC, by which it makes that memory writable: here it is.
const SHADOW: usize = 256 << 10;
const NAME: &str = "flat image";

/// Where firmware of that many bytes starts: memory must be mapped from there to 4 GiB.
///
/// # Errors
///
/// A length that firmware cannot have.
pub fn firmware_start(length: u64) -> Result<u64, BootError> {
    if length == 0 || !length.is_multiple_of(PAGE_SIZE) || length > FIRMWARE_MAX {
        let allowed = "a multiple of 4096, and at most 16 MiB";
        return Err(BootError::Header { field: "the length of the firmware", found: length, allowed });
    }
    Ok(RAM_ABOVE_HOLE - length)
}

/// Plans the memory of a machine that starts a flat image.
pub(crate) fn plan<'a>(machine: &Machine<'a>, placement: &mut Placement<'a>) -> Result<Start, BootError> {
    let (image, flat) = (machine.plan.kernel, machine.plan.flat);
    if image.is_empty() {
        return Err(BootError::Image { found: "the image is empty".to_owned() });
    }
    machine.reserve_tables(placement)?;
    let end = flat.address.saturating_add(image.len() as u64);
    let limit = if flat.mode == FlatMode::Real { HIGH_MEMORY } else { RAM_ABOVE_HOLE };
    if !(flat.address..end).contains(&flat.entry) || flat.entry >= limit {
        let allowed = match flat.mode {
            FlatMode::Real => "inside of the image, below 1 MiB",
            _ => "inside of the image, below 4 GiB",
        };
        return Err(BootError::Header { field: "the entry of the flat image", found: flat.entry, allowed });
    }
    let gdt = Gdt::STANDARD;
    let entry = match flat.mode {
        // The offset takes as many bits as it can: a boot sector is entered at 0:0x7c00.
        FlatMode::Real => {
            let (selector, offset) = (((flat.entry >> 4) & 0xf000) as u16, flat.entry as u16);
            Entry::Real { selector, offset }
        }
        FlatMode::Protected => {
            machine.place_gdt(false, placement)?;
            Entry::Protected { eip: flat.entry as u32, eax: 0, ebx: 0, gdt }
        }
        FlatMode::Long => {
            machine.place_long_mode(placement)?;
            Entry::Long { rip: flat.entry, rsi: 0, rsp: BOOT_STACK_TOP, cr3: PAGE_TABLES, gdt }
        }
    };
    placement.put(NAME, flat.address, image)?;
    Ok(Start { entry, rsdp_at: None })
}

/// Plans the memory of a machine that starts firmware.
pub(crate) fn plan_firmware<'a>(
    machine: &Machine<'a>,
    placement: &mut Placement<'a>,
) -> Result<Start, BootError> {
    let image = machine.plan.kernel;
    let start = firmware_start(image.len() as u64)?;
    placement.put_in_mapped("firmware", start, image)?;
    let shadow = &image[image.len().saturating_sub(SHADOW)..];
    placement.put("firmware below 1 MiB", HIGH_MEMORY - shadow.len() as u64, shadow)?;
    Ok(Start { entry: Entry::Reset, rsdp_at: None })
}
