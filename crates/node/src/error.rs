//! Errors on their way to JavaScript: the one place where they are made.

use crate::isolate;
use napi::bindgen_prelude::{Env, Error as NapiError, Result as NapiResult, Status};
use napi::sys;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use vmhatch_vmm::{Error, ErrorCode};

/// Runs the body of an export: a failure becomes a `KvmError`, and so does a panic.
pub fn guarded<T>(env: &Env, body: impl FnOnce() -> Result<T, Error>) -> NapiResult<T> {
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(panicked(&*panic)));
    result.map_err(|error| throw(env, &error))
}

/// What a panic becomes.
pub fn panicked(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Error::new(ErrorCode::Internal, format!("a panic in native code: {text}"))
}

/// Throws a `KvmError` in this isolate and returns napi's word for "an exception is pending".
pub fn throw(env: &Env, error: &Error) -> NapiError {
    // SAFETY: called on the isolate's own thread with its environment, from within a callback.
    match unsafe { throw_raw(env.raw(), error) } {
        Some(()) => NapiError::new(Status::PendingException, String::new()),
        // JavaScript gave no constructor (or it threw): the message at least.
        None => NapiError::new(Status::GenericFailure, error.message.clone()),
    }
}

/// Calls JavaScript's `(code, message, errno, syscall) => KvmError` and throws what it gives.
///
/// # Safety
///
/// `env` must be the environment of the calling thread.
unsafe fn throw_raw(env: sys::napi_env, error: &Error) -> Option<()> {
    let maker = isolate::error_maker()?;
    let ok = |status| (status == sys::Status::napi_ok).then_some(());
    let string = |text: &str| {
        let mut value = null_mut();
        // SAFETY: the pointer and length describe a valid string for the call.
        ok(unsafe {
            sys::napi_create_string_utf8(env, text.as_ptr().cast(), text.len() as isize, &mut value)
        })
        .map(|()| value)
    };
    let mut undefined = null_mut();
    // SAFETY: `env` is valid by this function's contract, here and below; every out pointer is a local.
    ok(unsafe { sys::napi_get_undefined(env, &mut undefined) })?;
    let mut errno = undefined;
    if let Some(number) = error.errno {
        // SAFETY: as above.
        ok(unsafe { sys::napi_create_int32(env, number, &mut errno) })?;
    }
    let syscall = match error.syscall {
        Some(name) => string(name)?,
        None => undefined,
    };
    let arguments = [string(error.code.as_str())?, string(&error.message)?, errno, syscall];
    let mut function = null_mut();
    // SAFETY: as above; the reference lives as long as the isolate, which is the caller's.
    ok(unsafe { sys::napi_get_reference_value(env, maker, &mut function) })?;
    let mut value = null_mut();
    // SAFETY: as above; the arguments are values of this scope and their number is that of the array.
    ok(unsafe {
        sys::napi_call_function(env, undefined, function, arguments.len(), arguments.as_ptr(), &mut value)
    })?;
    // SAFETY: as above.
    ok(unsafe { sys::napi_throw(env, value) })
}
