//! The machine's RAM, and the map of it that every protocol hands to the guest.

use crate::layout::{ACPI, BASE_MEMORY_END, EBDA, HIGH_MEMORY, KVM_PRIVATE, LOW_RAM_END, RAM_ABOVE_HOLE};
use crate::{BootError, Protocol};
use std::ops::Range;
use vm_memory::{Address, GuestMemoryBackend, GuestMemoryRegion};

/// What an entry of the map is; the numbers are those of e820, PVH and Multiboot alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Usable.
    Ram = 1,
    /// Not for the guest to use.
    Reserved = 2,
}

/// A piece of the guest's address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MapEntry {
    /// Its first address.
    pub start: u64,
    /// Its bytes.
    pub length: u64,
    /// What it is.
    pub kind: Kind,
}

/// All memory, and which of it is RAM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ram {
    /// What is mapped, merged and by address: also what is no RAM, as a region for firmware.
    mapped: Vec<Range<u64>>,
    /// What is RAM: below the hole for devices, or above it.
    ranges: Vec<Range<u64>>,
}

impl Ram {
    pub fn of<M: GuestMemoryBackend>(memory: &M) -> Self {
        let mut regions: Vec<Range<u64>> = memory
            .iter()
            .map(|region| {
                let start = region.start_addr().raw_value();
                start..start.saturating_add(region.len())
            })
            .collect();
        regions.sort_by_key(|region| region.start);
        let mapped = merged(regions);
        let ranges = [0..LOW_RAM_END, RAM_ABOVE_HOLE..u64::MAX]
            .iter()
            .flat_map(|part| {
                mapped.iter().map(move |range| range.start.max(part.start)..range.end.min(part.end))
            })
            .filter(|range| !range.is_empty())
            .collect();
        Self { mapped, ranges }
    }

    /// The pieces of RAM, by address.
    pub fn ranges(&self) -> &[Range<u64>] {
        &self.ranges
    }

    /// Whether all of a range is RAM.
    pub fn contains(&self, range: &Range<u64>) -> bool {
        self.ranges.iter().any(|ram| ram.start <= range.start && range.end <= ram.end)
    }

    /// Whether all of a range is mapped.
    pub fn maps(&self, range: &Range<u64>) -> bool {
        self.mapped.iter().any(|mapped| mapped.start <= range.start && range.end <= mapped.end)
    }

    /// All bytes of RAM below 4 GiB.
    pub fn low_bytes(&self) -> u64 {
        self.ranges
            .iter()
            .filter(|range| range.end <= RAM_ABOVE_HOLE)
            .map(|range| range.end - range.start)
            .sum()
    }

    /// The end of the RAM that starts at 1 MiB.
    pub fn end_above_1_mib(&self) -> u64 {
        self.ranges.iter().find(|range| range.contains(&HIGH_MEMORY)).map_or(HIGH_MEMORY, |range| range.end)
    }

    /// Our tables lie in the first MiB: there must be one.
    pub fn check_first_mib(&self, protocol: Protocol) -> Result<(), BootError> {
        let found = self.ranges.first().filter(|range| range.start == 0).map_or(0, |range| range.end);
        if found < HIGH_MEMORY {
            return Err(BootError::MemoryTooSmall { found, needed: HIGH_MEMORY, protocol });
        }
        Ok(())
    }

    /// The pieces, for a message.
    pub fn describe(&self) -> String {
        describe(&self.ranges)
    }

    /// All that is mapped, for a message.
    pub fn describe_mapped(&self) -> String {
        describe(&self.mapped)
    }

    /// The map that the guest gets, by address.
    pub fn map(&self) -> Vec<MapEntry> {
        let reserved = [EBDA..BASE_MEMORY_END, ACPI..HIGH_MEMORY, KVM_PRIVATE..RAM_ABOVE_HOLE];
        let usable = [0..EBDA, HIGH_MEMORY..u64::MAX];
        let entry =
            |range: Range<u64>, kind| MapEntry { start: range.start, length: range.end - range.start, kind };
        let mut map: Vec<MapEntry> = self
            .ranges
            .iter()
            .flat_map(|ram| usable.iter().map(|part| ram.start.max(part.start)..ram.end.min(part.end)))
            .filter(|range| !range.is_empty())
            .map(|range| entry(range, Kind::Ram))
            .chain(reserved.iter().map(|range| entry(range.clone(), Kind::Reserved)))
            .collect();
        map.sort_by_key(|entry| entry.start);
        map
    }

    /// The map, if it has at most `max` entries.
    pub fn map_of_at_most(&self, max: usize) -> Result<Vec<MapEntry>, BootError> {
        let map = self.map();
        if map.len() > max {
            return Err(BootError::TooManyRegions { found: map.len(), max });
        }
        Ok(map)
    }
}

fn merged(sorted: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in sorted {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

fn describe(ranges: &[Range<u64>]) -> String {
    const SHOWN: usize = 4;
    if ranges.is_empty() {
        return "none".to_owned();
    }
    let mut text: Vec<String> =
        ranges.iter().take(SHOWN).map(|range| format!("{:#x}..{:#x}", range.start, range.end)).collect();
    if ranges.len() > SHOWN {
        text.push(format!("{} more", ranges.len() - SHOWN));
    }
    text.join(", ")
}
