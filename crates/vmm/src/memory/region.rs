//! One memory slot: a range of guest-physical addresses on a mapping, with the record of what the host
//! wrote to it.

use super::{Backing, Mapping, page_size};
use crate::{Error, ErrorCode};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use vm_memory::bitmap::AtomicBitmap;
use vm_memory::mmap::MmapRegionBuilder;
use vm_memory::{GuestAddress, GuestRegionMmap};

/// What a region shall be.
#[derive(Debug, Clone)]
pub struct RegionConfig {
    /// KVM's number for the region; `None` takes the lowest free one.
    pub slot: Option<u32>,
    /// Where the guest sees it; a multiple of the page size.
    pub guest_address: u64,
    /// Its length in bytes; a multiple of the page size.
    pub size: u64,
    /// Where its bytes come from.
    pub backing: Backing,
    /// Whether writes reach the backing file.
    pub shared: bool,
    /// Whether the guest's writes become MMIO exits (`KVM_MEM_READONLY`).
    pub read_only: bool,
    /// Whether KVM notes the guest's writes (`KVM_MEM_LOG_DIRTY_PAGES`).
    pub log_dirty_pages: bool,
    /// Whether the host may use large pages for it (`MADV_HUGEPAGE`).
    pub huge_pages: bool,
    /// Whether the guest sees it in system management mode, too: that has an address space of its own.
    pub smm: bool,
}

/// One memory slot.
pub struct Region {
    /// KVM's number for it.
    pub slot: u32,
    /// Where the guest sees it.
    pub guest_address: u64,
    /// Its length in bytes.
    pub size: u64,
    /// Whether the guest's writes become MMIO exits.
    pub read_only: bool,
    /// Whether KVM notes the guest's writes.
    pub log_dirty_pages: bool,
    /// Whether it is in the address space of system management mode, too.
    pub smm: bool,
    /// The host side.
    pub mapping: Arc<Mapping>,
    pub(super) guest_region: Arc<GuestRegionMmap<AtomicBitmap>>,
    /// Live views that may write: their pages count as dirty as long as they live.
    writable_views: Mutex<Vec<(u64, usize, usize)>>,
}

/// The most pages that KVM takes as one region (`KVM_MEM_MAX_NR_PAGES`).
const MAX_PAGES: u64 = (1 << 31) - 1;

impl Region {
    pub(crate) fn new(config: &RegionConfig, slot: u32) -> Result<Self, Error> {
        // Asked first: the record of dirty pages alone would take gigabytes.
        let most = MAX_PAGES * page_size() as u64;
        if config.size > most {
            let message = format!("the region is larger than KVM allows, {most} bytes");
            return Err(Error::new(ErrorCode::Memory, message));
        }
        let size = usize::try_from(config.size)
            .map_err(|_| Error::new(ErrorCode::Memory, "the region is larger than the address space"))?;
        let mapping = Mapping::new(&config.backing, size, config.shared)?;
        let mapping = Arc::new(if config.huge_pages { mapping.with_huge_pages()? } else { mapping });
        let page = NonZeroUsize::new(page_size()).unwrap_or(NonZeroUsize::MIN);
        // SAFETY: the mapping covers the whole range and is kept alive beside the region in this struct.
        let builder = unsafe {
            MmapRegionBuilder::new_with_bitmap(size, AtomicBitmap::new(size, page))
                .with_raw_mmap_pointer(mapping.as_ptr())
        };
        let memory = |error: String| Error::new(ErrorCode::Memory, error);
        let region = builder.build().map_err(|error| memory(error.to_string()))?;
        let guest_region = GuestRegionMmap::new(region, GuestAddress(config.guest_address))
            .ok_or_else(|| memory("the region ends beyond the address space".into()))?;
        Ok(Self {
            slot,
            guest_address: config.guest_address,
            size: config.size,
            read_only: config.read_only,
            log_dirty_pages: config.log_dirty_pages,
            smm: config.smm,
            mapping,
            guest_region: Arc::new(guest_region),
            writable_views: Mutex::new(Vec::new()),
        })
    }

    fn bitmap(&self) -> &AtomicBitmap {
        self.guest_region.bitmap()
    }

    /// Notes that a page was written; one that the region does not have is passed over.
    pub(crate) fn mark_page(&self, page: u64) {
        self.bitmap().set_bit(usize::try_from(page).unwrap_or(usize::MAX));
    }

    /// The indices of the dirty pages: those in `kvm_log` (KVM's bitmap for this slot), those the host
    /// wrote, and those under a live writable view. `reset` starts a new record.
    pub(crate) fn dirty_pages(&self, kvm_log: &[u64], reset: bool) -> Vec<u32> {
        let bitmap = self.bitmap();
        let views = self.writable_views.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for (_, offset, length) in views.iter() {
            bitmap.set_addr_range(*offset, *length);
        }
        drop(views);
        if reset {
            let mut words = bitmap.get_and_reset();
            words.iter_mut().zip(kvm_log).for_each(|(word, logged)| *word |= logged);
            return set_bits(&words);
        }
        // KVM's log was cleared by reading it, so what it said moves into ours.
        set_bits(kvm_log).iter().for_each(|page| bitmap.set_bit(*page as usize));
        set_bits(&bitmap.clone().get_and_reset())
    }

    /// Enters a view of `length` bytes at `offset`; the guard keeps the mapping alive.
    pub fn open_view(self: &Arc<Self>, offset: usize, length: usize, read_only: bool) -> ViewGuard {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        if !read_only {
            self.writable_views
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner())
                .push((id, offset, length));
        }
        ViewGuard { region: Arc::clone(self), id, offset, length, read_only }
    }
}

/// The numbers of the bits that are set. A region has fewer than 2^31 pages.
fn set_bits(words: &[u64]) -> Vec<u32> {
    let mut bits = Vec::with_capacity(words.iter().map(|word| word.count_ones() as usize).sum());
    for (index, word) in words.iter().enumerate() {
        let mut left = *word;
        while left != 0 {
            bits.push(index as u32 * 64 + left.trailing_zeros());
            left &= left - 1;
        }
    }
    bits
}

/// Held by a view of guest memory in JavaScript until its buffer is collected.
pub struct ViewGuard {
    region: Arc<Region>,
    id: u64,
    offset: usize,
    length: usize,
    read_only: bool,
}

impl ViewGuard {
    /// The first byte of the view.
    pub fn as_ptr(&self) -> *mut u8 {
        self.region.mapping.as_ptr().wrapping_add(self.offset)
    }

    /// The length in bytes.
    pub fn length(&self) -> usize {
        self.length
    }
}

impl Drop for ViewGuard {
    fn drop(&mut self) {
        if self.read_only {
            return;
        }
        self.region
            .writable_views
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .retain(|(id, _, _)| *id != self.id);
        // Whatever was written through it was written by now.
        self.region.bitmap().set_addr_range(self.offset, self.length);
    }
}
