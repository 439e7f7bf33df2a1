//! `EventFd`.

use crate::error::{guarded, throw};
use napi::bindgen_prelude::{BigInt, Env, Result};
use napi_derive::napi;
use vmhatch_vmm::EventFd;

/// An eventfd(2).
#[napi]
pub struct NativeEventFd {
    pub(crate) inner: EventFd,
}

#[napi]
impl NativeEventFd {
    /// Makes one that starts at `initial`.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, initial: u32, semaphore: bool) -> Result<Self> {
        let inner = EventFd::new(initial, semaphore).map_err(|error| throw(&env, &error))?;
        Ok(Self { inner })
    }

    /// The descriptor's number.
    #[napi(catch_unwind)]
    pub fn fd(&self, env: Env) -> Result<i32> {
        guarded(&env, || self.inner.raw_fd())
    }

    /// Takes the counter, or null when it is zero.
    #[napi(catch_unwind)]
    pub fn read(&self, env: Env) -> Result<Option<BigInt>> {
        guarded(&env, || Ok(self.inner.read()?.map(BigInt::from)))
    }

    /// Adds to the counter.
    #[napi(catch_unwind)]
    pub fn write(&self, env: Env, value: BigInt) -> Result<()> {
        guarded(&env, || self.inner.write(value.get_u64().1))
    }

    /// Closes it.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.inner.close();
    }
}
