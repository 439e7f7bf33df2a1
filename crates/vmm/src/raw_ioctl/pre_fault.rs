//! The ioctl that populates guest memory.

use kvm_bindings::{KVMIO, kvm_pre_fault_memory};
use kvm_ioctls::VcpuFd;
use vmm_sys_util::ioctl::ioctl_with_mut_ref;
use vmm_sys_util::ioctl_iowr_nr;

ioctl_iowr_nr!(KVM_PRE_FAULT_MEMORY, KVMIO, 0xd5, kvm_pre_fault_memory);

/// Populates a part of the range, which then begins behind it; the errno if there is no part.
pub(crate) fn pre_fault_memory(fd: &VcpuFd, range: &mut kvm_pre_fault_memory) -> Result<(), i32> {
    // SAFETY: the range is a valid structure of this type.
    if unsafe { ioctl_with_mut_ref(fd, KVM_PRE_FAULT_MEMORY(), range) } < 0 {
        return Err(crate::error::errno());
    }
    Ok(())
}
