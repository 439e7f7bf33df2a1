//! Guest memory: the regions of one virtual machine and the bytes in them.
//!
//! Built on vm-memory, so that loaders and virtio queues work on the same object. Every write from the
//! host side is marked in a bitmap of our own, because KVM's dirty log only knows the guest's writes.

mod mapping;
mod page_size;
mod region;
mod sigbus;

pub use mapping::{Backing, Mapping};
pub use page_size::page_size;
pub use region::{Region, RegionConfig, ViewGuard};

use crate::{Error, ErrorCode};
use memchr::memmem::Finder;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use vm_memory::bitmap::AtomicBitmap;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

/// The bytes searched at a time by [`GuestMemory::find`].
const FIND_CHUNK: usize = 64 * 1024;

#[derive(Default)]
struct Regions {
    /// vm-memory's view of the same regions; it has no value for an empty set.
    map: Option<GuestMemoryMmap<AtomicBitmap>>,
    list: Vec<Arc<Region>>,
    /// The regions of a closed machine: their ranges stay reserved until the last vCPU is gone, because
    /// one on another thread may still be inside the guest.
    retired: Vec<Arc<Region>>,
    closed: bool,
}

/// All memory of one virtual machine.
#[derive(Default)]
pub struct GuestMemory {
    regions: RwLock<Regions>,
    /// Whether there ever was a region whose file can shrink.
    has_files: AtomicBool,
}

impl GuestMemory {
    fn read_guard(&self) -> RwLockReadGuard<'_, Regions> {
        self.regions.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn write_guard(&self) -> RwLockWriteGuard<'_, Regions> {
        self.regions.write().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// vm-memory's view of the regions as they are now, for a loader. It does not hold them: whoever took
    /// [`regions`](Self::regions) before can write through it though the machine is closed meanwhile, to memory that
    /// nobody reads.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Closed`], [`ErrorCode::MemoryBounds`] for a machine without memory.
    pub fn map(&self) -> Result<GuestMemoryMmap<AtomicBitmap>, Error> {
        let guard = self.read_guard();
        if guard.closed {
            return Err(Error::closed("Vm"));
        }
        guard.map.clone().ok_or_else(|| Error::new(ErrorCode::MemoryBounds, "the machine has no memory"))
    }

    /// The regions, by guest address.
    pub fn regions(&self) -> Vec<Arc<Region>> {
        self.read_guard().list.clone()
    }

    /// The region in slot `slot`.
    pub fn region(&self, slot: u32) -> Option<Arc<Region>> {
        self.read_guard().list.iter().find(|region| region.slot == slot).cloned()
    }

    /// Notes single pages as written, in the regions as they are now.
    pub(crate) fn recorder(&self) -> Recorder {
        Recorder { regions: self.regions(), last: 0 }
    }

    /// The lowest slot number that no region has.
    pub(crate) fn free_slot(&self) -> u32 {
        let guard = self.read_guard();
        (0..).find(|slot| guard.list.iter().all(|region| region.slot != *slot)).unwrap_or(u32::MAX)
    }

    /// Fails if the range touches a region that exists, or the slot is taken.
    pub(crate) fn check_free(&self, slot: u32, start: u64, size: u64) -> Result<(), Error> {
        let guard = self.read_guard();
        if guard.closed {
            return Err(Error::closed("Vm"));
        }
        for region in &guard.list {
            if region.slot == slot {
                return Err(Error::new(
                    ErrorCode::MemoryOverlap,
                    format!("memory slot {slot} is taken by the region at {:#x}", region.guest_address),
                ));
            }
            if start < region.guest_address + region.size && region.guest_address < start + size {
                return Err(Error::new(
                    ErrorCode::MemoryOverlap,
                    format!(
                        "{start:#x}..{:#x} overlaps the region {:#x}..{:#x}",
                        start + size,
                        region.guest_address,
                        region.guest_address + region.size
                    ),
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn insert(&self, region: Arc<Region>) -> Result<(), Error> {
        let mut guard = self.write_guard();
        if guard.closed {
            return Err(Error::closed("Vm"));
        }
        let slot = region.slot;
        if region.mapping.is_file() {
            self.has_files.store(true, Ordering::Relaxed);
        }
        guard.list.push(region);
        guard.list.sort_by_key(|region| region.guest_address);
        guard.rebuild().inspect_err(|_| guard.list.retain(|region| region.slot != slot))
    }

    pub(crate) fn remove(&self, slot: u32) -> Option<Arc<Region>> {
        let mut guard = self.write_guard();
        let index = guard.list.iter().position(|region| region.slot == slot)?;
        let region = guard.list.remove(index);
        // Removing from a valid set leaves a valid set.
        let _ = guard.rebuild();
        Some(region)
    }

    /// Gives all memory back to the host; addresses that others still hold stay harmless. `unused` says that no vCPU
    /// is inside the guest and none will be: then a region that no view holds either is simply unmapped.
    pub(crate) fn close(&self, unused: bool) {
        let mut guard = self.write_guard();
        guard.closed = true;
        guard.map = None;
        for region in std::mem::take(&mut guard.list) {
            if !unused || Arc::strong_count(&region) > 1 {
                region.mapping.retire();
                guard.retired.push(region);
            }
        }
    }

    /// Fails for a guest access that came as MMIO though a file is mapped there: its pages are gone. (Other hosts
    /// report it as a fault of KVM_RUN.)
    #[inline]
    pub(crate) fn check_backing(&self, address: u64, write: bool) -> Result<(), Error> {
        if self.has_files.load(Ordering::Relaxed) { self.check_files(address, write) } else { Ok(()) }
    }

    #[cold]
    fn check_files(&self, address: u64, write: bool) -> Result<(), Error> {
        let guard = self.read_guard();
        let lost = guard.list.iter().any(|region| {
            (region.guest_address..region.guest_address + region.size).contains(&address)
                && region.mapping.is_file()
                // A write to read-only memory is an exit of its own.
                && !(write && region.read_only)
        });
        if lost { Err(backing_lost()) } else { Ok(()) }
    }

    /// Whether a backing file of any region shrank.
    pub fn lost(&self) -> bool {
        self.read_guard().list.iter().any(|region| region.mapping.lost())
    }

    fn with_range<T>(
        &self,
        address: u64,
        length: usize,
        use_map: impl FnOnce(&GuestMemoryMmap<AtomicBitmap>) -> Result<T, vm_memory::GuestMemoryError>,
    ) -> Result<T, Error> {
        let guard = self.read_guard();
        if guard.closed {
            return Err(Error::closed("Vm"));
        }
        guard.check_mapped(address, length as u64)?;
        let map = guard.map.as_ref().ok_or_else(|| out_of_bounds(address, length as u64))?;
        use_map(map).map_err(|error| Error::new(ErrorCode::MemoryBounds, error.to_string()))
    }

    /// Copies guest memory out.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::MemoryBounds`] if any byte of the range is not mapped; nothing is copied then.
    pub fn read(&self, address: u64, target: &mut [u8]) -> Result<(), Error> {
        if target.is_empty() {
            return self.check(address, 0);
        }
        self.with_range(address, target.len(), |map| map.read_slice(target, GuestAddress(address)))
    }

    /// Copies bytes into guest memory and marks the pages dirty.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::MemoryBounds`] if any byte of the range is not mapped; nothing is written then.
    pub fn write(&self, address: u64, source: &[u8]) -> Result<(), Error> {
        if source.is_empty() {
            return self.check(address, 0);
        }
        self.with_range(address, source.len(), |map| map.write_slice(source, GuestAddress(address)))
    }

    /// Fills a range with one byte.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::MemoryBounds`].
    pub fn fill(&self, address: u64, length: u64, byte: u8) -> Result<(), Error> {
        self.check(address, length)?;
        let chunk = vec![byte; FIND_CHUNK.min(length as usize)];
        let mut done = 0;
        while done < length {
            let step = (chunk.len() as u64).min(length - done);
            self.write(address + done, &chunk[..step as usize])?;
            done += step;
        }
        Ok(())
    }

    /// The address of the first occurrence of `pattern` that lies wholly in `start..end`, looked for in
    /// the mapped parts of that range. A match may span two regions that touch.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Closed`].
    pub fn find(&self, pattern: &[u8], start: u64, end: u64) -> Result<Option<u64>, Error> {
        if pattern.is_empty() {
            return Ok(None);
        }
        // Linear whatever the guest put there: it must not choose how long the host searches.
        let finder = Finder::new(pattern);
        for (run_start, run_end) in self.runs(start, end)? {
            let mut buffer = vec![0; FIND_CHUNK + pattern.len() - 1];
            let mut at = run_start;
            while at + pattern.len() as u64 <= run_end {
                let length = (buffer.len() as u64).min(run_end - at) as usize;
                let chunk = &mut buffer[..length];
                self.read(at, chunk)?;
                if let Some(offset) = finder.find(chunk) {
                    return Ok(Some(at + offset as u64));
                }
                at += FIND_CHUNK as u64;
            }
        }
        Ok(None)
    }

    /// The mapped stretches of a range; regions that touch make one.
    fn runs(&self, start: u64, end: u64) -> Result<Vec<(u64, u64)>, Error> {
        let guard = self.read_guard();
        if guard.closed {
            return Err(Error::closed("Vm"));
        }
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for region in &guard.list {
            let from = region.guest_address.max(start);
            let to = (region.guest_address + region.size).min(end);
            match runs.last_mut() {
                Some(last) if last.1 == from && from < to => last.1 = to,
                _ if from < to => runs.push((from, to)),
                _ => {}
            }
        }
        Ok(runs)
    }

    /// Fails unless every byte of the range is mapped.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::MemoryBounds`], [`ErrorCode::Closed`].
    pub fn check(&self, address: u64, length: u64) -> Result<(), Error> {
        let guard = self.read_guard();
        if guard.closed {
            return Err(Error::closed("Vm"));
        }
        guard.check_mapped(address, length)
    }

    /// The region that holds all of the range, and the offset in it: what a view can be made of.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::MemoryBounds`] if no single region holds the range.
    pub fn window(&self, address: u64, length: u64) -> Result<(Arc<Region>, usize), Error> {
        let guard = self.read_guard();
        if guard.closed {
            return Err(Error::closed("Vm"));
        }
        guard
            .list
            .iter()
            .find(|region| {
                address >= region.guest_address
                    && length <= region.size
                    && address - region.guest_address <= region.size - length
            })
            .map(|region| (Arc::clone(region), (address - region.guest_address) as usize))
            .ok_or_else(|| out_of_bounds(address, length))
    }
}

/// Notes pages that were written, as a dirty ring tells them.
pub(crate) struct Recorder {
    regions: Vec<Arc<Region>>,
    /// Where the last one was found: the next is mostly there, too.
    last: usize,
}

impl Recorder {
    /// Notes a page of a slot (its address space in the upper half, of which there is one). A slot that is gone is passed
    /// over.
    pub(crate) fn record(&mut self, slot: u32, page: u64) {
        let slot = slot & 0xffff;
        if self.regions.get(self.last).is_none_or(|region| region.slot != slot) {
            let Some(found) = self.regions.iter().position(|region| region.slot == slot) else { return };
            self.last = found;
        }
        self.regions[self.last].mark_page(page);
    }
}

impl Regions {
    fn rebuild(&mut self) -> Result<(), Error> {
        let regions = self.list.iter().map(|region| Arc::clone(&region.guest_region)).collect::<Vec<_>>();
        self.map = if regions.is_empty() {
            None
        } else {
            Some(
                GuestMemoryMmap::from_arc_regions(regions)
                    .map_err(|error| Error::new(ErrorCode::MemoryOverlap, error.to_string()))?,
            )
        };
        Ok(())
    }

    fn check_mapped(&self, address: u64, length: u64) -> Result<(), Error> {
        let end = address.checked_add(length).ok_or_else(|| out_of_bounds(address, length))?;
        let mut at = address;
        for region in &self.list {
            if at >= end && length > 0 {
                break;
            }
            if at >= region.guest_address && at < region.guest_address + region.size {
                at = region.guest_address + region.size;
            }
        }
        // An empty range is in bounds wherever its address could be used with one more byte.
        if at >= end && (length > 0 || at > address) {
            return Ok(());
        }
        Err(out_of_bounds(address, length))
    }
}

/// The failure of a run whose guest used a page that its file has no longer.
pub(crate) fn backing_lost() -> Error {
    Error::new(ErrorCode::BackingLost, "a file behind guest memory shrank while the guest was using it")
}

fn out_of_bounds(address: u64, length: u64) -> Error {
    Error::new(
        ErrorCode::MemoryBounds,
        format!(
            "guest memory {address:#x}..{:#x} is not mapped (or not by one region)",
            address.saturating_add(length)
        ),
    )
}
