//! The global descriptor table of a vCPU that starts in protected or long mode.

use super::layout;

/// Where the descriptor table is, and which of its selectors are for what.
///
/// Linux's boot protocol wants `__BOOT_CS` 0x10 and `__BOOT_DS` 0x18, flat, with a limit of 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gdt {
    /// The guest address, for GDTR.
    pub base: u64,
    /// The last byte's offset, for GDTR.
    pub limit: u16,
    /// The selector of the code segment.
    pub code: u16,
    /// The selector of the data segments and the stack.
    pub data: u16,
    /// The selector of the (busy) task state segment at 0, limit 0x67.
    pub task: u16,
}

/// Intel SDM volume 3, 3.4.5 "Segment Descriptors": base 0, limit 0xfffff pages, present, accessed.
const DATA: u64 = 0x00cf_9300_0000_ffff;
const CODE_32: u64 = 0x00cf_9b00_0000_ffff;
const CODE_64: u64 = 0x00af_9b00_0000_ffff;
/// A busy 32-bit (in long mode: 64-bit) TSS at 0 with a limit of 0x67 bytes; PVH asks for one.
const TASK: u64 = 0x0000_8b00_0000_0067;

impl Gdt {
    pub(crate) const STANDARD: Self =
        Self { base: layout::GDT, limit: 6 * 8 - 1, code: 0x10, data: 0x18, task: 0x20 };
}

/// The table's bytes. In long mode a task descriptor takes two entries.
pub(crate) fn bytes(long: bool) -> Vec<u8> {
    let code = if long { CODE_64 } else { CODE_32 };
    [0, 0, code, DATA, TASK, 0].into_iter().flat_map(u64::to_le_bytes).collect()
}
