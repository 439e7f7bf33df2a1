//! `boot_params` and what is in it: Linux's `arch/x86/include/uapi/asm/bootparam.h` and `setup_data.h`. Offsets are those
//! of Documentation/arch/x86/boot.rst and zero-page.rst. All fields are little-endian and lie at any address, as in the
//! kernel's packed structures, whatever the host.

use std::mem::{offset_of, size_of};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `loadflags`: the protected-mode code is loaded at 1 MiB or above.
pub(crate) const LOADED_HIGH: u8 = 1 << 0;
/// `loadflags`: the boot loader chose a random address.
pub(crate) const KASLR_FLAG: u8 = 1 << 1;
/// `loadflags`: `heap_end_ptr` is valid.
pub(crate) const CAN_USE_HEAP: u8 = 1 << 7;
/// `xloadflags`: there is a 64-bit entry.
pub(crate) const XLF_KERNEL_64: u16 = 1 << 0;
/// `xloadflags`: all may be above 4 GiB.
pub(crate) const XLF_CAN_BE_LOADED_ABOVE_4G: u16 = 1 << 1;
/// The entries of `e820_table`.
pub(crate) const E820_MAX_ENTRIES_ZEROPAGE: usize = 128;

/// `struct setup_header`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub(crate) struct SetupHeader {
    pub setup_sects: u8,
    pub root_flags: U16,
    pub syssize: U32,
    pub ram_size: U16,
    pub vid_mode: U16,
    pub root_dev: U16,
    pub boot_flag: U16,
    pub jump: U16,
    pub header: U32,
    pub version: U16,
    pub realmode_swtch: U32,
    pub start_sys_seg: U16,
    pub kernel_version: U16,
    pub type_of_loader: u8,
    pub loadflags: u8,
    pub setup_move_size: U16,
    pub code32_start: U32,
    pub ramdisk_image: U32,
    pub ramdisk_size: U32,
    pub bootsect_kludge: U32,
    pub heap_end_ptr: U16,
    pub ext_loader_ver: u8,
    pub ext_loader_type: u8,
    pub cmd_line_ptr: U32,
    pub initrd_addr_max: U32,
    pub kernel_alignment: U32,
    pub relocatable_kernel: u8,
    pub min_alignment: u8,
    pub xloadflags: U16,
    pub cmdline_size: U32,
    pub hardware_subarch: U32,
    pub hardware_subarch_data: U64,
    pub payload_offset: U32,
    pub payload_length: U32,
    pub setup_data: U64,
    pub pref_address: U64,
    pub init_size: U32,
    pub handover_offset: U32,
    pub kernel_info_offset: U32,
}

/// `struct boot_e820_entry`.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub(crate) struct BootE820Entry {
    pub addr: U64,
    pub size: U64,
    pub r#type: U32,
}

/// `struct boot_params`: the fields that this loader fills in, and what is between them.
#[repr(C)]
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub(crate) struct BootParams {
    screen_info_to_ist_info: [u8; 0x70],
    pub acpi_rsdp_addr: U64,
    hd0_info_to_olpc_ofw_header: [u8; 0x48],
    pub ext_ramdisk_image: U32,
    pub ext_ramdisk_size: U32,
    pub ext_cmd_line_ptr: U32,
    cc_blob_address_to_scratch: [u8; 0x11c],
    pub e820_entries: u8,
    eddbuf_entries_to_sentinel: [u8; 8],
    pub hdr: SetupHeader,
    edd_mbr_sig_buffer: [u8; 0x64],
    pub e820_table: [BootE820Entry; E820_MAX_ENTRIES_ZEROPAGE],
    eddbuf: [u8; 0x330],
}

const _: () = {
    assert!(size_of::<BootE820Entry>() == 20);
    assert!(size_of::<SetupHeader>() == 0x26c - 0x1f1);
    assert!(offset_of!(SetupHeader, boot_flag) == 0x1fe - 0x1f1);
    assert!(offset_of!(SetupHeader, header) == 0x202 - 0x1f1);
    assert!(offset_of!(SetupHeader, kernel_version) == 0x20e - 0x1f1);
    assert!(offset_of!(SetupHeader, type_of_loader) == 0x210 - 0x1f1);
    assert!(offset_of!(SetupHeader, code32_start) == 0x214 - 0x1f1);
    assert!(offset_of!(SetupHeader, heap_end_ptr) == 0x224 - 0x1f1);
    assert!(offset_of!(SetupHeader, cmd_line_ptr) == 0x228 - 0x1f1);
    assert!(offset_of!(SetupHeader, xloadflags) == 0x236 - 0x1f1);
    assert!(offset_of!(SetupHeader, hardware_subarch_data) == 0x240 - 0x1f1);
    assert!(offset_of!(SetupHeader, setup_data) == 0x250 - 0x1f1);
    assert!(offset_of!(SetupHeader, init_size) == 0x260 - 0x1f1);
    assert!(offset_of!(SetupHeader, kernel_info_offset) == 0x268 - 0x1f1);
    assert!(size_of::<BootParams>() == 0x1000);
    assert!(offset_of!(BootParams, acpi_rsdp_addr) == 0x70);
    assert!(offset_of!(BootParams, ext_ramdisk_image) == 0xc0);
    assert!(offset_of!(BootParams, e820_entries) == 0x1e8);
    assert!(offset_of!(BootParams, hdr) == 0x1f1);
    assert!(offset_of!(BootParams, e820_table) == 0x2d0);
};
