//! The Rust devices.

use crate::error::{guarded, throw};
use crate::event_fd::NativeEventFd;
use crate::isolate::port;
use napi::bindgen_prelude::{Env, Result, Uint8Array};
use napi_derive::napi;
use std::sync::Arc;
use vmhatch_vmm::{DeviceState, Error, Ignore, Interrupt, NativeDevice};

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

/// What a device asked of the machine.
#[napi(object)]
pub struct NativeDeviceRequest {
    /// The device's number, as in the control page's `stopDevice`.
    pub device: u32,
    /// The exit code.
    pub code: u32,
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

    /// The registers by which an ACPI guest powers off or resets: three ports.
    #[napi(factory, catch_unwind)]
    pub fn acpi_power() -> Self {
        Self { inner: NativeDevice::acpi_power() }
    }

    /// A pvpanic.
    #[napi(factory, catch_unwind)]
    pub fn pvpanic() -> Self {
        Self { inner: NativeDevice::pvpanic() }
    }

    /// A boot timer, whose clock begins now.
    #[napi(factory, catch_unwind)]
    pub fn boot_timer() -> Self {
        Self { inner: NativeDevice::boot_timer() }
    }

    /// Begins the boot timer's clock anew.
    #[napi(catch_unwind)]
    pub fn restart_boot_timer(&self) {
        self.inner.restart_boot_timer();
    }

    /// The boot timer's moment in nanoseconds, or null.
    #[napi(catch_unwind)]
    pub fn boot_time(&self) -> Option<f64> {
        self.inner.boot_time().map(|time| time as f64)
    }

    /// Lets go of the interrupt line: its descriptor does not wait for the garbage collector.
    #[napi(catch_unwind)]
    pub fn disconnect(&self) {
        self.inner.disconnect();
    }

    /// How many bytes `input` would take now.
    #[napi(catch_unwind)]
    pub fn input_capacity(&self) -> u32 {
        self.inner.input_capacity() as u32
    }

    /// A CMOS clock; a fixed time in seconds since 1970 stops it.
    #[napi(factory, catch_unwind)]
    pub fn cmos(memory_size: f64, fixed_time: Option<f64>) -> Self {
        Self { inner: NativeDevice::cmos(memory_size as u64, fixed_time.map(|time| time as u64)) }
    }

    /// A PL031 clock; a fixed time in seconds since 1970 stops it.
    #[napi(factory, catch_unwind)]
    pub fn pl031(env: Env, fixed_time: Option<f64>, interrupt: Option<&NativeEventFd>) -> Result<Self> {
        let line: Box<dyn Interrupt> = match interrupt {
            Some(event) => event.inner.interrupt().map_err(|error| throw(&env, &error))?,
            None => Box::new(Ignore),
        };
        Ok(Self { inner: NativeDevice::pl031(fixed_time.map(|time| time as u64), line) })
    }

    /// Gives bytes to the receiver; how many it took.
    #[napi(catch_unwind)]
    pub fn input(&self, env: Env, bytes: Uint8Array) -> Result<u32> {
        guarded(&env, || Ok(self.inner.input(&bytes)? as u32))
    }

    /// Lets the device answer a read of 1 to 4 bytes.
    #[napi(catch_unwind)]
    pub fn read(&self, env: Env, offset: f64, size: u32) -> Result<u32> {
        guarded(&env, || {
            let mut data = [0; 4];
            self.inner.read(offset as u64, &mut data[..bytes_of_access(size)]);
            Ok(u32::from_le_bytes(data))
        })
    }

    /// Gives the device a write of 1 to 4 bytes; whether its output waits to be taken at once.
    #[napi(catch_unwind)]
    pub fn write(&self, env: Env, offset: f64, value: u32, size: u32) -> Result<bool> {
        guarded(&env, || {
            self.inner.write(offset as u64, &value.to_le_bytes()[..bytes_of_access(size)]);
            Ok(self.inner.output().is_some_and(|output| output.is_urgent()))
        })
    }

    /// What the device asked of the machine since the last call, or null.
    #[napi(catch_unwind)]
    pub fn take_request(&self) -> Option<NativeDeviceRequest> {
        let (device, code) = self.inner.take_request()?;
        Some(NativeDeviceRequest { device, code })
    }

    /// Somebody listens to the output from now on.
    #[napi(catch_unwind)]
    pub fn start_listening(&self) {
        if let Some(output) = self.inner.output() {
            output.start_listening();
        }
    }

    /// Nobody listens to the output any more.
    #[napi(catch_unwind)]
    pub fn stop_listening(&self) {
        if let Some(output) = self.inner.output() {
            output.stop_listening();
        }
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

fn bytes_of_access(size: u32) -> usize {
    size.clamp(1, 4) as usize
}
