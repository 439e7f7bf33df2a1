//! The ioctls that kvm-ioctls does not offer in the form needed here.

use crate::{Error, ErrorCode};
use kvm_bindings::{KVMIO, kvm_ioeventfd};
use vmm_sys_util::ioctl::ioctl_with_ref;
use vmm_sys_util::{ioctl_io_nr, ioctl_iow_nr};

ioctl_io_nr!(KVM_RUN, KVMIO, 0x80);
ioctl_iow_nr!(KVM_IOEVENTFD, KVMIO, 0x79, kvm_ioeventfd);

/// Runs the vCPU behind `fd` until it exits; the errno on failure.
///
/// kvm-ioctls decodes the exit as well, which merges string I/O and does not know the newer reasons.
#[inline]
pub(crate) fn run(fd: i32) -> Result<(), i32> {
    // SAFETY: KVM_RUN takes no argument; it writes to the mapped kvm_run page and to guest memory only,
    // which no Rust reference points into.
    if unsafe { libc::ioctl(fd, KVM_RUN() as _, 0) } < 0 { Err(crate::error::errno()) } else { Ok(()) }
}

/// Adds or removes an ioeventfd of any length, with or without a value to match.
pub(crate) fn ioeventfd(vm: &kvm_ioctls::VmFd, request: &kvm_ioeventfd) -> Result<(), Error> {
    // SAFETY: the request is a valid structure that the kernel only reads.
    if unsafe { ioctl_with_ref(vm, KVM_IOEVENTFD(), request) } < 0 {
        return Err(Error::last_os(ErrorCode::Ioctl, "KVM_IOEVENTFD"));
    }
    Ok(())
}
