//! The Rust devices.

use crate::error::{guarded, throw};
use crate::event_fd::NativeEventFd;
use crate::isolate::port;
use napi::bindgen_prelude::{Env, Result, Uint8Array};
use napi_derive::napi;
use std::sync::Arc;
use vmhatch_vmm::{DeviceState, Error, Ignore, NativeDevice};

/// One Rust device.
#[napi]
pub struct NativeDeviceModel {
    pub(crate) inner: Arc<NativeDevice>,
}

/// A device's state on its way to or from JavaScript.
#[napi(object)]
pub struct NativeDeviceState {
    /// The kind of device.
    pub kind: String,
    /// The version of the encoding.
    pub version: u32,
    /// The encoded state.
    pub data: Uint8Array,
}

#[napi]
impl NativeDeviceModel {
    /// A 16550.
    #[napi(factory, catch_unwind)]
    pub fn serial(env: Env, has_listener: bool, interrupt: Option<&NativeEventFd>) -> Result<Self> {
        let make = || -> std::result::Result<_, Error> {
            let line = match interrupt {
                Some(event) => event.inner.interrupt()?,
                None => Box::new(Ignore),
            };
            Ok(NativeDevice::serial(port()?, has_listener, line))
        };
        Ok(Self { inner: make().map_err(|error| throw(&env, &error))? })
    }

    /// A debug console.
    #[napi(factory, catch_unwind)]
    pub fn debug_console(env: Env, has_listener: bool, readback: u32) -> Result<Self> {
        let port = port().map_err(|error| throw(&env, &error))?;
        Ok(Self { inner: NativeDevice::debug_console(port, has_listener, readback as u8) })
    }

    /// An isa-debug-exit.
    #[napi(factory, catch_unwind)]
    pub fn debug_exit() -> Self {
        Self { inner: NativeDevice::debug_exit() }
    }

    /// A keyboard controller.
    #[napi(factory, catch_unwind)]
    pub fn i8042() -> Self {
        Self { inner: NativeDevice::i8042() }
    }

    /// A CMOS clock; a fixed time in seconds since 1970 stops it.
    #[napi(factory, catch_unwind)]
    pub fn cmos(memory_size: f64, fixed_time: Option<f64>) -> Self {
        Self { inner: NativeDevice::cmos(memory_size as u64, fixed_time.map(|time| time as u64)) }
    }

    /// Gives bytes to the receiver; how many it took.
    #[napi(catch_unwind)]
    pub fn input(&self, env: Env, bytes: Uint8Array) -> Result<u32> {
        guarded(&env, || Ok(self.inner.input(&bytes)? as u32))
    }

    /// Takes the output that waits, or null when there is none.
    #[napi(catch_unwind)]
    pub fn take_output(&self) -> Option<Uint8Array> {
        let bytes = self.inner.output().map(|output| output.take())?;
        (!bytes.is_empty()).then(|| Uint8Array::from(bytes))
    }

    /// Saves the state.
    #[napi(catch_unwind)]
    pub fn save(&self) -> NativeDeviceState {
        let DeviceState { kind, version, data } = self.inner.save();
        NativeDeviceState { kind, version, data: data.into() }
    }

    /// Restores a state.
    #[napi(catch_unwind)]
    pub fn restore(&self, env: Env, state: NativeDeviceState) -> Result<()> {
        let NativeDeviceState { kind, version, data } = state;
        guarded(&env, || self.inner.restore(&DeviceState { kind, version, data: data.to_vec() }))
    }
}
