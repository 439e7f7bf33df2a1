//! The zero page, `boot_params`. Linux's Documentation/arch/x86/zero-page.rst.

use super::bootparam::{
    BootE820Entry, BootParams, CAN_USE_HEAP, E820_MAX_ENTRIES_ZEROPAGE, KASLR_FLAG, LOADED_HIGH, SetupHeader,
    XLF_KERNEL_64,
};
use super::layout::COMMAND_LINE;
use crate::BootError;
use crate::ram::Ram;
use std::mem::offset_of;
use std::ops::Range;
use zerocopy::{FromZeros, IntoBytes};

/// `type_of_loader` of a loader that has no number of its own.
const LOADER_UNDEFINED: u8 = 0xff;
/// `vid_mode`: "normal".
const VIDEO_NORMAL: u16 = 0xffff;
/// The offset of `acpi_rsdp_addr`.
pub(crate) const ACPI_RSDP_ADDR: u64 = offset_of!(BootParams, acpi_rsdp_addr) as u64;

/// The setup header for a vmlinux, which has none of its own.
pub(crate) fn header_for_elf() -> SetupHeader {
    SetupHeader {
        boot_flag: 0xaa55.into(),
        // "HdrS"
        header: 0x5372_6448.into(),
        version: 0x020f.into(),
        loadflags: LOADED_HIGH,
        xloadflags: XLF_KERNEL_64.into(),
        // MIN_KERNEL_ALIGN of arch/x86/include/asm/boot.h
        kernel_alignment: 0x20_0000.into(),
        // INITRD addresses and command lines as every x86_64 bzImage has them.
        initrd_addr_max: 0x7fff_ffff.into(),
        cmdline_size: 2047.into(),
        ..SetupHeader::default()
    }
}

/// The page for a kernel with that header, loaded at `load_address`.
pub(crate) fn bytes(
    header: SetupHeader,
    load_address: u64,
    ram: &Ram,
    initrd: Option<&Range<u64>>,
) -> Result<Vec<u8>, BootError> {
    let map = ram.map_of_at_most(E820_MAX_ENTRIES_ZEROPAGE)?;
    let mut params = BootParams::new_zeroed();
    params.hdr = header;
    params.hdr.type_of_loader = LOADER_UNDEFINED;
    params.hdr.vid_mode = VIDEO_NORMAL.into();
    params.hdr.loadflags = (header.loadflags | LOADED_HIGH) & !(KASLR_FLAG | CAN_USE_HEAP);
    params.hdr.code32_start = (load_address as u32).into();
    params.hdr.cmd_line_ptr = (COMMAND_LINE as u32).into();
    params.hdr.setup_data = 0.into();
    params.hdr.hardware_subarch = 0.into();
    if let Some(initrd) = initrd {
        let length = initrd.end - initrd.start;
        params.hdr.ramdisk_image = (initrd.start as u32).into();
        params.ext_ramdisk_image = ((initrd.start >> 32) as u32).into();
        params.hdr.ramdisk_size = (length as u32).into();
        params.ext_ramdisk_size = ((length >> 32) as u32).into();
    }
    params.e820_entries = map.len() as u8;
    for (entry, slot) in map.iter().zip(0..) {
        params.e820_table[slot] = BootE820Entry {
            addr: entry.start.into(),
            size: entry.length.into(),
            r#type: (entry.kind as u32).into(),
        };
    }
    Ok(params.as_bytes().to_vec())
}
