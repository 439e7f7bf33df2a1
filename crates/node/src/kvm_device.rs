//! `KvmDevice` and `GuestMemfd`: what KVM makes for a machine beside its vCPUs.

use crate::error::guarded;
use crate::raw::lent_bytes;
use crate::vm::NativeVm;
use napi::bindgen_prelude::{BigInt, Env, Result, Uint8Array};
use napi_derive::napi;
use std::sync::Arc;
use vmhatch_vmm::{GuestMemfd, KvmDevice};

/// A device that KVM made.
#[napi]
pub struct NativeKvmDevice {
    inner: Arc<KvmDevice>,
}

#[napi]
impl NativeKvmDevice {
    /// Lets go of it.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.inner.close();
    }

    /// Whether it is closed, here or with its machine.
    #[napi(getter, catch_unwind)]
    pub fn closed(&self) -> bool {
        self.inner.is_closed()
    }

    /// `KVM_HAS_DEVICE_ATTR`.
    #[napi(catch_unwind)]
    pub fn has_device_attr(&self, env: Env, group: u32, attribute: BigInt) -> Result<bool> {
        guarded(&env, || self.inner.has_attribute(group, attribute.get_u64().1))
    }

    /// `KVM_SET_DEVICE_ATTR`.
    #[napi(catch_unwind)]
    pub fn set_device_attr(&self, env: Env, group: u32, attribute: BigInt, data: Uint8Array) -> Result<()> {
        guarded(&env, || self.inner.set_attribute(group, attribute.get_u64().1, &data))
    }

    /// `KVM_GET_DEVICE_ATTR` into an array of the attribute's size.
    #[napi(catch_unwind)]
    pub fn get_device_attr(
        &self,
        env: Env,
        group: u32,
        attribute: BigInt,
        mut target: Uint8Array,
    ) -> Result<()> {
        guarded(&env, || self.inner.get_attribute(group, attribute.get_u64().1, lent_bytes(&mut target)))
    }
}

/// Private memory of a machine.
#[napi]
pub struct NativeGuestMemfd {
    pub(crate) inner: Arc<GuestMemfd>,
}

#[napi]
impl NativeGuestMemfd {
    /// The descriptor's number.
    #[napi(catch_unwind)]
    pub fn fd(&self, env: Env) -> Result<i32> {
        guarded(&env, || self.inner.raw_fd())
    }

    /// Closes it.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.inner.close();
    }
}

#[napi]
impl NativeVm {
    /// The descriptor's number.
    #[napi(catch_unwind)]
    pub fn fd(&self, env: Env) -> Result<i32> {
        guarded(&env, || self.inner.raw_fd())
    }

    /// The bytes of a vCPU's shared mapping.
    #[napi(catch_unwind)]
    pub fn run_size(&self, env: Env) -> Result<u32> {
        guarded(&env, || Ok(self.inner.run_size()? as u32))
    }

    /// Throws unless the host has the capability, by its name in the kernel.
    #[napi(catch_unwind)]
    pub fn require_capability(&self, env: Env, capability: u32, name: String) -> Result<()> {
        guarded(&env, || self.inner.require(capability, &name).map(|_| ()))
    }

    /// `KVM_CREATE_DEVICE`.
    #[napi(catch_unwind)]
    pub fn create_device(&self, env: Env, kind: u32) -> Result<NativeKvmDevice> {
        guarded(&env, || Ok(NativeKvmDevice { inner: self.inner.create_kvm_device(kind)? }))
    }

    /// `KVM_CREATE_DEVICE` that only asks.
    #[napi(catch_unwind)]
    pub fn has_device_type(&self, env: Env, kind: u32) -> Result<bool> {
        guarded(&env, || self.inner.has_device_type(kind))
    }

    /// `KVM_CREATE_GUEST_MEMFD`.
    #[napi(catch_unwind)]
    pub fn create_guest_memfd(&self, env: Env, size: f64, flags: BigInt) -> Result<NativeGuestMemfd> {
        guarded(&env, || {
            let inner = self.inner.create_guest_memfd(size as u64, flags.get_u64().1)?;
            Ok(NativeGuestMemfd { inner })
        })
    }

    /// `KVM_SET_MEMORY_ATTRIBUTES`.
    #[napi(catch_unwind)]
    pub fn set_memory_attributes(&self, env: Env, address: f64, size: f64, attributes: BigInt) -> Result<()> {
        guarded(&env, || {
            self.inner.set_memory_attributes(address as u64, size as u64, attributes.get_u64().1)
        })
    }

    /// `KVM_SET_GSI_ROUTING`: seven numbers a route.
    #[napi(catch_unwind)]
    pub fn set_gsi_routing(&self, env: Env, numbers: Vec<u32>) -> Result<()> {
        guarded(&env, || self.inner.set_gsi_routing(&numbers))
    }
}
