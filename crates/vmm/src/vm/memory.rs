//! The machine's memory slots.

use super::VmCore;
use crate::error::IoctlResult;
use crate::host::lacks;
use crate::memory::Region;
use crate::{Error, ErrorCode, RegionConfig};
use kvm_bindings::{
    KVM_CAP_MULTI_ADDRESS_SPACE, KVM_MEM_GUEST_MEMFD, KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY,
    kvm_userspace_memory_region, kvm_userspace_memory_region2,
};
use kvm_ioctls::VmFd;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

impl VmCore {
    /// `KVM_SET_USER_MEMORY_REGION`: adds a region.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::MemoryOverlap`], [`ErrorCode::NoSlots`], [`ErrorCode::Memory`], [`ErrorCode::Ioctl`].
    pub fn map_memory(&self, config: &RegionConfig) -> Result<Arc<Region>, Error> {
        self.map_region(config, None)
    }

    /// Adds a region; `private` is its other side, a guest memfd and an offset in it.
    pub(super) fn map_region(
        &self,
        config: &RegionConfig,
        private: Option<(&OwnedFd, u64)>,
    ) -> Result<Arc<Region>, Error> {
        // The descriptor's lock also makes check and insertion one step.
        self.with(|vm| {
            let slot = config.slot.unwrap_or_else(|| self.memory.free_slot());
            config
                .guest_address
                .checked_add(config.size)
                .ok_or_else(|| Error::new(ErrorCode::Memory, "the region ends beyond the address space"))?;
            self.memory.check_free(slot, config.guest_address, config.size)?;
            if config.smm && address_spaces(vm) <= SMM_SPACE as i32 {
                return Err(lacks("KVM_CAP_X86_SMM"));
            }
            let region = Arc::new(Region::new(config, slot)?);
            set_slot(vm, &region, region.size, private).map_err(|error| slot_error(vm, slot, error))?;
            set_smm_slot(vm, &region, region.size)
                .and_then(|()| self.memory.insert(Arc::clone(&region)))
                .inspect_err(|_| {
                    let _ = set_smm_slot(vm, &region, 0);
                    let _ = set_slot(vm, &region, 0, None);
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
            set_smm_slot(vm, &region, 0)?;
            set_slot(vm, &region, 0, None)?;
            // What the rings still have of this slot must not be found when another region has its number.
            if self.dirty_ring_size() > 0 {
                self.harvest_dirty_rings()?;
            }
            if let Some(region) = self.memory.remove(slot) {
                region.mapping.retire();
            }
            Ok(())
        })
    }
}

/// Tells KVM about a region; a size of zero removes the slot.
pub(super) fn set_slot(
    vm: &VmFd,
    region: &Region,
    size: u64,
    private: Option<(&OwnedFd, u64)>,
) -> Result<(), Error> {
    let mut flags = 0;
    if region.read_only {
        flags |= KVM_MEM_READONLY;
    }
    if region.log_dirty_pages {
        flags |= KVM_MEM_LOG_DIRTY_PAGES;
    }
    let (slot, guest_phys_addr) = (region.slot, region.guest_address);
    let userspace_addr = region.mapping.as_ptr() as u64;
    if let Some((memfd, guest_memfd_offset)) = private {
        let request = kvm_userspace_memory_region2 {
            slot,
            flags: flags | KVM_MEM_GUEST_MEMFD,
            guest_phys_addr,
            memory_size: size,
            userspace_addr,
            guest_memfd_offset,
            guest_memfd: memfd.as_raw_fd() as u32,
            ..Default::default()
        };
        // SAFETY: as below; KVM holds the private memory itself.
        return unsafe { vm.set_user_memory_region2(request) }.ioctl("KVM_SET_USER_MEMORY_REGION2");
    }
    let request =
        kvm_userspace_memory_region { slot, flags, guest_phys_addr, memory_size: size, userspace_addr };
    // SAFETY: the mapping behind the slot stays reserved until it is removed from KVM or the machine's
    // descriptor is closed: the region holds it, and retiring it replaces the pages, never the range.
    unsafe { vm.set_user_memory_region(request) }.ioctl("KVM_SET_USER_MEMORY_REGION")
}

/// The address space that x86_64 has in system management mode; its slots have this number in their upper half.
const SMM_SPACE: u32 = 1;

fn address_spaces(vm: &VmFd) -> i32 {
    vm.check_extension_raw(u64::from(KVM_CAP_MULTI_ADDRESS_SPACE) as _)
}

/// Tells KVM about the region in the address space of system management mode, if it is in that one. The log of dirty pages
/// is that of the other.
fn set_smm_slot(vm: &VmFd, region: &Region, size: u64) -> Result<(), Error> {
    if !region.smm {
        return Ok(());
    }
    let request = kvm_userspace_memory_region {
        slot: SMM_SPACE << 16 | region.slot,
        flags: if region.read_only { KVM_MEM_READONLY } else { 0 },
        guest_phys_addr: region.guest_address,
        memory_size: size,
        userspace_addr: region.mapping.as_ptr() as u64,
    };
    // SAFETY: as in `set_slot`; both slots are removed before the range is given back.
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
