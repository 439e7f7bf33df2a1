//! Page tables that map the first 4 GiB at themselves, in pages of 2 MiB: every processor with long mode has those,
//! not every one has pages of 1 GiB.

use super::layout::{PAGE_SIZE, PAGE_TABLES};

/// The directories, each for 1 GiB.
const DIRECTORIES: u64 = 4;
const ENTRIES: u64 = 512;
/// The bytes all tables take: PML4, PDPT and the directories.
pub(crate) const SIZE: u64 = (2 + DIRECTORIES) * PAGE_SIZE;

/// Intel SDM volume 3, 4.5 "4-Level Paging": present, writable; bit 7 makes an entry of a directory a page.
const PRESENT_WRITABLE: u64 = 0x3;
const LARGE: u64 = 1 << 7;

pub(crate) fn bytes() -> Vec<u8> {
    let pdpt = PAGE_TABLES + PAGE_SIZE;
    let directories = pdpt + PAGE_SIZE;
    let mut table = Vec::with_capacity(SIZE as usize);
    let mut page = |entries: &mut dyn Iterator<Item = u64>| {
        let end = table.len() + PAGE_SIZE as usize;
        table.extend(entries.flat_map(u64::to_le_bytes));
        table.resize(end, 0);
    };
    page(&mut std::iter::once(pdpt | PRESENT_WRITABLE));
    page(&mut (0..DIRECTORIES).map(|index| (directories + index * PAGE_SIZE) | PRESENT_WRITABLE));
    for directory in 0..DIRECTORIES {
        page(&mut (0..ENTRIES).map(|index| ((directory * ENTRIES + index) << 21) | LARGE | PRESENT_WRITABLE));
    }
    table
}
