//! The functions on the hot path: raw Node-API, a data pointer, no arguments. A `#[napi]` class method
//! costs several hundred nanoseconds, one of these about twelve.

use crate::error::{panicked, throw};
use crate::isolate::{port, run_status};
use crate::raw::{callback_data, callback_number, callback_owner, callback_words, number, raw_function, set};
use napi::bindgen_prelude::{Env, Object, Result};
use napi::sys;
use napi_derive::napi;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vmhatch_vmm::{
    BackgroundRun, Error, ErrorCode, IsolatePort, Resume, StatsBuffer, Status, VcpuCore, VmCore, flag,
};

/// How long an isolate that has just served a vCPU looks for the next one before it goes back to its
/// event loop.
const SPIN: Duration = Duration::from_micros(30);

/// No vCPU waits.
const NOBODY: u32 = u32::MAX;

thread_local! {
    /// The vCPU that `step` runs. One function for all vCPUs of an isolate, because V8 calls a function faster
    /// that is the same each time.
    static SELECTED: RefCell<Option<Arc<VcpuCore>>> = const { RefCell::new(None) };
}

/// Makes its vCPU the one that `step` runs, until another is selected.
pub unsafe extern "C" fn select(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: made by `raw_function` with a VcpuCore.
    let vcpu = unsafe { callback_owner::<VcpuCore>(env, info) };
    drop(SELECTED.replace(Some(vcpu)));
    null_mut()
}

/// Selects no vCPU.
pub unsafe extern "C" fn deselect(_: sys::napi_env, _: sys::napi_callback_info) -> sys::napi_value {
    drop(SELECTED.take());
    null_mut()
}

/// Runs the selected vCPU until JavaScript has something to do; the status.
pub unsafe extern "C" fn step(env: sys::napi_env, _: sys::napi_callback_info) -> sys::napi_value {
    let run = || SELECTED.with_borrow(|vcpu| vcpu.as_ref().map_or(Status::Closed as u32, |vcpu| vcpu.step()));
    // A panic may not cross into Node; it is reported as a failed run.
    number(env, catch_unwind(AssertUnwindSafe(run)).unwrap_or(Status::Failed as u32))
}

/// A vCPU and the isolate that runs it step by step.
pub struct Stepper {
    /// The vCPU.
    pub vcpu: Arc<VcpuCore>,
    /// The isolate.
    pub port: Arc<IsolatePort>,
}

/// Runs its vCPU, whichever is selected, until JavaScript has something to do; the status, which says as well whether
/// something waits for the isolate. One call for what otherwise takes four, for those who make them for each exit.
pub unsafe extern "C" fn step_alone(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: made by `raw_function` with a Stepper.
    let stepper = unsafe { callback_data::<Stepper>(env, info) };
    let run = || stepper.vcpu.step() | if stepper.port.is_pending() { flag::LOOK } else { 0 };
    number(env, catch_unwind(AssertUnwindSafe(run)).unwrap_or(Status::Failed as u32))
}

/// Finishes the open access; the status.
pub unsafe extern "C" fn complete(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: made by `raw_function` with a VcpuCore.
    let vcpu = unsafe { callback_data::<VcpuCore>(env, info) };
    let status = catch_unwind(AssertUnwindSafe(|| vcpu.complete()));
    number(env, status.unwrap_or(Status::Failed as u32))
}

/// Reads or writes state through the shared pages, as the number says that it is given.
pub unsafe extern "C" fn exchange(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: made by `raw_function` with a VcpuCore.
    let (vcpu, request) = unsafe { callback_number::<VcpuCore>(env, info) };
    let result = catch_unwind(AssertUnwindSafe(|| vcpu.exchange(request)));
    if let Err(error) = result.unwrap_or_else(|panic| Err(panicked(&*panic))) {
        throw(&Env::from_raw(env), &error);
    }
    null_mut()
}

/// Reads a slot's dirty log into the array that is given.
pub unsafe extern "C" fn dirty_log(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: made by `raw_function` with a VmCore; the words are gone when this returns.
    let (vm, slot, words) = unsafe { callback_words::<VmCore>(env, info) };
    let read = || match words {
        Some(words) => vm.dirty_log_into(slot, words),
        None => Err(Error::new(ErrorCode::Internal, "the log goes into an array of 64-bit words")),
    };
    let result = catch_unwind(AssertUnwindSafe(read));
    if let Err(error) = result.unwrap_or_else(|panic| Err(panicked(&*panic))) {
        throw(&Env::from_raw(env), &error);
    }
    null_mut()
}

/// Reads statistics into the buffer that belongs to the function.
pub unsafe extern "C" fn read_stats(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: made by `raw_function` with a StatsBuffer.
    let buffer = unsafe { callback_data::<StatsBuffer>(env, info) };
    let result = catch_unwind(AssertUnwindSafe(|| buffer.read()));
    if let Err(error) = result.unwrap_or_else(|panic| Err(panicked(&*panic))) {
        throw(&Env::from_raw(env), &error);
    }
    null_mut()
}

/// Lets a background run go on.
pub unsafe extern "C" fn resume(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: made by `raw_function` with a BackgroundRun.
    let run = unsafe { callback_data::<BackgroundRun>(env, info) };
    run.resume(Resume::Run);
    null_mut()
}

/// Whether anything waits for this isolate: 1 or 0.
pub unsafe extern "C" fn pending(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: made by `raw_function` with an IsolatePort.
    let port = unsafe { callback_data::<IsolatePort>(env, info) };
    number(env, u32::from(port.is_pending()))
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
            // The vCPU may need this very CPU to get to its next exit.
            std::thread::yield_now();
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

/// Makes the functions of the isolate: `pending`, `nextReady`, `awaitReady`, `step` and `deselect`.
#[napi(catch_unwind)]
pub fn isolate_functions(env: Env) -> Result<Object<'static>> {
    let make = || -> std::result::Result<_, Error> {
        let port = port()?;
        Ok([
            ("pending", raw_function(&env, pending, Arc::clone(&port))?),
            ("nextReady", raw_function(&env, next_ready, Arc::clone(&port))?),
            ("awaitReady", raw_function(&env, await_ready, Arc::clone(&port))?),
            ("step", raw_function(&env, step, Arc::clone(&port))?),
            ("deselect", raw_function(&env, deselect, port)?),
        ])
    };
    let named = make().map_err(|error| throw(&env, &error))?;
    let mut functions = Object::new(&env)?;
    for (name, function) in named {
        set(&mut functions, &env, name, function)?;
    }
    Ok(functions)
}
