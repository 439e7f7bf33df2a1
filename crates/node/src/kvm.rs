//! `Kvm`.

use crate::error::{guarded, throw};
use crate::isolate::port;
use crate::raw::lent_bytes;
use crate::vm::NativeVm;
use napi::bindgen_prelude::{Env, Result, Uint8Array};
use napi_derive::napi;
use vmhatch_vmm::{KvmCore, copy_msrs, flatten_cpuid};

/// An open /dev/kvm.
#[napi]
pub struct NativeKvm {
    inner: KvmCore,
}

#[napi]
impl NativeKvm {
    /// Opens the device.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, path: String) -> Result<Self> {
        let inner = KvmCore::open(&path).map_err(|error| throw(&env, &error))?;
        Ok(Self { inner })
    }

    /// Closes it.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.inner.close();
    }

    /// `KVM_GET_API_VERSION`.
    #[napi(catch_unwind)]
    pub fn api_version(&self, env: Env) -> Result<i32> {
        guarded(&env, || self.inner.api_version())
    }

    /// `KVM_CHECK_EXTENSION`.
    #[napi(catch_unwind)]
    pub fn check_extension(&self, env: Env, capability: u32) -> Result<i32> {
        guarded(&env, || self.inner.check_extension(capability))
    }

    /// vCPU mapping size, recommended vCPUs, vCPUs, vCPU ids, memory slots.
    #[napi(catch_unwind)]
    pub fn limits(&self, env: Env) -> Result<Vec<u32>> {
        guarded(&env, || Ok(self.inner.limits()?.to_vec()))
    }

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

    /// Reads feature MSRs into an array of `struct kvm_msr_entry`.
    #[napi(catch_unwind)]
    pub fn msrs(&self, env: Env, indices: Vec<u32>, mut target: Uint8Array) -> Result<()> {
        guarded(&env, || {
            let entries = self.inner.msrs(&indices)?;
            copy_msrs(&entries, lent_bytes(&mut target))
        })
    }

    /// `KVM_CREATE_VM`.
    #[napi(catch_unwind)]
    pub fn create_vm(&self, env: Env, kind: f64) -> Result<NativeVm> {
        guarded(&env, || Ok(NativeVm { inner: self.inner.create_vm(kind as u64, port()?)? }))
    }
}
