//! KVM's log of the pages that the guest wrote: one bit a page for each slot.

use super::VmCore;
use crate::memory::page_size;
use crate::raw_ioctl::dirty::{bitmap_size, clear_dirty_log, get_dirty_log};
use crate::{Error, ErrorCode, host};
use kvm_bindings::{KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE};
use kvm_ioctls::VmFd;
use zerocopy::IntoBytes;

/// `KVM_DIRTY_LOG_INITIALLY_SET`: the bits of a new slot start as ones.
const INITIALLY_SET: u64 = kvm_bindings::KVM_DIRTY_LOG_INITIALLY_SET as u64;

impl VmCore {
    /// The bytes that the log of a slot takes; those of one word for a slot that does not exist.
    pub fn dirty_log_size(&self, slot: u32) -> usize {
        bitmap_size(self.slot_pages(slot)) as usize
    }

    fn slot_pages(&self, slot: u32) -> u64 {
        self.memory.region(slot).map_or(1, |region| region.size / page_size() as u64)
    }

    /// `KVM_GET_DIRTY_LOG` into `target`: KVM's own record, one bit a page, which the call clears unless
    /// [`set_manual_protect`](Self::set_manual_protect) says otherwise.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`] (`ENOENT` for a slot without a log, `ENXIO` with dirty rings), [`ErrorCode::State`] for a target
    /// of another size, [`ErrorCode::Closed`].
    pub fn dirty_log_into(&self, slot: u32, target: &mut [u64]) -> Result<(), Error> {
        // No slot comes or goes while the descriptor is locked.
        self.with(|vm| {
            let pages = self.slot_pages(slot);
            let (size, given) = (bitmap_size(pages), target.len() as u64 * 8);
            if given != size {
                let message = format!("the log of slot {slot} has {size} bytes, not {given}");
                return Err(Error::new(ErrorCode::State, message));
            }
            get_dirty_log(vm, slot, pages, target.as_mut_bytes())
        })
    }

    /// The same as words.
    ///
    /// # Errors
    ///
    /// As [`dirty_log_into`](Self::dirty_log_into).
    pub fn dirty_log(&self, slot: u32) -> Result<Vec<u64>, Error> {
        self.with(|vm| self.log_words(vm, slot))
    }

    fn log_words(&self, vm: &VmFd, slot: u32) -> Result<Vec<u64>, Error> {
        let pages = self.slot_pages(slot);
        let mut words = vec![0_u64; bitmap_size(pages) as usize / 8];
        get_dirty_log(vm, slot, pages, words.as_mut_bytes())?;
        Ok(words)
    }

    /// `KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2`: whether reading the log and clearing it are two steps.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`], [`ErrorCode::Ioctl`], [`ErrorCode::Closed`].
    pub fn set_manual_protect(&self, manual: bool, initially_set: bool) -> Result<(), Error> {
        let value = self.require(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, "KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2")?;
        let mut flags = if manual { u64::from(KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE) } else { 0 };
        if initially_set {
            if u64::from(value) & INITIALLY_SET == 0 {
                return Err(host::lacks("KVM_DIRTY_LOG_INITIALLY_SET"));
            }
            flags |= INITIALLY_SET;
        }
        self.enable_cap(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, [flags, 0, 0, 0], 0)
    }

    /// `KVM_CLEAR_DIRTY_LOG`: clears the pages of a slot whose bits are set in `bitmap`, and lets KVM log them again.
    /// `pages` left out is to the end of the bitmap or the slot, whichever comes first.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`]; [`ErrorCode::Ioctl`] with `ENOENT` for a slot without a log, `EINVAL` for pages that
    /// the slot does not have or a bitmap that is too short, `ENXIO` with dirty rings; [`ErrorCode::Closed`].
    pub fn clear_dirty_log(
        &self,
        slot: u32,
        first_page: u64,
        pages: Option<u32>,
        bitmap: &[u8],
    ) -> Result<(), Error> {
        self.with(|vm| {
            if vm.check_extension_raw(u64::from(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) as _) <= 0 {
                return Err(host::lacks("KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2"));
            }
            let Some(region) = self.memory.region(slot) else {
                return Err(Error::os(ErrorCode::Ioctl, "KVM_CLEAR_DIRTY_LOG", libc::ENOENT));
            };
            let end = region.size / page_size() as u64;
            let left = end.saturating_sub(first_page);
            let given = bitmap.len() as u64 / 8 * 64;
            let pages = pages.map_or(given.min(left), u64::from);
            let whole = first_page.is_multiple_of(64) && (pages.is_multiple_of(64) || pages == left);
            if pages == 0 || pages > left || !whole {
                return Err(refusal(&format!(
                    "pages {first_page} to {} are not a part of slot {slot} that can be cleared: it has {end} pages, \
                     and a part begins at a multiple of 64 and ends at one, or with the slot",
                    first_page.saturating_add(pages)
                )));
            }
            if pages > given {
                return Err(refusal(&format!("the bitmap has {given} bits for {pages} pages")));
            }
            // A slot has fewer than 2^31 pages.
            clear_dirty_log(vm, slot, first_page, pages as u32, bitmap)
        })
    }

    /// The pages of a region that the guest or the host wrote, by index.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Closed`], [`ErrorCode::Ioctl`].
    pub fn dirty_pages(&self, slot: u32, reset: bool) -> Result<Vec<u32>, Error> {
        let region = self.memory.region(slot).ok_or_else(|| Error::closed("MemoryRegion"))?;
        let mut log = Vec::new();
        if region.log_dirty_pages {
            let has_rings = self.dirty_ring_size() > 0;
            if has_rings {
                self.collect_dirty_rings()?;
            }
            if !has_rings || self.has_ring_bitmap() {
                log = self.take_log(slot)?;
            }
        }
        Ok(region.dirty_pages(&log, reset))
    }

    /// KVM's log of a slot, which is empty afterwards.
    fn take_log(&self, slot: u32) -> Result<Vec<u64>, Error> {
        self.with(|vm| {
            let log = self.log_words(vm, slot)?;
            // Reading has cleared it, unless that is a step of its own. What is clear needs none.
            if self.has_manual_protect()
                && let (Some(first), Some(last)) =
                    (log.iter().position(|word| *word != 0), log.iter().rposition(|word| *word != 0))
            {
                let bytes = log[first..=last].as_bytes();
                let begin = first as u64 * 64;
                let pages = ((last + 1 - first) as u64 * 64).min(self.slot_pages(slot) - begin);
                clear_dirty_log(vm, slot, begin, pages as u32, bytes)?;
            }
            Ok(log)
        })
    }
}

fn refusal(message: &str) -> Error {
    Error { message: message.into(), ..Error::os(ErrorCode::Ioctl, "KVM_CLEAR_DIRTY_LOG", libc::EINVAL) }
}
