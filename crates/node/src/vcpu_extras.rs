//! What newer hosts offer of a vCPU.

use crate::error::guarded;
#[cfg(target_arch = "x86_64")]
use crate::kvm::NativeKvm;
use crate::vcpu::NativeVcpu;
#[cfg(target_arch = "x86_64")]
use napi::bindgen_prelude::BigInt;
use napi::bindgen_prelude::{Env, Result};
use napi_derive::napi;

#[napi]
impl NativeVcpu {
    /// `KVM_PRE_FAULT_MEMORY`.
    #[napi(catch_unwind)]
    pub fn pre_fault_memory(&self, env: Env, address: f64, size: f64) -> Result<()> {
        guarded(&env, || self.inner.pre_fault_memory(address as u64, size as u64))
    }
}

#[cfg(target_arch = "x86_64")]
#[napi]
impl NativeVcpu {
    /// `KVM_VCPU_TSC_OFFSET`.
    #[napi(catch_unwind)]
    pub fn get_tsc_offset(&self, env: Env) -> Result<BigInt> {
        guarded(&env, || Ok(BigInt::from(self.inner.tsc_offset()?)))
    }

    /// `KVM_VCPU_TSC_OFFSET`.
    #[napi(catch_unwind)]
    pub fn set_tsc_offset(&self, env: Env, offset: BigInt) -> Result<()> {
        guarded(&env, || self.inner.set_tsc_offset(offset.get_u64().1))
    }
}

#[cfg(target_arch = "x86_64")]
#[napi]
impl NativeKvm {
    /// `KVM_GET_SUPPORTED_HV_CPUID`: seven numbers an entry.
    #[napi(catch_unwind)]
    pub fn hyperv_cpuid(&self, env: Env) -> Result<Vec<u32>> {
        guarded(&env, || Ok(vmhatch_vmm::flatten_cpuid(&self.inner.hyperv_cpuid()?)))
    }
}
