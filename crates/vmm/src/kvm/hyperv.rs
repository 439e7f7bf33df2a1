//! What the host can offer to a guest that expects Hyper-V.

use super::KvmCore;
use crate::raw_ioctl::hyperv::get_supported_hv_cpuid;
use crate::{Error, ErrorCode, host};
use kvm_bindings::{CpuId, KVM_CAP_SYS_HYPERV_CPUID, KVM_MAX_CPUID_ENTRIES, kvm_cpuid_entry2};

impl KvmCore {
    /// `KVM_GET_SUPPORTED_HV_CPUID`: the leaves from 0x40000000 on that a Hyper-V has and this host's KVM can emulate.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`], [`ErrorCode::Ioctl`], [`ErrorCode::Closed`].
    pub fn hyperv_cpuid(&self) -> Result<Vec<kvm_cpuid_entry2>, Error> {
        self.with(|kvm| {
            if kvm.check_extension_raw(u64::from(KVM_CAP_SYS_HYPERV_CPUID)) <= 0 {
                return Err(host::lacks("KVM_CAP_SYS_HYPERV_CPUID"));
            }
            let failed = |errno| Error::os(ErrorCode::Ioctl, "KVM_GET_SUPPORTED_HV_CPUID", errno);
            let mut cpuid = CpuId::new(KVM_MAX_CPUID_ENTRIES).map_err(|_| failed(libc::E2BIG))?;
            get_supported_hv_cpuid(kvm, &mut cpuid).map_err(failed)?;
            Ok(cpuid.as_slice().to_vec())
        })
    }
}
