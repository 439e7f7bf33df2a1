//! What is done to a vCPU of x86_64 beside reading and writing its structures, and what only its machines have.

use crate::error::guarded;
use crate::raw::lent_bytes;
use crate::vcpu::NativeVcpu;
use crate::vm::NativeVm;
use napi::bindgen_prelude::{BigInt, Env, Result, Uint8Array};
use napi_derive::napi;
use vmhatch_vmm::{EncryptPointer, Error, ErrorCode, MsrRange};

/// Numbers of one range of an MSR filter: flags, first MSR, how many.
const RANGE_NUMBERS: usize = 3;

#[napi]
impl NativeVcpu {
    /// The bytes of the extended state (`KVM_CAP_XSAVE2`).
    #[napi(catch_unwind)]
    pub fn xsave2_size(&self, env: Env) -> Result<u32> {
        guarded(&env, || Ok(self.inner.xsave2_size()? as u32))
    }

    /// The most bytes that the nested state has (`KVM_CAP_NESTED_STATE`).
    #[napi(catch_unwind)]
    pub fn nested_state_size(&self, env: Env) -> Result<u32> {
        guarded(&env, || Ok(self.inner.nested_state_size()? as u32))
    }

    /// `KVM_SMI`.
    #[napi(catch_unwind)]
    pub fn smi(&self, env: Env) -> Result<()> {
        guarded(&env, || self.inner.smi())
    }

    /// `KVM_INTERRUPT`.
    #[napi(catch_unwind)]
    pub fn interrupt(&self, env: Env, vector: u32) -> Result<()> {
        guarded(&env, || self.inner.interrupt(vector))
    }

    /// `KVM_TPR_ACCESS_REPORTING`.
    #[napi(catch_unwind)]
    pub fn report_tpr_accesses(&self, env: Env, enabled: bool) -> Result<()> {
        guarded(&env, || self.inner.report_tpr_accesses(enabled))
    }

    /// `KVM_SET_VAPIC_ADDR`.
    #[napi(catch_unwind)]
    pub fn set_vapic_address(&self, env: Env, address: f64) -> Result<()> {
        guarded(&env, || self.inner.set_vapic_address(address as u64))
    }

    /// `KVM_KVMCLOCK_CTRL`.
    #[napi(catch_unwind)]
    pub fn kvmclock_ctrl(&self, env: Env) -> Result<()> {
        guarded(&env, || self.inner.kvmclock_ctrl())
    }

    /// `KVM_SET_TSC_KHZ`.
    #[napi(catch_unwind)]
    pub fn set_tsc_khz(&self, env: Env, khz: u32) -> Result<()> {
        guarded(&env, || self.inner.set_tsc_khz(khz))
    }

    /// `KVM_TRANSLATE`: the physical address, and 1, or nothing where the page is not mapped; whether it is writable,
    /// and whether programs of the lowest privilege may use it.
    #[napi(catch_unwind)]
    pub fn translate(&self, env: Env, linear: BigInt) -> Result<Option<Vec<f64>>> {
        guarded(&env, || {
            let found = self.inner.translate(linear.get_u64().1)?;
            let bits = [found.physical_address as f64, f64::from(found.writeable), f64::from(found.usermode)];
            Ok((found.valid != 0).then(|| bits.to_vec()))
        })
    }

    /// `KVM_ENABLE_CAP` on the vCPU.
    #[napi(catch_unwind)]
    pub fn enable_cap(&self, env: Env, capability: u32, arguments: Vec<BigInt>, flags: u32) -> Result<()> {
        let mut array = [0; 4];
        for (target, value) in array.iter_mut().zip(&arguments) {
            *target = value.get_u64().1;
        }
        guarded(&env, || self.inner.enable_cap(capability, array, flags))
    }
}

#[napi]
impl NativeVm {
    /// `KVM_X86_SET_MSR_FILTER`: three numbers a range, and the ranges' bits one after the other.
    #[napi(catch_unwind)]
    pub fn set_msr_filter(&self, env: Env, deny: bool, numbers: Vec<u32>, bits: Uint8Array) -> Result<()> {
        guarded(&env, || {
            let mut rest: &[u8] = &bits;
            let mut ranges = Vec::with_capacity(numbers.len() / RANGE_NUMBERS);
            for range in numbers.chunks_exact(RANGE_NUMBERS) {
                let bytes = range[2].div_ceil(8) as usize;
                let (bitmap, after) = rest
                    .split_at_checked(bytes)
                    .ok_or_else(|| Error::new(ErrorCode::State, "the filter has too few bits"))?;
                rest = after;
                ranges.push(MsrRange { flags: range[0], base: range[1], count: range[2], bitmap });
            }
            self.inner.set_msr_filter(deny, &ranges)
        })
    }

    /// `KVM_XEN_HVM_CONFIG`.
    #[napi(catch_unwind)]
    pub fn set_xen_hypercall_exits(&self, env: Env, enabled: bool, msr: u32) -> Result<()> {
        guarded(&env, || self.inner.set_xen_hypercall_exits(enabled, msr))
    }

    /// `KVM_MEMORY_ENCRYPT_OP` without a command.
    #[napi(catch_unwind)]
    pub fn encrypt_op(&self, env: Env) -> Result<()> {
        guarded(&env, || self.inner.encrypt_op())
    }

    /// `KVM_MEMORY_ENCRYPT_OP` with a command of SEV, answered in `data`; the firmware's error code. `pointers`: offset
    /// in the data and guest-physical address.
    #[napi(catch_unwind)]
    pub fn encrypt_op_sev(
        &self,
        env: Env,
        id: u32,
        sev_fd: u32,
        mut data: Uint8Array,
        pointers: Vec<f64>,
    ) -> Result<u32> {
        let pointers: Vec<_> = pointers
            .chunks_exact(2)
            .map(|one| EncryptPointer { offset: one[0] as usize, guest_address: one[1] as u64 })
            .collect();
        guarded(&env, || self.inner.encrypt_op_sev(id, sev_fd, lent_bytes(&mut data), &pointers))
    }

    /// `KVM_MEMORY_ENCRYPT_REG_REGION`, `KVM_MEMORY_ENCRYPT_UNREG_REGION`.
    #[napi(catch_unwind)]
    pub fn encrypted_region(&self, env: Env, address: f64, size: f64, register: bool) -> Result<()> {
        guarded(&env, || self.inner.encrypted_region(address as u64, size as u64, register))
    }
}
