//! The 64-bit entry of the Linux boot protocol. Documentation/arch/x86/boot.rst, "64-bit Boot Protocol".

use super::bootparam::SetupHeader;
use super::bzimage::BzImage;
use super::elf::Elf;
use super::layout::{BOOT_STACK_TOP, PAGE_SIZE, PAGE_TABLES, ZERO_PAGE};
use super::machine::{LINUX_COMMAND_LINE_MAX, Machine, Start, entry_32, place_elf};
use super::zero_page::{self, ACPI_RSDP_ADDR};
use super::{Entry, Gdt};
use crate::BootError;
use crate::place::Placement;

const ZERO_PAGE_NAME: &str = "zero page";

/// Plans the memory of a machine that starts a bzImage, which unpacks itself.
pub(crate) fn plan<'a>(
    machine: &Machine<'a>,
    image: &BzImage<'a>,
    placement: &mut Placement<'a>,
) -> Result<Start, BootError> {
    machine.check_command_line(image.command_line_max())?;
    place_tables(machine, placement)?;
    let run = image.run_range();
    placement.reserve("kernel", run.start, run.end - run.start)?;
    placement.fill("kernel", image.protected);
    finish(machine, image.header, run.start, image.entry(), image.takes_high_addresses(), placement)
}

/// Plans the memory of a machine that starts a vmlinux. `header` is that of the bzImage it comes from, if it does.
pub(crate) fn plan_elf<'a>(
    machine: &Machine<'a>,
    elf: &Elf<'a>,
    header: Option<SetupHeader>,
    placement: &mut Placement<'a>,
) -> Result<Start, BootError> {
    machine.check_command_line(LINUX_COMMAND_LINE_MAX)?;
    place_tables(machine, placement)?;
    place_elf(elf, placement)?;
    let entry = entry_32(elf, "e_entry", elf.entry)?.into();
    let header = header.unwrap_or_else(zero_page::header_for_elf);
    finish(machine, header, entry, entry, false, placement)
}

fn place_tables<'a>(machine: &Machine<'a>, placement: &mut Placement<'a>) -> Result<(), BootError> {
    machine.reserve_tables(placement)?;
    machine.place_long_mode(placement)?;
    placement.reserve(ZERO_PAGE_NAME, ZERO_PAGE, PAGE_SIZE)?;
    machine.place_command_line(placement)
}

fn finish<'a>(
    machine: &Machine<'a>,
    header: SetupHeader,
    load_address: u64,
    rip: u64,
    high_initrd: bool,
    placement: &mut Placement<'a>,
) -> Result<Start, BootError> {
    // initrd_addr_max is the last address that a byte of it may have.
    let limit = u64::from(header.initrd_addr_max.get()) + 1;
    let initrd = machine.place_initrd(limit, high_initrd, placement)?;
    placement.fill(ZERO_PAGE_NAME, zero_page::bytes(header, load_address, machine.ram, initrd.as_ref())?);
    let entry =
        Entry::Long { rip, rsi: ZERO_PAGE, rsp: BOOT_STACK_TOP, cr3: PAGE_TABLES, gdt: Gdt::STANDARD };
    Ok(Start { entry, rsdp_at: Some(ZERO_PAGE + ACPI_RSDP_ADDR) })
}
