//! The ioctl that lists the CPUID leaves of Hyper-V.

use crate::error::errno;
use kvm_bindings::{CpuId, KVMIO, kvm_cpuid2};
use kvm_ioctls::Kvm;
use vmm_sys_util::ioctl::ioctl_with_mut_ptr;
use vmm_sys_util::ioctl_iowr_nr;

ioctl_iowr_nr!(KVM_GET_SUPPORTED_HV_CPUID, KVMIO, 0xc1, kvm_cpuid2);

/// Fills the list; the errno on failure (`E2BIG` when it is too short).
pub(crate) fn get_supported_hv_cpuid(kvm: &Kvm, cpuid: &mut CpuId) -> Result<(), i32> {
    // SAFETY: the structure says how many entries it has room for, and the kernel writes no more.
    if unsafe { ioctl_with_mut_ptr(kvm, KVM_GET_SUPPORTED_HV_CPUID(), cpuid.as_mut_fam_struct_ptr()) } < 0 {
        return Err(errno());
    }
    Ok(())
}
