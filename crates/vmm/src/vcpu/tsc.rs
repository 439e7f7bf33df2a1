//! The offset of the guest's time stamp counter.

use super::VcpuCore;
use crate::raw_ioctl::tsc as raw;
use crate::{Error, host};
use kvm_bindings::KVM_CAP_VCPU_ATTRIBUTES;
use kvm_ioctls::VcpuFd;

impl VcpuCore {
    fn with_tsc_control<T>(&self, use_fd: impl FnOnce(&VcpuFd) -> Result<T, Error>) -> Result<T, Error> {
        self.vm.require(KVM_CAP_VCPU_ATTRIBUTES, "KVM_CAP_VCPU_ATTRIBUTES")?;
        self.with(
            |fd| if raw::has_tsc_offset(fd) { use_fd(fd) } else { Err(host::lacks("KVM_VCPU_TSC_OFFSET")) },
        )
    }

    /// `KVM_GET_DEVICE_ATTR` of `KVM_VCPU_TSC_OFFSET`: what is added to the host's counter, modulo 2^64.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`](crate::ErrorCode::Unsupported), [`ErrorCode::Busy`](crate::ErrorCode::Busy),
    /// [`ErrorCode::Closed`](crate::ErrorCode::Closed), [`ErrorCode::Ioctl`](crate::ErrorCode::Ioctl).
    pub fn tsc_offset(&self) -> Result<u64, Error> {
        self.with_tsc_control(raw::get_tsc_offset)
    }

    /// `KVM_SET_DEVICE_ATTR` of `KVM_VCPU_TSC_OFFSET`. Hosts whose guests have the host's counter take it and do nothing,
    /// which counts as a lack here.
    ///
    /// # Errors
    ///
    /// As [`tsc_offset`](Self::tsc_offset).
    pub fn set_tsc_offset(&self, offset: u64) -> Result<(), Error> {
        self.with_tsc_control(|fd| {
            raw::set_tsc_offset(fd, offset)?;
            if raw::get_tsc_offset(fd)? == offset {
                Ok(())
            } else {
                Err(host::lacks("an offset of the counter"))
            }
        })
    }
}
