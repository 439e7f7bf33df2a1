//! `Kvm`.

use crate::error::{guarded, throw};
use crate::isolate::port;
use crate::vm::NativeVm;
use napi::bindgen_prelude::{Env, Result};
use napi_derive::napi;
use vmhatch_vmm::KvmCore;

/// An open /dev/kvm.
#[napi]
pub struct NativeKvm {
    pub(crate) inner: KvmCore,
}

#[napi]
impl NativeKvm {
    /// Opens the device.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, path: String, close_on_exec: Option<bool>) -> Result<Self> {
        let inner =
            KvmCore::open_with(&path, close_on_exec.unwrap_or(true)).map_err(|error| throw(&env, &error))?;
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

    /// `KVM_CREATE_VM`.
    #[napi(catch_unwind)]
    pub fn create_vm(&self, env: Env, kind: f64) -> Result<NativeVm> {
        guarded(&env, || Ok(NativeVm { inner: self.inner.create_vm(kind as u64, port()?)? }))
    }

    /// The descriptor's number.
    #[napi(catch_unwind)]
    pub fn fd(&self, env: Env) -> Result<i32> {
        guarded(&env, || self.inner.raw_fd())
    }

    /// A machine from a descriptor that somebody else opened.
    #[napi(catch_unwind)]
    pub fn create_vm_from_raw_fd(&self, env: Env, fd: i32) -> Result<NativeVm> {
        guarded(&env, || Ok(NativeVm { inner: self.inner.create_vm_from_raw_fd(fd, port()?)? }))
    }
}

/// The size of a page of the host, in bytes.
#[napi]
pub fn page_size() -> u32 {
    vmhatch_vmm::page_size() as u32
}
