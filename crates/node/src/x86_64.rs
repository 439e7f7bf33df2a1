//! What only x86_64 has: CPUID, MSRs, the time stamp counter, the timer.

use crate::error::guarded;
use crate::kvm::NativeKvm;
use crate::raw::lent_slice;
use crate::vcpu::NativeVcpu;
use crate::vm::NativeVm;
use napi::bindgen_prelude::{Env, Result, Uint8ArraySlice};
use napi_derive::napi;
use vmhatch_vmm::{Error, copy_msrs, flatten_cpuid, parse_cpuid, parse_msrs};

fn msr_indices(entries: &[u8]) -> std::result::Result<Vec<u32>, Error> {
    Ok(parse_msrs(entries)?.iter().map(|entry| entry.index).collect())
}

#[napi]
impl NativeKvm {
    /// The CPUID entries, seven numbers each.
    #[napi(catch_unwind)]
    pub fn cpuid(&self, env: Env, emulated: bool) -> Result<Vec<u32>> {
        guarded(&env, || Ok(flatten_cpuid(&self.inner.cpuid(emulated)?)))
    }

    /// The MSR numbers that can be saved, or the feature MSRs.
    #[napi(catch_unwind)]
    pub fn msr_indices(&self, env: Env, features: bool) -> Result<Vec<u32>> {
        guarded(&env, || self.inner.msr_indices(features))
    }

    /// Reads feature MSRs: an array of `struct kvm_msr_entry` that has their numbers.
    #[napi(catch_unwind)]
    pub fn msrs(&self, env: Env, mut target: Uint8ArraySlice<'_>) -> Result<()> {
        guarded(&env, || {
            let target = lent_slice(&mut target);
            let indices = msr_indices(target)?;
            let entries = self.inner.msrs(&indices)?;
            copy_msrs(&entries, target)
        })
    }
}

#[napi]
impl NativeVm {
    /// `KVM_SET_TSS_ADDR`.
    #[napi(catch_unwind)]
    pub fn set_tss_address(&self, env: Env, address: f64) -> Result<()> {
        guarded(&env, || self.inner.set_tss_address(address as u64))
    }

    /// `KVM_SET_IDENTITY_MAP_ADDR`.
    #[napi(catch_unwind)]
    pub fn set_identity_map_address(&self, env: Env, address: f64) -> Result<()> {
        guarded(&env, || self.inner.set_identity_map_address(address as u64))
    }

    /// `KVM_CREATE_PIT2`.
    #[napi(catch_unwind)]
    pub fn create_pit2(&self, env: Env, speaker_dummy: bool) -> Result<()> {
        guarded(&env, || self.inner.create_pit2(speaker_dummy))
    }
}

#[napi]
impl NativeVcpu {
    /// `KVM_GET_TSC_KHZ`.
    #[napi(catch_unwind)]
    pub fn get_tsc_khz(&self, env: Env) -> Result<u32> {
        guarded(&env, || self.inner.tsc_khz())
    }

    /// `KVM_GET_CPUID2`: seven numbers an entry.
    #[napi(catch_unwind)]
    pub fn get_cpuid2(&self, env: Env) -> Result<Vec<u32>> {
        guarded(&env, || Ok(flatten_cpuid(&self.inner.cpuid2()?)))
    }

    /// `KVM_SET_CPUID2`.
    #[napi(catch_unwind)]
    pub fn set_cpuid2(&self, env: Env, numbers: Vec<u32>) -> Result<()> {
        guarded(&env, || self.inner.set_cpuid2(&parse_cpuid(&numbers)))
    }

    /// `KVM_GET_MSRS`: an array of `struct kvm_msr_entry` that has their numbers.
    #[napi(catch_unwind)]
    pub fn get_msrs(&self, env: Env, mut target: Uint8ArraySlice<'_>) -> Result<()> {
        guarded(&env, || {
            let target = lent_slice(&mut target);
            let indices = msr_indices(target)?;
            let entries = self.inner.msrs(&indices)?;
            copy_msrs(&entries, target)
        })
    }

    /// `KVM_SET_MSRS`.
    #[napi(catch_unwind)]
    pub fn set_msrs(&self, env: Env, bytes: &[u8]) -> Result<()> {
        guarded(&env, || self.inner.set_msrs(&parse_msrs(bytes)?))
    }

    /// `KVM_NMI`.
    #[napi(catch_unwind)]
    pub fn nmi(&self, env: Env) -> Result<()> {
        guarded(&env, || self.inner.nmi())
    }
}
