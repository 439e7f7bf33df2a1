//! The ioctls that kvm-ioctls does not offer in the form needed here.

#[cfg(target_arch = "x86_64")]
pub(crate) mod x86_64;

pub(crate) mod dirty;
#[cfg(target_arch = "x86_64")]
pub(crate) mod hyperv;
pub(crate) mod pre_fault;
pub(crate) mod stats;
#[cfg(target_arch = "x86_64")]
pub(crate) mod tsc;

use crate::{Error, ErrorCode};
use kvm_bindings::{KVMIO, kvm_create_device, kvm_device_attr, kvm_ioeventfd};
use kvm_ioctls::DeviceFd;
use vmm_sys_util::ioctl::{ioctl_with_mut_ref, ioctl_with_ref};
use vmm_sys_util::{ioctl_io_nr, ioctl_iow_nr, ioctl_iowr_nr};

ioctl_io_nr!(KVM_RUN, KVMIO, 0x80);
ioctl_iow_nr!(KVM_IOEVENTFD, KVMIO, 0x79, kvm_ioeventfd);
ioctl_iowr_nr!(KVM_CREATE_DEVICE, KVMIO, 0xe0, kvm_create_device);

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

/// Asks for a device that is not made (`KVM_CREATE_DEVICE_TEST`); the errno on failure. kvm-ioctls would take
/// descriptor 0, which the request holds, for the device's and close it.
pub(crate) fn test_device(vm: &kvm_ioctls::VmFd, request: &mut kvm_create_device) -> Result<(), i32> {
    // SAFETY: the request is a valid structure of this type.
    if unsafe { ioctl_with_mut_ref(vm, KVM_CREATE_DEVICE(), request) } < 0 {
        return Err(crate::error::errno());
    }
    Ok(())
}

/// Reads an attribute of a device into a buffer that is larger than any attribute.
pub(crate) fn get_device_attribute(
    device: &DeviceFd,
    request: &mut kvm_device_attr,
    buffer: &mut [u8; crate::attribute::LARGEST_ATTRIBUTE],
) -> Result<(), Error> {
    request.addr = buffer.as_mut_ptr() as u64;
    // SAFETY: the kernel writes the attribute's value there, and none is larger than the buffer.
    let done = unsafe { device.get_device_attr(request) };
    done.map_err(|error| Error::os(ErrorCode::Ioctl, "KVM_GET_DEVICE_ATTR", error.errno()))
}
