//! The ioctl behind binary statistics.

use crate::{Error, ErrorCode};
use kvm_bindings::KVMIO;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use vmm_sys_util::ioctl_io_nr;

ioctl_io_nr!(KVM_GET_STATS_FD, KVMIO, 0xce);

/// The descriptor from which the statistics of a machine or a vCPU are read.
pub(crate) fn get_stats_fd(of: &impl AsRawFd) -> Result<OwnedFd, Error> {
    // SAFETY: the call takes no argument and makes a descriptor.
    let fd = unsafe { libc::ioctl(of.as_raw_fd(), KVM_GET_STATS_FD() as _, 0) };
    if fd < 0 {
        return Err(Error::last_os(ErrorCode::Ioctl, "KVM_GET_STATS_FD"));
    }
    // SAFETY: the descriptor was just made and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
