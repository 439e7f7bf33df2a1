//! One vCPU's ring of the pages that it wrote: the kernel produces, we consume.
//!
//! # Rules
//!
//! An entry belongs to the kernel until its flag DIRTY is seen, by a load that acquires; then to us until the flag
//! RESET is stored, by a store that releases; `KVM_RESET_DIRTY_RINGS` gives it back. There is one consumer: the value
//! is behind a lock. JavaScript never gets a view of the ring.

use super::VcpuCore;
use crate::memory::page_size;
use crate::{Error, ErrorCode};
use kvm_bindings::KVM_DIRTY_LOG_PAGE_OFFSET;
use std::ptr::null_mut;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicU32, Ordering};

/// `KVM_DIRTY_GFN_F_DIRTY`: the kernel has filled the entry.
const DIRTY: u32 = 1;
/// `KVM_DIRTY_GFN_F_RESET`: the entry was harvested.
const RESET: u32 = 2;

/// `struct kvm_dirty_gfn`, with flags that two sides use.
#[repr(C)]
struct Entry {
    flags: AtomicU32,
    slot: u32,
    offset: u64,
}

/// The bytes of one entry.
pub(crate) const ENTRY_SIZE: usize = size_of::<Entry>();

/// The mapping of one ring.
pub(crate) struct DirtyRing {
    start: *mut Entry,
    entries: usize,
    /// The entry that is looked at next.
    next: usize,
}

// SAFETY: the mapping is shared with the kernel by design and reached through this value alone.
unsafe impl Send for DirtyRing {}

impl DirtyRing {
    /// Maps the ring of a vCPU, of `size` bytes: those that were given when rings were enabled.
    pub(crate) fn map(vcpu_fd: i32, size: usize) -> Result<Self, Error> {
        let offset = KVM_DIRTY_LOG_PAGE_OFFSET as usize * page_size();
        // SAFETY: no address is asked for, so nothing that exists is replaced; the result is checked.
        let start = unsafe {
            libc::mmap(
                null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                vcpu_fd,
                offset as libc::off_t,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(Error::last_os(ErrorCode::Memory, "mmap(dirty ring)"));
        }
        // As the other pages of a vCPU: a child process has no business with them.
        // SAFETY: the range is ours.
        unsafe { libc::madvise(start, size, libc::MADV_DONTFORK) };
        let ring = Self { start: start.cast(), entries: size / ENTRY_SIZE, next: 0 };
        // A descriptor that somebody gave may be that of another machine's vCPU, which has another ring or none: the
        // first access would be a SIGBUS. (Kernels before 5.14 do not know the advice, and are believed.)
        // SAFETY: the range is ours, and the advice only reads it.
        let populated = unsafe { libc::madvise(start, size, libc::MADV_POPULATE_READ) } == 0;
        if !populated && crate::error::errno() != libc::EINVAL {
            return Err(Error::last_os(ErrorCode::Memory, "mmap(dirty ring)"));
        }
        Ok(ring)
    }

    /// Takes what the kernel has put in the ring: slot (address space and number) and page of each write. A vCPU that
    /// writes meanwhile cannot hold it up: at most as many as the ring has. How many there were.
    pub(crate) fn harvest(&mut self, mut take: impl FnMut(u32, u64)) -> usize {
        for taken in 0..self.entries {
            // SAFETY: `next` is below the number of entries, all of which are mapped as long as this value lives. The
            // flags are atomic, the rest is read by volatile reads of plain integers, of which any bytes are a value.
            let (flags, entry) = unsafe {
                let entry = self.start.add(self.next);
                (&(*entry).flags, entry)
            };
            if flags.load(Ordering::Acquire) & (DIRTY | RESET) != DIRTY {
                return taken;
            }
            // SAFETY: as above.
            let (slot, offset) = unsafe {
                ((&raw const (*entry).slot).read_volatile(), (&raw const (*entry).offset).read_volatile())
            };
            take(slot, offset);
            flags.store(RESET, Ordering::Release);
            self.next = if self.next + 1 == self.entries { 0 } else { self.next + 1 };
        }
        self.entries
    }
}

impl Drop for DirtyRing {
    fn drop(&mut self) {
        // SAFETY: the range was made by `map` (or a test) with this size, and this was its only holder.
        unsafe { libc::munmap(self.start.cast(), self.entries * ENTRY_SIZE) };
    }
}

impl VcpuCore {
    fn ring(&self) -> MutexGuard<'_, Option<DirtyRing>> {
        self.dirty_ring.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Notes in the regions' records what the vCPU's ring holds; the number of entries. At any time, from any thread.
    pub(crate) fn harvest_dirty_ring(&self) -> usize {
        let mut ring = self.ring();
        let Some(ring) = ring.as_mut() else { return 0 };
        let mut recorder = self.vm.memory.recorder();
        ring.harvest(|slot, page| recorder.record(slot, page))
    }

    /// The vCPU lets go of its descriptor, which the mapping would keep. What it wrote is noted first.
    pub(super) fn drop_dirty_ring(&self) {
        self.vm.harvest_for_good(self);
        self.ring().take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ring in memory of our own, where the test plays the kernel.
    fn ring(entries: usize) -> DirtyRing {
        let size = entries * ENTRY_SIZE;
        // SAFETY: anonymous memory, which starts as zeros; the ring unmaps it.
        let start = unsafe {
            libc::mmap(
                null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(start, libc::MAP_FAILED);
        DirtyRing { start: start.cast(), entries, next: 0 }
    }

    fn entry(ring: &DirtyRing, index: usize) -> *mut Entry {
        assert!(index < ring.entries);
        ring.start.wrapping_add(index)
    }

    fn push(ring: &DirtyRing, index: usize, slot: u32, offset: u64) {
        let entry = entry(ring, index);
        // SAFETY: the entry lies in the mapping.
        unsafe {
            (&raw mut (*entry).slot).write_volatile(slot);
            (&raw mut (*entry).offset).write_volatile(offset);
            (*entry).flags.store(DIRTY, Ordering::Release);
        }
    }

    fn flags(ring: &DirtyRing, index: usize) -> u32 {
        // SAFETY: the entry lies in the mapping.
        unsafe { (*entry(ring, index)).flags.load(Ordering::Acquire) }
    }

    fn reset(ring: &DirtyRing, index: usize) {
        // SAFETY: the entry lies in the mapping.
        unsafe { (*entry(ring, index)).flags.store(0, Ordering::Release) };
    }

    fn harvested(ring: &mut DirtyRing) -> Vec<(u32, u64)> {
        let mut list = Vec::new();
        assert_eq!(ring.harvest(|slot, page| list.push((slot, page))), list.len());
        list
    }

    #[test]
    fn entries_come_once_and_in_order_and_are_marked_for_the_reset() {
        let mut ring = ring(256);
        assert_eq!(harvested(&mut ring), []);
        push(&ring, 0, 3, 17);
        push(&ring, 1, 0, u64::MAX);
        assert_eq!(harvested(&mut ring), [(3, 17), (0, u64::MAX)]);
        assert_eq!([flags(&ring, 0), flags(&ring, 1), flags(&ring, 2)], [RESET, RESET, 0]);
        assert_eq!(harvested(&mut ring), []);
    }

    #[test]
    fn the_ring_goes_round() {
        let mut ring = ring(256);
        for lap in 0..3 {
            for index in 0..256 {
                push(&ring, index, lap, index as u64);
            }
            let list = harvested(&mut ring);
            assert_eq!(list.len(), 256);
            assert_eq!(list[255], (lap, 255));
            (0..256).for_each(|index| reset(&ring, index));
        }
    }

    #[test]
    fn a_producer_that_never_rests_does_not_hold_the_harvest_up() {
        let mut ring = ring(256);
        (0..256).for_each(|index| push(&ring, index, 0, 0));
        let start = ring.start;
        let mut count = 0;
        let taken = ring.harvest(|_, _| {
            // The kernel never does this to an entry that was not reset; if it did, the walk would end all the same.
            for index in 0..256 {
                // SAFETY: the entry lies in the mapping.
                unsafe { (*start.wrapping_add(index)).flags.store(DIRTY, Ordering::Release) };
            }
            count += 1;
        });
        assert_eq!((taken, count), (256, 256));
    }
}
