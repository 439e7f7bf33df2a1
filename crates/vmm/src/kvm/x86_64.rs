//! What only x86_64 asks of the system: CPUID and MSRs.

use super::KvmCore;
use crate::error::IoctlResult;
use crate::{Error, ErrorCode};
use kvm_bindings::{KVM_MAX_CPUID_ENTRIES, Msrs, kvm_cpuid_entry2, kvm_msr_entry};

impl KvmCore {
    /// `KVM_GET_SUPPORTED_CPUID`, or `KVM_GET_EMULATED_CPUID`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`], [`ErrorCode::Closed`].
    pub fn cpuid(&self, emulated: bool) -> Result<Vec<kvm_cpuid_entry2>, Error> {
        self.with(|kvm| {
            let cpuid = if emulated {
                kvm.get_emulated_cpuid(KVM_MAX_CPUID_ENTRIES).ioctl("KVM_GET_EMULATED_CPUID")?
            } else {
                kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).ioctl("KVM_GET_SUPPORTED_CPUID")?
            };
            Ok(cpuid.as_slice().to_vec())
        })
    }

    /// `KVM_GET_MSR_INDEX_LIST`, or `KVM_GET_MSR_FEATURE_INDEX_LIST`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`], [`ErrorCode::Closed`].
    pub fn msr_indices(&self, features: bool) -> Result<Vec<u32>, Error> {
        self.with(|kvm| {
            let list = if features {
                kvm.get_msr_feature_index_list().ioctl("KVM_GET_MSR_FEATURE_INDEX_LIST")?
            } else {
                kvm.get_msr_index_list().ioctl("KVM_GET_MSR_INDEX_LIST")?
            };
            Ok(list.as_slice().to_vec())
        })
    }

    /// `KVM_GET_MSRS` on the system descriptor: feature MSRs.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`] naming the first MSR that the host refused, [`ErrorCode::Closed`].
    pub fn msrs(&self, indices: &[u32]) -> Result<Vec<kvm_msr_entry>, Error> {
        self.with(|kvm| {
            let mut msrs = msr_request(indices)?;
            let got = kvm.get_msrs(&mut msrs).ioctl("KVM_GET_MSRS")?;
            checked_msrs(&msrs, got, "KVM_GET_MSRS")
        })
    }
}

pub(crate) fn msr_request(indices: &[u32]) -> Result<Msrs, Error> {
    let entries: Vec<_> =
        indices.iter().map(|index| kvm_msr_entry { index: *index, ..Default::default() }).collect();
    Msrs::from_entries(&entries).map_err(|_| Error::os(ErrorCode::Ioctl, "KVM_GET_MSRS", libc::E2BIG))
}

/// KVM stops at the first MSR that it refuses and says how far it got.
pub(crate) fn checked_msrs(
    msrs: &Msrs,
    done: usize,
    syscall: &'static str,
) -> Result<Vec<kvm_msr_entry>, Error> {
    let entries = msrs.as_slice();
    if let Some(refused) = entries.get(done) {
        return Err(Error {
            code: ErrorCode::Ioctl,
            message: format!("{syscall}: the host refused MSR {:#x} (entry {done})", refused.index),
            errno: Some(libc::EINVAL),
            syscall: Some(syscall),
        });
    }
    Ok(entries.to_vec())
}
