//! Memory that the host cannot see: guest_memfd, and which pages are private.

use super::VmCore;
use crate::error::IoctlResult;
use crate::memory::Region;
use crate::{Error, ErrorCode, RegionConfig, descriptor};
use kvm_bindings::{
    KVM_CAP_GUEST_MEMFD, KVM_CAP_MEMORY_ATTRIBUTES, KVM_CAP_USER_MEMORY2, kvm_create_guest_memfd,
    kvm_memory_attributes,
};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex};

/// Memory for one machine that has no address in the process: `KVM_CREATE_GUEST_MEMFD`.
#[derive(Debug)]
pub struct GuestMemfd {
    fd: Mutex<Option<Arc<OwnedFd>>>,
    /// Its length in bytes.
    pub size: u64,
}

impl GuestMemfd {
    pub(crate) fn get(&self) -> Result<Arc<OwnedFd>, Error> {
        let guard = self.fd.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        guard.clone().ok_or_else(|| Error::closed("GuestMemfd"))
    }

    /// The descriptor's number.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Closed`].
    pub fn raw_fd(&self) -> Result<i32, Error> {
        Ok(self.get()?.as_raw_fd())
    }

    /// Lets go of the descriptor; KVM keeps the memory of regions that use it.
    pub fn close(&self) {
        self.fd.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
    }
}

/// The private side of a region: which memory, and where in it the region begins.
#[derive(Debug, Clone)]
pub struct PrivatePart {
    /// The memory.
    pub memfd: Arc<GuestMemfd>,
    /// Bytes from its start; a multiple of the page size.
    pub offset: u64,
}

impl VmCore {
    /// `KVM_CREATE_GUEST_MEMFD`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`], [`ErrorCode::Ioctl`] (`EINVAL` for a size that is no multiple of the page size),
    /// [`ErrorCode::Closed`].
    pub fn create_guest_memfd(&self, size: u64, flags: u64) -> Result<Arc<GuestMemfd>, Error> {
        self.require(KVM_CAP_GUEST_MEMFD, "KVM_CAP_GUEST_MEMFD")?;
        let request = kvm_create_guest_memfd { size, flags, ..Default::default() };
        let fd = self.with(|vm| vm.create_guest_memfd(request).ioctl("KVM_CREATE_GUEST_MEMFD"))?;
        Ok(Arc::new(GuestMemfd { fd: Mutex::new(Some(Arc::new(descriptor::own(fd)))), size }))
    }

    /// `KVM_SET_USER_MEMORY_REGION2`: adds a region that has both sides, memory of the process and private memory;
    /// [`set_memory_attributes`](Self::set_memory_attributes) says which one the guest sees.
    ///
    /// # Errors
    ///
    /// As [`map_memory`](Self::map_memory); [`ErrorCode::Unsupported`]; [`ErrorCode::MemoryBounds`] when the private
    /// memory is too short.
    pub fn map_private_memory(
        &self,
        config: &RegionConfig,
        part: &PrivatePart,
    ) -> Result<Arc<Region>, Error> {
        self.require(KVM_CAP_USER_MEMORY2, "KVM_CAP_USER_MEMORY2")?;
        let end = part.offset.checked_add(config.size);
        if end.is_none_or(|end| end > part.memfd.size) {
            let have = part.memfd.size;
            return Err(Error::new(
                ErrorCode::MemoryBounds,
                format!(
                    "the guest memfd has {have:#x} bytes, the region needs {:#x} at {:#x}",
                    config.size, part.offset
                ),
            ));
        }
        self.map_region(config, Some((&*part.memfd.get()?, part.offset)))
    }

    /// `KVM_SET_MEMORY_ATTRIBUTES` for a range of guest-physical addresses.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`], [`ErrorCode::Ioctl`], [`ErrorCode::Closed`].
    pub fn set_memory_attributes(&self, address: u64, size: u64, attributes: u64) -> Result<(), Error> {
        self.require(KVM_CAP_MEMORY_ATTRIBUTES, "KVM_CAP_MEMORY_ATTRIBUTES")?;
        let request = kvm_memory_attributes { address, size, attributes, ..Default::default() };
        self.with(|vm| vm.set_memory_attributes(request).ioctl("KVM_SET_MEMORY_ATTRIBUTES"))
    }
}
