//! What a PVH kernel is handed: Xen's `xen/include/public/arch-x86/hvm/start_info.h`, which Linux has as
//! `include/xen/interface/hvm/start_info.h`. All fields are little-endian, whatever the host.

use std::mem::{offset_of, size_of};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{Immutable, IntoBytes};

/// The magic number: "xEn3" with bit 7 of the "E" set.
pub(crate) const XEN_HVM_START_MAGIC_VALUE: u32 = 0x336e_c578;

/// `struct hvm_start_info`, version 1.
#[repr(C)]
#[derive(Debug, Clone, Copy, IntoBytes, Immutable)]
pub(crate) struct HvmStartInfo {
    pub magic: U32,
    pub version: U32,
    pub flags: U32,
    pub nr_modules: U32,
    pub modlist_paddr: U64,
    pub cmdline_paddr: U64,
    pub rsdp_paddr: U64,
    pub memmap_paddr: U64,
    pub memmap_entries: U32,
    pub reserved: U32,
}

/// `struct hvm_modlist_entry`.
#[repr(C)]
#[derive(Debug, Clone, Copy, IntoBytes, Immutable)]
pub(crate) struct HvmModlistEntry {
    pub paddr: U64,
    pub size: U64,
    pub cmdline_paddr: U64,
    pub reserved: U64,
}

/// `struct hvm_memmap_table_entry`.
#[repr(C)]
#[derive(Debug, Clone, Copy, IntoBytes, Immutable)]
pub(crate) struct HvmMemmapTableEntry {
    pub addr: U64,
    pub size: U64,
    pub r#type: U32,
    pub reserved: U32,
}

const _: () = {
    assert!(size_of::<HvmStartInfo>() == 56);
    assert!(offset_of!(HvmStartInfo, modlist_paddr) == 16);
    assert!(offset_of!(HvmStartInfo, cmdline_paddr) == 24);
    assert!(offset_of!(HvmStartInfo, rsdp_paddr) == 32);
    assert!(offset_of!(HvmStartInfo, memmap_paddr) == 40);
    assert!(offset_of!(HvmStartInfo, memmap_entries) == 48);
    assert!(size_of::<HvmModlistEntry>() == 32);
    assert!(offset_of!(HvmModlistEntry, cmdline_paddr) == 16);
    assert!(size_of::<HvmMemmapTableEntry>() == 24);
    assert!(offset_of!(HvmMemmapTableEntry, r#type) == 16);
};
