//! What goes where in guest memory: all of it is found out before the first byte is written.

use crate::BootError;
use crate::ram::Ram;
use std::borrow::Cow;
use std::ops::Range;
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend};

/// What parts that may be anywhere are aligned to.
const PAGE_SIZE: u64 = 4096;

/// A part of guest memory that was filled before the guest runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// What it is.
    pub name: &'static str,
    /// The guest address of its first byte.
    pub start: u64,
    /// Its bytes.
    pub length: u64,
}

/// Copies `bytes` to `start`.
///
/// # Errors
///
/// [`BootError::NotRam`] if any of it is not mapped.
pub(crate) fn write<M: GuestMemoryBackend>(
    memory: &M,
    name: &'static str,
    start: u64,
    bytes: &[u8],
) -> Result<Placed, BootError> {
    let length = bytes.len() as u64;
    memory
        .write_slice(bytes, GuestAddress(start))
        .map_err(|_| not_ram(name, start, length, Ram::all(memory).describe()))?;
    Ok(Placed { name, start, length })
}

fn not_ram(what: &'static str, start: u64, length: u64, ram: String) -> BootError {
    BootError::NotRam { what, start, length, ram }
}

struct Item<'a> {
    name: &'static str,
    range: Range<u64>,
    /// What is written at the start of the range; `None`: the range is only kept free.
    bytes: Option<Cow<'a, [u8]>>,
    /// Whether the rest of the range is made zero.
    zero: bool,
}

/// What goes where. Each part is checked against the RAM and against all parts before it.
pub(crate) struct Placement<'a> {
    ram: &'a Ram,
    items: Vec<Item<'a>>,
}

impl<'a> Placement<'a> {
    pub fn new(ram: &'a Ram) -> Self {
        Self { ram, items: Vec::new() }
    }

    /// Bytes at an address.
    pub fn put(
        &mut self,
        name: &'static str,
        start: u64,
        bytes: impl Into<Cow<'a, [u8]>>,
    ) -> Result<(), BootError> {
        let bytes = bytes.into();
        let range = self.free(name, start, bytes.len() as u64)?;
        self.items.push(Item { name, range, bytes: Some(bytes), zero: false });
        Ok(())
    }

    /// Bytes at an address, then zeros up to `length`.
    pub fn put_with_zeros(
        &mut self,
        name: &'static str,
        start: u64,
        bytes: &'a [u8],
        length: u64,
    ) -> Result<(), BootError> {
        let range = self.free(name, start, length.max(bytes.len() as u64))?;
        self.items.push(Item { name, range, bytes: Some(bytes.into()), zero: true });
        Ok(())
    }

    /// Keeps a range free of anything else. [`Self::fill`] may put bytes at its start.
    pub fn reserve(&mut self, name: &'static str, start: u64, length: u64) -> Result<(), BootError> {
        let range = self.free(name, start, length)?;
        self.items.push(Item { name, range, bytes: None, zero: false });
        Ok(())
    }

    /// Puts bytes at the start of the range that was reserved by that name and is large enough.
    pub fn fill(&mut self, name: &'static str, bytes: impl Into<Cow<'a, [u8]>>) {
        let bytes = bytes.into();
        let item = self.items.iter_mut().find(|item| item.name == name && item.bytes.is_none());
        debug_assert!(
            item.as_ref().is_some_and(|item| bytes.len() as u64 <= item.range.end - item.range.start),
            "{name}: {} bytes have no room",
            bytes.len()
        );
        if let Some(item) = item {
            item.bytes = Some(bytes);
        }
    }

    /// Bytes in memory that is mapped, be it RAM or not: firmware.
    pub fn put_in_mapped(
        &mut self,
        name: &'static str,
        start: u64,
        bytes: &'a [u8],
    ) -> Result<(), BootError> {
        let length = bytes.len() as u64;
        let end = start.saturating_add(length);
        if !self.ram.maps(&(start..end)) {
            return Err(not_ram(name, start, length, self.ram.describe_mapped()));
        }
        self.items.push(Item { name, range: start..end, bytes: Some(bytes.into()), zero: false });
        Ok(())
    }

    fn free(&self, name: &'static str, start: u64, length: u64) -> Result<Range<u64>, BootError> {
        let not_ram = || not_ram(name, start, length, self.ram.describe());
        let range = start..start.checked_add(length).ok_or_else(not_ram)?;
        if !self.ram.contains(&range) {
            return Err(not_ram());
        }
        match self.items.iter().find(|item| item.range.start < range.end && range.start < item.range.end) {
            Some(other) => Err(BootError::Overlap {
                what: name,
                start: range.start,
                end: range.end,
                other: other.name,
                other_start: other.range.start,
                other_end: other.range.end,
            }),
            None => Ok(range),
        }
    }

    /// The highest free page from `from` on where `length` bytes fit below `limit`; otherwise the bytes of the
    /// largest piece that is free there.
    pub fn find_below(&self, length: u64, from: u64, limit: u64) -> Result<u64, u64> {
        let mut taken: Vec<&Range<u64>> = self.items.iter().map(|item| &item.range).collect();
        taken.sort_by_key(|range| range.start);
        let mut largest = 0;
        for ram in self.ram.ranges().iter().rev() {
            let floor = ram.start.max(from);
            let mut end = ram.end.min(limit);
            // Down from the top, from one taken range to the one below it.
            for bound in taken.iter().rev().filter(|range| range.start < ram.end) {
                if bound.start >= end {
                    continue;
                }
                if let Some(start) = fits(bound.end.max(floor), end, length, &mut largest) {
                    return Ok(start);
                }
                end = bound.start;
                if end <= floor {
                    break;
                }
            }
            if let Some(start) = fits(floor, end, length, &mut largest) {
                return Ok(start);
            }
        }
        Err(largest)
    }

    /// Writes everything.
    pub fn commit<M: GuestMemoryBackend>(self, memory: &M) -> Result<Vec<Placed>, BootError> {
        let mut placed = Vec::with_capacity(self.items.len());
        for item in self.items {
            let Some(bytes) = item.bytes else { continue };
            let mut part = write(memory, item.name, item.range.start, &bytes)?;
            if item.zero {
                clear(memory, item.name, part.start + part.length..item.range.end)?;
                part.length = item.range.end - part.start;
            }
            placed.push(part);
        }
        Ok(placed)
    }
}

/// The highest page in `start..end` where `length` bytes fit.
fn fits(start: u64, end: u64, length: u64, largest: &mut u64) -> Option<u64> {
    let start = start.checked_next_multiple_of(PAGE_SIZE)?;
    let room = end.checked_sub(start)?;
    *largest = room.max(*largest);
    let highest = end.checked_sub(length)? & !(PAGE_SIZE - 1);
    (room >= length && highest >= start).then_some(highest)
}

/// Makes a range zero. Pages that are zero are only read: memory that nothing wrote yet stays unused on the host.
fn clear<M: GuestMemoryBackend>(memory: &M, name: &'static str, range: Range<u64>) -> Result<(), BootError> {
    const ZEROS: [u8; PAGE_SIZE as usize] = [0; PAGE_SIZE as usize];
    let mut found = ZEROS;
    let mut at = range.start;
    while at < range.end {
        let length = (PAGE_SIZE - at % PAGE_SIZE).min(range.end - at) as usize;
        memory
            .read_slice(&mut found[..length], GuestAddress(at))
            .map_err(|_| not_ram(name, at, length as u64, Ram::all(memory).describe()))?;
        if found[..length] != ZEROS[..length] {
            write(memory, name, at, &ZEROS[..length])?;
        }
        at += length as u64;
    }
    Ok(())
}
