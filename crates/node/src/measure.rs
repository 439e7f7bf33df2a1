//! The native controls of the benchmarks, for lib/bench. No part of the public surface.

use std::io;

use napi::bindgen_prelude::{FromNapiValue, Function, Uint8Array};
use napi::{Env, Error, Result, Status, sys};
use napi_derive::napi;
use vmhatch_vmm::measure::{self, ExitKind, NativeLoop};

fn from_io(error: io::Error) -> Error {
    Error::new(Status::GenericFailure, error.to_string())
}

fn exit_kind(name: &str) -> Result<ExitKind> {
    ExitKind::from_name(name)
        .ok_or_else(|| Error::new(Status::InvalidArg, format!("no kind of exit is called {name}")))
}

/// What all peers of an exit benchmark share.
#[napi(object)]
pub struct MeasureGuest {
    /// The program, for `guest_address`.
    pub program: Uint8Array,
    /// Where it is loaded and starts: real mode, segments at base 0.
    pub guest_address: u32,
    /// Port of the measured accesses.
    pub access_port: u32,
    /// Guest-physical address of the measured accesses.
    pub mmio_address: u32,
    /// Port of the write that ends a block.
    pub marker_port: u32,
    /// Exits in a block, the marker included.
    pub exits_per_block: u32,
}

/// The guest program of one kind of exit.
#[napi(catch_unwind)]
pub fn measure_guest(kind: String) -> Result<MeasureGuest> {
    Ok(MeasureGuest {
        program: measure::guest(exit_kind(&kind)?).into(),
        guest_address: measure::GUEST_ADDRESS as u32,
        access_port: u32::from(measure::ACCESS_PORT),
        mmio_address: measure::MMIO_ADDRESS as u32,
        marker_port: u32::from(measure::MARKER_PORT),
        exits_per_block: measure::EXITS_PER_BLOCK,
    })
}

/// A KVM_RUN loop without JavaScript: the control that every exit benchmark is divided by.
#[napi]
pub struct MeasureLoop {
    inner: Option<NativeLoop>,
}

#[napi]
impl MeasureLoop {
    /// Makes the machine of one kind of exit.
    #[napi(constructor, catch_unwind)]
    pub fn new(kind: String) -> Result<Self> {
        Ok(Self { inner: Some(NativeLoop::new(exit_kind(&kind)?).map_err(from_io)?) })
    }

    /// One block; the nanoseconds that it took, measured natively.
    #[napi(catch_unwind)]
    pub fn block(&mut self) -> Result<f64> {
        let inner = self.inner.as_mut().ok_or_else(|| Error::new(Status::GenericFailure, "closed"))?;
        inner.block().map(|nanoseconds| nanoseconds as f64).map_err(from_io)
    }

    /// Drops the machine.
    #[napi(catch_unwind)]
    pub fn close(&mut self) {
        self.inner = None;
    }
}

/// How long one virtual machine took to come and to go.
#[napi(object)]
pub struct MeasureLifetime {
    /// From opening /dev/kvm to the first exit.
    pub create_ns: f64,
    /// Unmapping and closing everything.
    pub dispose_ns: f64,
}

/// Makes a VM, runs it to its first exit and drops it, without JavaScript.
#[napi(catch_unwind)]
pub fn measure_create_and_dispose() -> Result<MeasureLifetime> {
    let lifetime = measure::create_and_dispose().map_err(from_io)?;
    Ok(MeasureLifetime { create_ns: lifetime.create_ns as f64, dispose_ns: lifetime.dispose_ns as f64 })
}

/// Keeps the calling thread on the CPU where it is now; gives the CPUs that it might use before.
#[napi(catch_unwind)]
pub fn measure_pin() -> Result<Vec<u32>> {
    let cpu = measure::current_cpu().map_err(from_io)?;
    let before = measure::pin_to_cpu(cpu).map_err(from_io)?;
    Ok(before.into_iter().map(|cpu| cpu as u32).collect())
}

/// Lets the calling thread use these CPUs again.
#[napi(catch_unwind)]
pub fn measure_unpin(cpus: Vec<u32>) -> Result<()> {
    let cpus: Vec<usize> = cpus.into_iter().map(|cpu| cpu as usize).collect();
    measure::unpin(&cpus).map_err(from_io)
}

/// What every raw function of the addon does before its own work: finds the object that it belongs to by its data
/// pointer. No arguments, no answer.
unsafe extern "C" fn noop(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let mut data = std::ptr::null_mut();
    // SAFETY: both handles are those of the call in progress; every output but the data pointer is declined.
    unsafe {
        sys::napi_get_cb_info(
            env,
            info,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            &mut data,
        );
    }
    std::hint::black_box(data);
    std::ptr::null_mut()
}

/// A function that does nothing, made without the wrapper that `#[napi]` puts around one: its cost is the unit in
/// which the added cost of an exit is judged.
#[napi(catch_unwind)]
pub fn measure_noop(env: Env) -> Result<Function<'static, (), ()>> {
    let mut function = std::ptr::null_mut();
    // SAFETY: the name is a C string and its length is given; the callback lives for ever and uses no data.
    let status = unsafe {
        sys::napi_create_function(
            env.raw(),
            c"noop".as_ptr(),
            4,
            Some(noop),
            std::ptr::null_mut(),
            &mut function,
        )
    };
    if status != sys::Status::napi_ok {
        return Err(Error::new(Status::from(status), "napi_create_function"));
    }
    // SAFETY: the value was made in this environment and scope, a line above.
    unsafe { Function::from_napi_value(env.raw(), function) }
}
