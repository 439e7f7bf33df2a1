//! Which device answers at an address: disjoint claims, looked up by binary search.

/// One claim: `base..=last`. The inclusive end lets a claim reach the very last address.
#[derive(Debug, Clone)]
struct Entry<T> {
    base: u64,
    last: u64,
    value: T,
}

/// Disjoint claims `[base, base + length)` on an address space of 64 bits, each with a value.
///
/// A sorted vector: a lookup is a binary search, and a clone is one allocation, so a table can be copied,
/// changed and swapped in whole while others read the old one.
#[derive(Debug, Clone)]
pub struct RangeMap<T> {
    entries: Vec<Entry<T>>,
}

/// What a lookup found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim<'a, T> {
    /// The first address of the range.
    pub base: u64,
    /// The number of addresses in the range.
    pub length: u64,
    /// The access's offset from `base`.
    pub offset: u64,
    /// Whether the whole access lies in the range. An access that runs over the end still belongs to the
    /// range that holds its first byte: hardware decodes the first address.
    pub whole: bool,
    /// The value that was inserted.
    pub value: &'a T,
}

/// Why a range cannot be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InsertError {
    /// A range must have at least one address.
    #[error("the range at {base:#x} is empty")]
    Empty {
        /// The first address that was asked for.
        base: u64,
    },
    /// The range runs past the last address, 2^64 - 1.
    #[error("the range of {length:#x} at {base:#x} runs past the last address")]
    PastEnd {
        /// The first address that was asked for.
        base: u64,
        /// The number of addresses that was asked for.
        length: u64,
    },
    /// A part of the range is claimed already. Of several claims in the way this names the lowest.
    #[error("the range overlaps with the one of {length:#x} at {base:#x}")]
    Overlap {
        /// The first address of the claim in the way.
        base: u64,
        /// The number of addresses of the claim in the way.
        length: u64,
    },
}

impl<T> RangeMap<T> {
    /// A map without claims.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Claims `length` addresses from `base`.
    ///
    /// # Errors
    ///
    /// An [`InsertError`] if the range is empty, too long, or overlaps with another. Nothing changed then.
    pub fn insert(&mut self, base: u64, length: u64, value: T) -> Result<(), InsertError> {
        let Some(reach) = length.checked_sub(1) else {
            return Err(InsertError::Empty { base });
        };
        let Some(last) = base.checked_add(reach) else {
            return Err(InsertError::PastEnd { base, length });
        };
        // Claims are disjoint, so their ends are sorted as their bases are.
        let at = self.entries.partition_point(|entry| entry.last < base);
        if let Some(entry) = self.entries.get(at)
            && entry.base <= last
        {
            return Err(InsertError::Overlap { base: entry.base, length: entry.length() });
        }
        self.entries.insert(at, Entry { base, last, value });
        Ok(())
    }

    /// Gives up the claim that starts at `base` and returns its value.
    pub fn remove(&mut self, base: u64) -> Option<T> {
        let at = self.entries.binary_search_by_key(&base, |entry| entry.base).ok()?;
        Some(self.entries.remove(at).value)
    }

    /// Finds the claim that an access of `size` bytes at `address` belongs to: the one that holds its
    /// first byte. [`Claim::whole`] says whether it holds the others too.
    #[inline]
    pub fn lookup(&self, address: u64, size: u64) -> Option<Claim<'_, T>> {
        let at = self.entries.partition_point(|entry| entry.last < address);
        let entry = self.entries.get(at).filter(|entry| entry.base <= address)?;
        Some(Claim {
            base: entry.base,
            length: entry.length(),
            offset: address - entry.base,
            whole: size.saturating_sub(1) <= entry.last - address,
            value: &entry.value,
        })
    }

    /// The claims in the order of their addresses, as (base, length, value).
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64, &T)> {
        self.entries.iter().map(|entry| (entry.base, entry.length(), &entry.value))
    }

    /// The number of claims.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no claims.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<T> Default for RangeMap<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Entry<T> {
    /// Cannot overflow: the length was given as a u64.
    fn length(&self) -> u64 {
        self.last - self.base + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_at(map: &RangeMap<&'static str>, address: u64) -> Option<&'static str> {
        map.lookup(address, 1).map(|claim| *claim.value)
    }

    #[test]
    fn finds_the_range_that_holds_the_address() {
        let mut map = RangeMap::new();
        map.insert(0x3f8, 8, "serial").unwrap();
        map.insert(0x70, 2, "cmos").unwrap();
        map.insert(0x72, 1, "neighbour").unwrap();
        let bases: Vec<_> = map.iter().map(|(base, length, _)| (base, length)).collect();
        assert_eq!(bases, [(0x70, 2), (0x72, 1), (0x3f8, 8)]);
        assert_eq!(value_at(&map, 0x6f), None);
        assert_eq!(value_at(&map, 0x70), Some("cmos"));
        assert_eq!(value_at(&map, 0x71), Some("cmos"));
        assert_eq!(value_at(&map, 0x72), Some("neighbour"));
        assert_eq!(value_at(&map, 0x73), None);
        assert_eq!(map.lookup(0x3fd, 1).unwrap().offset, 5);
        assert_eq!(value_at(&map, 0x400), None);
        assert_eq!(value_at(&map, u64::MAX), None);
    }

    #[test]
    fn an_access_over_the_end_belongs_to_its_first_byte() {
        let mut map = RangeMap::new();
        map.insert(0x1000, 4, "device").unwrap();
        assert!(map.lookup(0x1000, 4).unwrap().whole);
        let over = map.lookup(0x1002, 4).unwrap();
        assert_eq!((over.offset, over.whole), (2, false));
        assert_eq!(map.lookup(0xffe, 4), None);
        assert!(map.lookup(0x1003, 0).unwrap().whole);
    }

    #[test]
    fn refuses_overlaps_and_names_the_lowest() {
        let mut map = RangeMap::new();
        map.insert(0x10, 0x10, "a").unwrap();
        map.insert(0x20, 0x10, "b").unwrap();
        let in_the_way = |base| Err(InsertError::Overlap { base, length: 0x10 });
        assert_eq!(map.insert(0, 0x100, "x"), in_the_way(0x10));
        assert_eq!(map.insert(0x1f, 1, "x"), in_the_way(0x10));
        assert_eq!(map.insert(0x1f, 2, "x"), in_the_way(0x10));
        assert_eq!(map.insert(0x20, 1, "x"), in_the_way(0x20));
        assert_eq!(map.insert(0x2f, u64::MAX - 0x2f, "x"), in_the_way(0x20));
        assert_eq!(map.len(), 2);
        map.insert(0, 0x10, "before").unwrap();
        map.insert(0x30, 1, "after").unwrap();
        assert_eq!(map.len(), 4);
    }

    #[test]
    fn reaches_the_last_address_and_not_further() {
        let mut map = RangeMap::new();
        assert_eq!(map.insert(7, 0, "x"), Err(InsertError::Empty { base: 7 }));
        assert_eq!(map.insert(u64::MAX, 2, "x"), Err(InsertError::PastEnd { base: u64::MAX, length: 2 }));
        map.insert(u64::MAX, 1, "last").unwrap();
        map.insert(0, u64::MAX, "rest").unwrap();
        let last = map.lookup(u64::MAX, u64::MAX).unwrap();
        assert_eq!((*last.value, last.offset, last.whole), ("last", 0, false));
        assert!(map.lookup(u64::MAX, 1).unwrap().whole);
        assert_eq!(map.lookup(u64::MAX - 1, 1).unwrap().length, u64::MAX);
    }

    #[test]
    fn removes_by_the_first_address_only() {
        let mut map = RangeMap::default();
        map.insert(0x10, 2, "a").unwrap();
        assert_eq!(map.remove(0x11), None);
        let copy = map.clone();
        assert_eq!(map.remove(0x10), Some("a"));
        assert!(map.is_empty());
        assert_eq!(value_at(&copy, 0x11), Some("a"));
        map.insert(0x11, 1, "b").unwrap();
    }
}
