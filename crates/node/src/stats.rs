//! Binary statistics.

use crate::error::guarded;
use crate::hot;
use crate::raw::{external_buffer, lent_words, raw_function, set};
use crate::vcpu::NativeVcpu;
use crate::vm::NativeVm;
use napi::bindgen_prelude::{BigUint64ArraySlice, Env, Object, Result};
use napi_derive::napi;
use std::sync::Arc;
use vmhatch_vmm::{Stats, StatsBuffer};

/// One statistic, as its descriptor has it.
#[napi(object)]
pub struct NativeStatistic {
    /// The kernel's name.
    pub name: String,
    /// `KVM_STATS_…`.
    pub flags: u32,
    /// The power of the base.
    pub exponent: i32,
    /// How many values.
    pub count: u32,
    /// The width of a bucket.
    pub bucket_size: u32,
    /// Its first value.
    pub index: u32,
}

/// The statistics of one machine or vCPU.
#[napi]
pub struct NativeStats {
    inner: Arc<Stats>,
}

#[napi]
impl NativeStats {
    /// The kernel's name of the machine or vCPU.
    #[napi(getter, catch_unwind)]
    pub fn id(&self) -> String {
        self.inner.id.clone()
    }

    /// How many values there are.
    #[napi(getter, catch_unwind)]
    pub fn values(&self) -> u32 {
        self.inner.values as u32
    }

    /// What the values mean.
    #[napi(catch_unwind)]
    pub fn schema(&self) -> Vec<NativeStatistic> {
        let statistics = self.inner.schema.iter().map(|one| NativeStatistic {
            name: one.name.clone(),
            flags: one.flags,
            exponent: i32::from(one.exponent),
            count: u32::from(one.count),
            bucket_size: one.bucket_size,
            index: one.index,
        });
        statistics.collect()
    }

    /// The hot function `read`, and `values`: the ArrayBuffer that it fills.
    #[napi(catch_unwind)]
    pub fn functions(&self, env: Env) -> Result<Object<'static>> {
        let made = guarded(&env, || {
            let buffer = StatsBuffer::new(&self.inner);
            let values = external_buffer(&env, buffer.as_ptr(), buffer.length(), Arc::clone(&buffer))?;
            Ok((raw_function(&env, hot::read_stats, buffer)?, values))
        })?;
        let mut functions = Object::new(&env)?;
        set(&mut functions, &env, "read", made.0)?;
        set(&mut functions, &env, "values", made.1)?;
        Ok(functions)
    }

    /// Reads the values.
    #[napi(catch_unwind)]
    pub fn read(&self, env: Env, mut target: BigUint64ArraySlice<'_>) -> Result<()> {
        guarded(&env, || self.inner.read(lent_words(&mut target)))
    }
}

#[napi]
impl NativeVm {
    /// `KVM_GET_STATS_FD`.
    #[napi(catch_unwind)]
    pub fn stats(&self, env: Env) -> Result<NativeStats> {
        guarded(&env, || Ok(NativeStats { inner: self.inner.stats()? }))
    }
}

#[napi]
impl NativeVcpu {
    /// `KVM_GET_STATS_FD`.
    #[napi(catch_unwind)]
    pub fn stats(&self, env: Env) -> Result<NativeStats> {
        guarded(&env, || Ok(NativeStats { inner: self.inner.stats()? }))
    }
}
