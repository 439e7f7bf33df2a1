//! The way from a plan to a machine that can start.

use super::image::{BASE_ALIGNMENT, File};
use super::layout::RAM_START;
use super::plan::{Entry, Loaded, Plan};
use super::{fdt, image};
use crate::payload::UNPACKED_MAX;
use crate::place::Placement;
use crate::ram::Ram;
use crate::{BootError, Protocol};
use std::ops::Range;
use vm_memory::GuestMemoryBackend;

/// Linux cuts a longer command line off: `COMMAND_LINE_SIZE` of arch/arm64/include/uapi/asm/setup.h, less a NUL.
const LINUX_COMMAND_LINE_MAX: u64 = 2047;
/// The most bytes of any command line.
const COMMAND_LINE_MAX: u64 = 65535;
/// booting.rst: the initrd is "within a 1 GB aligned physical memory window of up to 32 GB in size that fully covers the
/// kernel Image as well".
const WINDOW_ALIGNMENT: u64 = 1 << 30;
const WINDOW: u64 = 32 << 30;
/// booting.rst: before 4.2 the device tree is "within the 512 MB region starting at text_offset bytes below the kernel".
const FDT_WINDOW: u64 = 512 << 20;

/// Puts all that a plan asks for into memory.
///
/// What is mapped from [`RAM_START`] on is RAM, and the device tree says so. A kernel is as low as it can be, the initrd as
/// high as it can be, the device tree below it.
///
/// # Errors
///
/// The first thing that is wrong. Everything is checked before anything is written.
pub fn load<M: GuestMemoryBackend>(memory: &M, plan: &Plan<'_>) -> Result<Loaded, BootError> {
    check(plan)?;
    let all = RAM_START..u64::MAX;
    let ram = Ram::in_parts(memory, std::slice::from_ref(&all));
    fdt::check(plan.fdt, &ram)?;
    let image;
    let mut placement = Placement::new(&ram);
    let (protocol, pc, window) = if plan.protocol == Some(Protocol::Flat) {
        (Protocol::Flat, place_flat(plan, &mut placement)?, all)
    } else {
        let file = File::read(plan.kernel)?;
        let identity = file.identity();
        let asked = plan.protocol.unwrap_or(Protocol::Image);
        if asked != Protocol::Image {
            let (image, possible) = (identity.name, identity.protocols);
            return Err(BootError::Protocol { asked, image, possible });
        }
        image = file.unpack(ram.bytes().min(UNPACKED_MAX))?;
        let (start, window) = place_image(&image, &ram, &mut placement)?;
        (Protocol::Image, start, window)
    };
    let initrd = place_initrd(plan, &window, &mut placement)?;
    let tree = fdt::build(plan.fdt, ram.ranges(), plan.command_line, initrd.as_ref())?;
    let x0 = place_fdt(tree, pc & !(BASE_ALIGNMENT - 1), window, &mut placement)?;
    let mut placed = placement.commit(memory)?;
    placed.sort_by_key(|part| part.start);
    Ok(Loaded { protocol, entry: Entry { pc, x0 }, placed })
}

/// What can be said of a plan alone.
fn check(plan: &Plan<'_>) -> Result<(), BootError> {
    if let Some(at) = plan.command_line.iter().position(|byte| *byte == 0) {
        return Err(BootError::CommandLineNul { at });
    }
    let max = if plan.protocol == Some(Protocol::Flat) { COMMAND_LINE_MAX } else { LINUX_COMMAND_LINE_MAX };
    let length = plan.command_line.len() as u64;
    if length > max {
        return Err(BootError::CommandLineTooLong { length, max });
    }
    if plan.initrd.is_some_and(<[u8]>::is_empty) {
        return Err(BootError::InitrdEmpty);
    }
    Ok(())
}

fn place_flat<'a>(plan: &Plan<'a>, placement: &mut Placement<'a>) -> Result<u64, BootError> {
    let (image, flat) = (plan.kernel, plan.flat);
    if image.is_empty() {
        return Err(BootError::Image { found: "the image is empty".to_owned() });
    }
    let end = flat.address.saturating_add(image.len() as u64);
    if !(flat.address..end).contains(&flat.entry) || !flat.entry.is_multiple_of(4) {
        let allowed = "inside of the image, a multiple of 4";
        return Err(BootError::Header { field: "the entry of the flat image", found: flat.entry, allowed });
    }
    placement.put("flat image", flat.address, image)?;
    Ok(flat.entry)
}

/// The kernel as low as it can be: those before 4.6 do not use memory below them. Where it starts, and the window that
/// what it is handed must be in.
fn place_image<'a>(
    image: &'a image::Image<'a>,
    ram: &Ram,
    placement: &mut Placement<'a>,
) -> Result<(u64, Range<u64>), BootError> {
    let mut largest = 0;
    for range in ram.ranges() {
        let start = range
            .start
            .checked_next_multiple_of(BASE_ALIGNMENT)
            .and_then(|base| base.checked_add(image.text_offset));
        let Some(start) = start else { continue };
        let first = start & !(WINDOW_ALIGNMENT - 1);
        let window = first..first.saturating_add(WINDOW);
        let room = range.end.min(window.end).saturating_sub(start);
        largest = room.max(largest);
        if room < image.length {
            continue;
        }
        placement.reserve("kernel", start, image.length)?;
        placement.fill("kernel", &image.bytes[..]);
        return Ok((start, window));
    }
    Err(BootError::NoRoom { what: "the kernel", length: image.length, from: RAM_START, room: largest })
}

fn place_initrd<'a>(
    plan: &Plan<'a>,
    window: &Range<u64>,
    placement: &mut Placement<'a>,
) -> Result<Option<Range<u64>>, BootError> {
    let Some(bytes) = plan.initrd else { return Ok(None) };
    let (length, limit) = (bytes.len() as u64, window.end);
    let start = placement
        .find_below(length, window.start, limit)
        .map_err(|room| BootError::InitrdTooBig { length, room, limit })?;
    placement.put("initrd", start, bytes)?;
    Ok(Some(start..start + length))
}

/// `base` is `text_offset` below the kernel.
fn place_fdt(
    tree: Vec<u8>,
    base: u64,
    window: Range<u64>,
    placement: &mut Placement<'_>,
) -> Result<u64, BootError> {
    let length = tree.len() as u64;
    let near = base.saturating_add(FDT_WINDOW).min(window.end);
    // Newer kernels take it anywhere in their window.
    let start = placement
        .find_below(length, base, near)
        .or_else(|_| placement.find_below(length, window.start, window.end))
        .map_err(|room| BootError::NoRoom { what: "the device tree", length, from: window.start, room })?;
    placement.put("device tree", start, tree)?;
    Ok(start)
}
