//! Attributes of a vCPU on x86_64, which kvm-ioctls has for aarch64 only.

use crate::{Error, ErrorCode};
use kvm_bindings::{KVM_VCPU_TSC_CTRL, KVM_VCPU_TSC_OFFSET, KVMIO, kvm_device_attr};
use kvm_ioctls::VcpuFd;
use vmm_sys_util::ioctl::ioctl_with_ref;
use vmm_sys_util::ioctl_iow_nr;

ioctl_iow_nr!(KVM_SET_DEVICE_ATTR, KVMIO, 0xe1, kvm_device_attr);
ioctl_iow_nr!(KVM_GET_DEVICE_ATTR, KVMIO, 0xe2, kvm_device_attr);
ioctl_iow_nr!(KVM_HAS_DEVICE_ATTR, KVMIO, 0xe3, kvm_device_attr);

fn attribute(value: Option<*mut u64>) -> kvm_device_attr {
    kvm_device_attr {
        group: KVM_VCPU_TSC_CTRL,
        attr: u64::from(KVM_VCPU_TSC_OFFSET),
        addr: value.map_or(0, |value| value as u64),
        ..Default::default()
    }
}

/// Whether the vCPU has the attribute.
pub(crate) fn has_tsc_offset(fd: &VcpuFd) -> bool {
    // SAFETY: the request is a valid structure that the kernel only reads.
    unsafe { ioctl_with_ref(fd, KVM_HAS_DEVICE_ATTR(), &attribute(None)) == 0 }
}

/// What is added to the host's counter.
pub(crate) fn get_tsc_offset(fd: &VcpuFd) -> Result<u64, Error> {
    let mut offset = 0;
    // SAFETY: as above; the attribute's value is one 64-bit number, which the kernel writes to the local.
    if unsafe { ioctl_with_ref(fd, KVM_GET_DEVICE_ATTR(), &attribute(Some(&mut offset))) } < 0 {
        return Err(Error::last_os(ErrorCode::Ioctl, "KVM_GET_DEVICE_ATTR"));
    }
    Ok(offset)
}

/// Sets it.
pub(crate) fn set_tsc_offset(fd: &VcpuFd, mut offset: u64) -> Result<(), Error> {
    // SAFETY: as above; the kernel reads the value from the local.
    if unsafe { ioctl_with_ref(fd, KVM_SET_DEVICE_ATTR(), &attribute(Some(&mut offset))) } < 0 {
        return Err(Error::last_os(ErrorCode::Ioctl, "KVM_SET_DEVICE_ATTR"));
    }
    Ok(())
}
