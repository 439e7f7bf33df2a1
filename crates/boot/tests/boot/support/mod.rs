//! Memory to load into, and images made by hand.

mod bzimage;
mod check;
mod elf;
mod multiboot;

pub use bzimage::{BzImageBuilder, SETUP_SIZE};
pub use check::check;
pub use elf::{ElfBuilder, Segment, pvh_note};
pub use multiboot::MultibootBuilder;

use vm_memory::bitmap::AtomicBitmap;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};
use vmhatch_boot::BootError;
use vmhatch_boot::x86_64::{Loaded, Plan, load};

pub type Memory = GuestMemoryMmap<AtomicBitmap>;

pub const MIB: u64 = 1 << 20;
pub const GIB: u64 = 1 << 30;

/// Memory at the ranges given by start and length.
pub fn memory_at(ranges: &[(u64, u64)]) -> Memory {
    let ranges: Vec<_> =
        ranges.iter().map(|(start, length)| (GuestAddress(*start), *length as usize)).collect();
    Memory::from_ranges(&ranges).unwrap()
}

/// RAM from address 0 on.
pub fn ram(mib: u64) -> Memory {
    memory_at(&[(0, mib * MIB)])
}

pub fn bytes(memory: &Memory, start: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    memory.read_slice(&mut bytes, GuestAddress(start)).unwrap();
    bytes
}

pub fn u16_at(memory: &Memory, at: u64) -> u16 {
    u16::from_le_bytes(bytes(memory, at, 2).try_into().unwrap())
}

pub fn u32_at(memory: &Memory, at: u64) -> u32 {
    u32::from_le_bytes(bytes(memory, at, 4).try_into().unwrap())
}

pub fn u64_at(memory: &Memory, at: u64) -> u64 {
    u64::from_le_bytes(bytes(memory, at, 8).try_into().unwrap())
}

/// The bytes at `start` up to the first NUL.
pub fn text_at(memory: &Memory, start: u64) -> Vec<u8> {
    (start..).map(|at| bytes(memory, at, 1)[0]).take_while(|byte| *byte != 0).collect()
}

/// Puts a little-endian number or bytes into an image.
pub fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Where the part of that name was placed: start and length.
pub fn placed(loaded: &Loaded, name: &str) -> (u64, u64) {
    let part = loaded.placed.iter().find(|part| part.name == name);
    part.map(|part| (part.start, part.length))
        .unwrap_or_else(|| panic!("{name} is not in {:?}", loaded.placed))
}

/// Loads into fresh RAM.
pub fn load_into(mib: u64, plan: &Plan<'_>) -> (Memory, Result<Loaded, BootError>) {
    let memory = ram(mib);
    let loaded = load(&memory, plan);
    (memory, loaded)
}

/// Fails the test if anything of the first 64 MiB was written.
pub fn assert_untouched(memory: &Memory) {
    use vm_memory::{GuestMemoryBackend, GuestMemoryRegion, bitmap::Bitmap};
    for region in memory.iter() {
        for page in 0..(region.len().min(64 * MIB) / 4096) as usize {
            assert!(!region.bitmap().dirty_at(page * 4096), "page {page:#x} was written");
        }
    }
}

/// The message and the field of an error.
pub fn error(result: Result<Loaded, BootError>) -> (&'static str, String) {
    let error = result.expect_err("this must not load");
    (error.field(), error.to_string())
}
