//! The machine's memory, and which of it is RAM.

use std::ops::Range;
use vm_memory::{Address, GuestMemoryBackend, GuestMemoryRegion};

/// All memory, and which of it is RAM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ram {
    /// What is mapped, merged and by address: also what is no RAM, as a region for firmware.
    mapped: Vec<Range<u64>>,
    /// What of it is RAM.
    ranges: Vec<Range<u64>>,
}

impl Ram {
    /// What is mapped; what of it lies in one of the parts is RAM.
    pub fn in_parts<M: GuestMemoryBackend>(memory: &M, parts: &[Range<u64>]) -> Self {
        let mut regions: Vec<Range<u64>> = memory
            .iter()
            .map(|region| {
                let start = region.start_addr().raw_value();
                start..start.saturating_add(region.len())
            })
            .collect();
        regions.sort_by_key(|region| region.start);
        let mapped = merged(regions);
        let ranges = parts
            .iter()
            .flat_map(|part| {
                mapped.iter().map(move |range| range.start.max(part.start)..range.end.min(part.end))
            })
            .filter(|range| !range.is_empty())
            .collect();
        Self { mapped, ranges }
    }

    /// All that is mapped.
    pub fn all<M: GuestMemoryBackend>(memory: &M) -> Self {
        Self::in_parts(memory, std::slice::from_ref(&(0..u64::MAX)))
    }

    /// The pieces of RAM, by address.
    pub fn ranges(&self) -> &[Range<u64>] {
        &self.ranges
    }

    /// All bytes of RAM.
    pub fn bytes(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }

    /// Whether all of a range is RAM.
    pub fn contains(&self, range: &Range<u64>) -> bool {
        self.ranges.iter().any(|ram| ram.start <= range.start && range.end <= ram.end)
    }

    /// Whether all of a range is mapped.
    pub fn maps(&self, range: &Range<u64>) -> bool {
        self.mapped.iter().any(|mapped| mapped.start <= range.start && range.end <= mapped.end)
    }

    /// The pieces, for a message.
    pub fn describe(&self) -> String {
        describe(&self.ranges)
    }

    /// All that is mapped, for a message.
    pub fn describe_mapped(&self) -> String {
        describe(&self.mapped)
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
