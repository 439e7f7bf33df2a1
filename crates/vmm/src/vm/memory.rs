//! The machine's memory slots.

use super::VmCore;
use crate::error::IoctlResult;
use crate::memory::{PAGE_SIZE, Region};
use crate::{Error, ErrorCode, RegionConfig};
use kvm_bindings::{KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY, kvm_userspace_memory_region};
use kvm_ioctls::VmFd;
use std::sync::Arc;

impl VmCore {
    /// `KVM_SET_USER_MEMORY_REGION`: adds a region.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::MemoryOverlap`], [`ErrorCode::NoSlots`], [`ErrorCode::Memory`], [`ErrorCode::Ioctl`].
    pub fn map_memory(&self, config: &RegionConfig) -> Result<Arc<Region>, Error> {
        // The descriptor's lock also makes check and insertion one step.
        self.with(|vm| {
            let slot = config.slot.unwrap_or_else(|| self.memory.free_slot());
            config
                .guest_address
                .checked_add(config.size)
                .ok_or_else(|| Error::new(ErrorCode::Memory, "the region ends beyond the address space"))?;
            self.memory.check_free(slot, config.guest_address, config.size)?;
            let region = Arc::new(Region::new(config, slot)?);
            set_slot(vm, &region, region.size).map_err(|error| slot_error(vm, slot, error))?;
            self.memory.insert(Arc::clone(&region)).inspect_err(|_| {
                let _ = set_slot(vm, &region, 0);
            })?;
            Ok(region)
        })
    }

    /// Removes a region. Its bytes are gone; views of it read zeros.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Closed`], also for a region that was removed; [`ErrorCode::Ioctl`].
    pub fn unmap_memory(&self, slot: u32) -> Result<(), Error> {
        self.with(|vm| {
            let region = self.memory.region(slot).ok_or_else(|| Error::closed("MemoryRegion"))?;
            set_slot(vm, &region, 0)?;
            if let Some(region) = self.memory.remove(slot) {
                region.mapping.retire();
            }
            Ok(())
        })
    }

    /// `KVM_GET_DIRTY_LOG`: KVM's own record, one bit a page, which the call clears.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`] (`ENOENT` for a slot without a log), [`ErrorCode::Closed`].
    pub fn dirty_log(&self, slot: u32) -> Result<Vec<u64>, Error> {
        let size = self.memory.region(slot).map_or(PAGE_SIZE, |region| region.size);
        self.with(|vm| vm.get_dirty_log(slot, size as usize).ioctl("KVM_GET_DIRTY_LOG"))
    }

    /// The pages of a region that the guest or the host wrote, by index.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Closed`], [`ErrorCode::Ioctl`].
    pub fn dirty_pages(&self, slot: u32, reset: bool) -> Result<Vec<u32>, Error> {
        let region = self.memory.region(slot).ok_or_else(|| Error::closed("MemoryRegion"))?;
        let log = if region.log_dirty_pages { self.dirty_log(slot)? } else { Vec::new() };
        Ok(region.dirty_pages(&log, reset))
    }
}

/// Tells KVM about a region; a size of zero removes the slot.
fn set_slot(vm: &VmFd, region: &Region, size: u64) -> Result<(), Error> {
    let mut flags = 0;
    if region.read_only {
        flags |= KVM_MEM_READONLY;
    }
    if region.log_dirty_pages {
        flags |= KVM_MEM_LOG_DIRTY_PAGES;
    }
    let request = kvm_userspace_memory_region {
        slot: region.slot,
        flags,
        guest_phys_addr: region.guest_address,
        memory_size: size,
        userspace_addr: region.mapping.as_ptr() as u64,
    };
    // SAFETY: the mapping behind the slot stays reserved until it is removed from KVM or the machine's
    // descriptor is closed: the region holds it, and retiring it replaces the pages, never the range.
    unsafe { vm.set_user_memory_region(request) }.ioctl("KVM_SET_USER_MEMORY_REGION")
}

/// What a refused slot means. How many there are is asked only now: it is a system call.
fn slot_error(vm: &VmFd, slot: u32, error: Error) -> Error {
    let slots = vm.check_extension_raw(u64::from(kvm_bindings::KVM_CAP_NR_MEMSLOTS) as _);
    if i64::from(slot) < i64::from(slots) {
        return error;
    }
    Error {
        code: ErrorCode::NoSlots,
        message: format!("this host has {slots} memory slots; slot {slot} does not exist"),
        ..error
    }
}
