//! The functions on the hot path: raw Node-API, a data pointer, no arguments. A `#[napi]` class method
//! costs several hundred nanoseconds, one of these about twelve.

use crate::error::throw;
use crate::isolate::{port, run_status};
use crate::raw::{callback_data, number, raw_function, set};
use napi::bindgen_prelude::{Env, Object, Result};
use napi::sys;
use napi_derive::napi;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vmhatch_vmm::{BackgroundRun, Error, IsolatePort, Resume, Status, VcpuCore};

/// How long an isolate that has just served a vCPU looks for the next one before it goes back to its
/// event loop.
const SPIN: Duration = Duration::from_micros(30);

/// No vCPU waits.
const NOBODY: u32 = u32::MAX;

/// Runs the vCPU until JavaScript has something to do; the status.
pub unsafe extern "C" fn step(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: made by `raw_function` with a VcpuCore.
    let vcpu = unsafe { callback_data::<VcpuCore>(env, info) };
    // A panic may not cross into Node; it is reported as a failed run.
    let status = catch_unwind(AssertUnwindSafe(|| vcpu.step()));
    number(env, status.unwrap_or(Status::Failed as u32))
}

/// Finishes the open access; the status.
pub unsafe extern "C" fn complete(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: made by `raw_function` with a VcpuCore.
    let vcpu = unsafe { callback_data::<VcpuCore>(env, info) };
    let status = catch_unwind(AssertUnwindSafe(|| vcpu.complete()));
    number(env, status.unwrap_or(Status::Failed as u32))
}

/// Lets a background run go on.
pub unsafe extern "C" fn resume(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: made by `raw_function` with a BackgroundRun.
    let run = unsafe { callback_data::<BackgroundRun>(env, info) };
    run.resume(Resume::Run);
    null_mut()
}

/// The next vCPU that waits for this isolate, as `number * 4096 + status`, or all ones.
pub unsafe extern "C" fn next_ready(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: made by `raw_function` with an IsolatePort.
    let port = unsafe { callback_data::<IsolatePort>(env, info) };
    number(env, catch_unwind(AssertUnwindSafe(|| find_ready(port))).unwrap_or(NOBODY))
}

/// The same, after waiting a little for one to come.
pub unsafe extern "C" fn await_ready(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: made by `raw_function` with an IsolatePort.
    let port = unsafe { callback_data::<IsolatePort>(env, info) };
    let wait = || {
        let began = Instant::now();
        while !port.has_ready() {
            if began.elapsed() > SPIN {
                return NOBODY;
            }
            for _ in 0..32 {
                std::hint::spin_loop();
            }
        }
        find_ready(port)
    };
    number(env, catch_unwind(AssertUnwindSafe(wait)).unwrap_or(NOBODY))
}

fn find_ready(port: &IsolatePort) -> u32 {
    while let Some(vcpu) = port.next_ready() {
        // One whose run was forgotten meanwhile is skipped.
        if let Some(status) = run_status(vcpu) {
            return vcpu << 12 | status & 0xfff;
        }
    }
    NOBODY
}

/// Does nothing: what a raw call costs, for the benchmarks.
pub unsafe extern "C" fn noop(_: sys::napi_env, _: sys::napi_callback_info) -> sys::napi_value {
    null_mut()
}

/// Makes the functions of the isolate: `nextReady`, `awaitReady` and `noop`.
#[napi(catch_unwind)]
pub fn isolate_functions(env: Env) -> Result<Object<'static>> {
    let make = || -> std::result::Result<_, Error> {
        let port = port()?;
        Ok([
            ("nextReady", raw_function(&env, next_ready, Arc::clone(&port))?),
            ("awaitReady", raw_function(&env, await_ready, Arc::clone(&port))?),
            ("noop", raw_function(&env, noop, port)?),
        ])
    };
    let named = make().map_err(|error| throw(&env, &error))?;
    let mut functions = Object::new(&env)?;
    for (name, function) in named {
        set(&mut functions, &env, name, function)?;
    }
    Ok(functions)
}
