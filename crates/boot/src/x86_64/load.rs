//! The way from a plan to a machine that can start.

use super::bzimage::BzImage;
use super::elf::{self, Elf};
use super::identify::Image;
use super::layout::MAX_CPUS;
use super::machine::{Machine, Start};
use super::{Loaded, Plan, acpi, flat, linux64, mp_table, multiboot, pvh};
use crate::payload::{self, Format, UNPACKED_MAX};
use crate::place::{self, Placement};
use crate::ram::Ram;
use crate::{BootError, Protocol};
use std::borrow::Cow;
use vm_memory::GuestMemoryBackend;

/// Puts all that a plan asks for into memory.
///
/// # Errors
///
/// The first thing that is wrong. Everything but the firmware tables is checked before anything is written.
pub fn load<M: GuestMemoryBackend>(memory: &M, plan: &Plan<'_>) -> Result<Loaded, BootError> {
    check(plan)?;
    let ram = Ram::of_pc(memory);
    match plan.protocol {
        Some(protocol @ (Protocol::Flat | Protocol::Firmware)) => {
            let mut placement = Placement::new(&ram);
            let machine = Machine { plan: *plan, ram: &ram };
            let start = match protocol {
                Protocol::Flat => flat::plan(&machine, &mut placement)?,
                _ => flat::plan_firmware(&machine, &mut placement)?,
            };
            write(memory, plan, protocol, start, placement)
        }
        _ => load_image(memory, plan, &ram),
    }
}

/// What can be said of a plan alone.
fn check(plan: &Plan<'_>) -> Result<(), BootError> {
    if plan.cpus == 0 || plan.cpus > MAX_CPUS {
        return Err(BootError::Cpus { found: plan.cpus, max: MAX_CPUS });
    }
    if let Some(at) = plan.command_line.iter().position(|byte| *byte == 0) {
        return Err(BootError::CommandLineNul { at });
    }
    if plan.initrd.is_some_and(<[u8]>::is_empty) {
        return Err(BootError::InitrdEmpty);
    }
    plan.protocol.map_or(Ok(()), |protocol| check_taken(plan, protocol))
}

/// Fails if there is something in the plan that has no place in the protocol.
fn check_taken(plan: &Plan<'_>, protocol: Protocol) -> Result<(), BootError> {
    let (line_and_initrd, modules) = match protocol {
        Protocol::Linux64 | Protocol::Elf64 => (true, false),
        Protocol::Pvh | Protocol::Multiboot => (true, true),
        Protocol::Flat | Protocol::Firmware => (false, false),
        // Not for this machine: the image will say so.
        Protocol::Image => (true, true),
    };
    let what = if !line_and_initrd && plan.initrd.is_some() {
        "initrd"
    } else if !line_and_initrd && !plan.command_line.is_empty() {
        "cmdline"
    } else if !modules && !plan.modules.is_empty() {
        "modules"
    } else {
        return Ok(());
    };
    Err(BootError::NotTaken { protocol, what })
}

fn load_image<M: GuestMemoryBackend>(memory: &M, plan: &Plan<'_>, ram: &Ram) -> Result<Loaded, BootError> {
    let image = Image::read(plan.kernel)?;
    let identity = image.identity();
    let protocol = plan.protocol.unwrap_or(identity.protocols[0]);
    if !identity.protocols.contains(&protocol) {
        return Err(BootError::Protocol {
            asked: protocol,
            image: identity.name,
            possible: identity.protocols,
        });
    }
    check_taken(plan, protocol)?;
    ram.check_first_mib(protocol)?;

    let unpacked;
    let machine = Machine { plan: *plan, ram };
    let mut placement = Placement::new(ram);
    let placed = &mut placement;
    let start = match (&image, protocol) {
        (Image::BzImage(image), Protocol::Linux64) => linux64::plan(&machine, image, placed)?,
        (Image::BzImage(image), _) => {
            unpacked = unpack(image, ram)?;
            let elf = payload_elf(&unpacked, protocol)?;
            match elf.pvh_entry {
                Some(entry) if protocol == Protocol::Pvh => pvh::plan(&machine, &elf, entry, placed)?,
                _ => linux64::plan_elf(&machine, &elf, Some(image.header), placed)?,
            }
        }
        (Image::Elf(elf, Some(header)), Protocol::Multiboot) => {
            multiboot::plan(&machine, header, Some(elf), placed)?
        }
        (Image::Multiboot(header), _) => multiboot::plan(&machine, header, None, placed)?,
        (Image::Elf(elf, _), _) => match elf.pvh_entry {
            Some(entry) if protocol == Protocol::Pvh => pvh::plan(&machine, elf, entry, placed)?,
            _ => linux64::plan_elf(&machine, elf, None, placed)?,
        },
    };
    write(memory, plan, protocol, start, placement)
}

/// The kernel in a bzImage.
fn unpack<'a>(image: &BzImage<'a>, ram: &Ram) -> Result<Cow<'a, [u8]>, BootError> {
    let payload = image.payload()?;
    let format = Format::of(payload).map_err(|format| {
        let reason = "this compression is not known; gzip, xz, lz4 and zstd are, and linux64 boots any";
        BootError::Payload { format, reason: reason.to_owned() }
    })?;
    payload::unpack(format, payload, true, unpacked_max(image.header.init_size.get(), ram))
}

/// `init_size` counts the unpacked kernel and more; a header that lies is held by the machine's memory.
fn unpacked_max(init_size: u32, ram: &Ram) -> u64 {
    u64::from(init_size).min(ram.low_bytes()).min(UNPACKED_MAX)
}

/// The ELF file that a payload unpacks to.
fn payload_elf(unpacked: &[u8], asked: Protocol) -> Result<Elf<'_>, BootError> {
    let other = |found: &str, instead| BootError::PayloadContent { found: found.to_owned(), asked, instead };
    if !elf::is_elf(unpacked) {
        return Err(other("something that is no ELF file", "linux64 can boot the image if it is a good one"));
    }
    let elf = Elf::parse(unpacked)?;
    if !elf.is_64 {
        return Err(other("an ELF file for i386", "the machine boots 64-bit kernels"));
    }
    if asked == Protocol::Pvh && elf.pvh_entry.is_none() {
        return Err(other(
            "a vmlinux without a PVH note (CONFIG_PVH)",
            "linux64 and elf64 can boot it, and pvh if the kernel is built with that option",
        ));
    }
    Ok(elf)
}

fn write<M: GuestMemoryBackend>(
    memory: &M,
    plan: &Plan<'_>,
    protocol: Protocol,
    start: Start,
    placement: Placement<'_>,
) -> Result<Loaded, BootError> {
    // Firmware makes its own tables.
    let wants_tables = protocol != Protocol::Firmware;
    let mut placed = Vec::new();
    let mut rsdp = None;
    if let Some(config) = plan.acpi.filter(|_| wants_tables) {
        let tables = acpi::build(memory, config, plan.cpus)?;
        rsdp = Some(tables.rsdp);
        placed.extend(tables.placed);
    }
    if plan.mp_table && wants_tables {
        placed.push(mp_table::write(memory, plan.cpus)?);
    }
    placed.extend(placement.commit(memory)?);
    if let (Some(rsdp), Some(at)) = (rsdp, start.rsdp_at) {
        place::write(memory, "RSDP address", at, &rsdp.to_le_bytes())?;
    }
    placed.sort_by_key(|part| part.start);
    Ok(Loaded { protocol, entry: start.entry, placed })
}
