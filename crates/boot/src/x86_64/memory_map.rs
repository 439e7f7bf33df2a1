//! The map of RAM that every protocol hands to the guest.

use crate::ram::Ram;
use crate::x86_64::layout::{
    ACPI, BASE_MEMORY_END, EBDA, HIGH_MEMORY, KVM_PRIVATE, LOW_RAM_END, RAM_ABOVE_HOLE,
};
use crate::{BootError, Protocol};
use std::ops::Range;
use vm_memory::GuestMemoryBackend;

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

impl Ram {
    /// The RAM of a PC: all that is mapped below the hole for devices, or above it. Firmware is in the hole.
    pub fn of_pc<M: GuestMemoryBackend>(memory: &M) -> Self {
        Self::in_parts(memory, &[0..LOW_RAM_END, RAM_ABOVE_HOLE..u64::MAX])
    }

    /// All bytes of RAM below 4 GiB.
    pub fn low_bytes(&self) -> u64 {
        self.ranges()
            .iter()
            .filter(|range| range.end <= RAM_ABOVE_HOLE)
            .map(|range| range.end - range.start)
            .sum()
    }

    /// The end of the RAM that starts at 1 MiB.
    pub fn end_above_1_mib(&self) -> u64 {
        self.ranges().iter().find(|range| range.contains(&HIGH_MEMORY)).map_or(HIGH_MEMORY, |range| range.end)
    }

    /// Our tables lie in the first MiB: there must be one.
    pub fn check_first_mib(&self, protocol: Protocol) -> Result<(), BootError> {
        let found = self.ranges().first().filter(|range| range.start == 0).map_or(0, |range| range.end);
        if found < HIGH_MEMORY {
            return Err(BootError::MemoryTooSmall { found, needed: HIGH_MEMORY, protocol });
        }
        Ok(())
    }

    /// The map that the guest gets, by address.
    pub fn map(&self) -> Vec<MapEntry> {
        let reserved = [EBDA..BASE_MEMORY_END, ACPI..HIGH_MEMORY, KVM_PRIVATE..RAM_ABOVE_HOLE];
        let usable = [0..EBDA, HIGH_MEMORY..u64::MAX];
        let entry =
            |range: Range<u64>, kind| MapEntry { start: range.start, length: range.end - range.start, kind };
        let mut map: Vec<MapEntry> = self
            .ranges()
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
