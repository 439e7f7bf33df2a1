//! What only aarch64 has. lib/internal/native-arm64.ts tells TypeScript of it: the generated types are those of x86_64.

use crate::error::guarded;
use crate::kvm::NativeKvm;
use crate::vcpu::NativeVcpu;
use crate::vm::NativeVm;
use napi::bindgen_prelude::{BigInt, Env, Result, Uint8Array};
use napi_derive::napi;

#[napi]
impl NativeKvm {
    /// Bits of a guest-physical address, hardware breakpoints, watchpoints.
    #[napi(catch_unwind)]
    pub fn arm_limits(&self, env: Env) -> Result<Vec<u32>> {
        guarded(&env, || Ok(self.inner.arm_limits()?.to_vec()))
    }
}

#[napi]
impl NativeVm {
    /// `KVM_ARM_PREFERRED_TARGET`: the type, then the words of the features.
    #[napi(catch_unwind)]
    pub fn preferred_target(&self, env: Env) -> Result<Vec<u32>> {
        guarded(&env, || {
            let (target, features) = self.inner.preferred_target()?;
            Ok([vec![target], features].concat())
        })
    }

    /// `KVM_HAS_DEVICE_ATTR` on the machine.
    #[napi(catch_unwind)]
    pub fn has_device_attr(&self, env: Env, group: u32, attribute: BigInt) -> Result<bool> {
        guarded(&env, || self.inner.has_device_attr(group, attribute.get_u64().1))
    }

    /// `KVM_SET_DEVICE_ATTR` on the machine.
    #[napi(catch_unwind)]
    pub fn set_device_attr(&self, env: Env, group: u32, attribute: BigInt, data: Uint8Array) -> Result<()> {
        guarded(&env, || self.inner.set_device_attr(group, attribute.get_u64().1, &data))
    }
}

#[napi]
impl NativeVcpu {
    /// `KVM_ARM_VCPU_INIT`.
    #[napi(catch_unwind)]
    pub fn init(&self, env: Env, target: u32, features: Vec<u32>) -> Result<()> {
        guarded(&env, || self.inner.init(target, &features))
    }

    /// `KVM_ARM_VCPU_FINALIZE`.
    #[napi(catch_unwind)]
    pub fn finalize(&self, env: Env, feature: i32) -> Result<()> {
        guarded(&env, || self.inner.finalize(feature))
    }

    /// `KVM_GET_REG_LIST`, as pairs of 32-bit words, low first.
    #[napi(catch_unwind)]
    pub fn reg_list(&self, env: Env) -> Result<Vec<u32>> {
        guarded(&env, || {
            let ids = self.inner.reg_list()?;
            Ok(ids.iter().flat_map(|id| [*id as u32, (id >> 32) as u32]).collect())
        })
    }

    /// `KVM_HAS_DEVICE_ATTR` on the vCPU.
    #[napi(catch_unwind)]
    pub fn has_device_attr(&self, env: Env, group: u32, attribute: BigInt) -> Result<bool> {
        guarded(&env, || self.inner.has_device_attr(group, attribute.get_u64().1))
    }

    /// `KVM_SET_DEVICE_ATTR` on the vCPU.
    #[napi(catch_unwind)]
    pub fn set_device_attr(&self, env: Env, group: u32, attribute: BigInt, data: Uint8Array) -> Result<()> {
        guarded(&env, || self.inner.set_device_attr(group, attribute.get_u64().1, &data))
    }
}
