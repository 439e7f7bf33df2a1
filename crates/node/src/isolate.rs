//! What the addon knows of the JavaScript isolate whose thread it is on.

use crate::error::guarded;
use crate::raw::detach_buffer;
use napi::bindgen_prelude::{Env, Function, JsValue, Object, Result, Unknown};
use napi::sys;
use napi_derive::napi;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ptr::null_mut;
use std::sync::Arc;
use vmhatch_vmm::{BackgroundRun, Error, ErrorCode, IsolatePort};

struct Isolate {
    port: Arc<IsolatePort>,
    error_maker: sys::napi_ref,
    /// An object of JavaScript's own.
    shared: sys::napi_ref,
    wake: sys::napi_threadsafe_function,
    /// The background runs that this isolate serves, by the vCPU's registry number.
    runs: HashMap<u32, Arc<BackgroundRun>>,
}

thread_local! {
    static ISOLATE: RefCell<Option<Isolate>> = const { RefCell::new(None) };
}

/// The function that makes a `KvmError`.
pub fn error_maker() -> Option<sys::napi_ref> {
    ISOLATE.with_borrow(|isolate| isolate.as_ref().map(|isolate| isolate.error_maker))
}

/// This isolate's port.
pub fn port() -> std::result::Result<Arc<IsolatePort>, Error> {
    ISOLATE
        .with_borrow(|isolate| isolate.as_ref().map(|isolate| Arc::clone(&isolate.port)))
        .ok_or_else(|| Error::new(ErrorCode::Internal, "the addon was not initialised in this isolate"))
}

/// Enters a background run that this isolate serves.
pub fn add_run(number: u32, run: Arc<BackgroundRun>) {
    ISOLATE.with_borrow_mut(|isolate| {
        if let Some(isolate) = isolate {
            isolate.runs.insert(number, run);
        }
    });
}

/// Forgets a background run.
pub fn remove_run(number: u32) {
    ISOLATE.with_borrow_mut(|isolate| {
        if let Some(isolate) = isolate {
            isolate.runs.remove(&number);
        }
    });
}

/// The status that the background run of vCPU `number` waits with.
pub fn run_status(number: u32) -> Option<u32> {
    ISOLATE.with_borrow(|isolate| {
        isolate.as_ref().and_then(|isolate| isolate.runs.get(&number).map(|run| run.status()))
    })
}

/// Makes the addon ready in this isolate. `makeError` builds a `KvmError`; `onWake` is called on the event
/// loop when another thread has something for this isolate. Both are those of the first call; what comes back is an
/// object that all calls share, for JavaScript that is loaded several times in one isolate.
#[napi(catch_unwind)]
pub fn init(env: Env, make_error: Function<'_>, on_wake: Function<'_>) -> Result<Object<'static>> {
    if let Some(shared) = ISOLATE.with_borrow(|isolate| isolate.as_ref().map(|isolate| isolate.shared)) {
        let mut object = null_mut();
        // SAFETY: the reference was made in this isolate and lives as long as it does.
        unsafe { sys::napi_get_reference_value(env.raw(), shared, &mut object) };
        return Ok(Object::from_raw(env.raw(), object));
    }
    let failed = |what: &str| Error::new(ErrorCode::Internal, format!("{what} failed"));
    guarded(&env, || {
        let raw = env.raw();
        let mut error_maker = null_mut();
        // SAFETY: `env` and the values are those of the running callback; out pointers are locals.
        if unsafe { sys::napi_create_reference(raw, make_error.raw(), 1, &mut error_maker) }
            != sys::Status::napi_ok
        {
            return Err(failed("napi_create_reference"));
        }
        let (mut object, mut shared) = (null_mut(), null_mut());
        // SAFETY: as above.
        unsafe { sys::napi_create_object(raw, &mut object) };
        // SAFETY: as above; without an object the call fails.
        let made = unsafe { sys::napi_create_reference(raw, object, 1, &mut shared) };
        if made != sys::Status::napi_ok {
            return Err(failed("napi_create_object"));
        }
        let mut name = null_mut();
        // SAFETY: as above; the name is a constant.
        unsafe { sys::napi_create_string_utf8(raw, c"vmhatch".as_ptr(), 7, &mut name) };
        let mut wake = null_mut();
        // SAFETY: as above; without a call_js callback Node calls the function itself, without arguments.
        let status = unsafe {
            sys::napi_create_threadsafe_function(
                raw,
                on_wake.raw(),
                null_mut(),
                name,
                0,
                1,
                null_mut(),
                None,
                null_mut(),
                None,
                &mut wake,
            )
        };
        if status != sys::Status::napi_ok {
            return Err(failed("napi_create_threadsafe_function"));
        }
        // An isolate without a running machine may end.
        // SAFETY: the function was just made on this thread.
        unsafe { sys::napi_unref_threadsafe_function(raw, wake) };
        let address = wake as usize;
        let port = IsolatePort::new(Box::new(move || {
            // SAFETY: the port drops this closure before the function goes away (see `on_exit`).
            unsafe {
                sys::napi_call_threadsafe_function(
                    address as sys::napi_threadsafe_function,
                    null_mut(),
                    sys::ThreadsafeFunctionCallMode::nonblocking,
                )
            };
        }));
        // Hooks run last in, first out: this one runs before Node's own for the thread-safe function.
        // SAFETY: the hook takes no argument and runs on this thread.
        unsafe { sys::napi_add_env_cleanup_hook(raw, Some(on_exit), null_mut()) };
        ISOLATE.set(Some(Isolate { port, error_maker, shared, wake, runs: HashMap::new() }));
        Ok(Object::from_raw(raw, object))
    })
}

extern "C" fn on_exit(_: *mut std::ffi::c_void) {
    if let Some(isolate) = ISOLATE.take() {
        isolate.port.end();
    }
}

/// The process is about to exit: no vCPU enters its guest again, and nobody wakes this isolate. What remains of
/// it serves the exit listeners that come after.
#[napi(catch_unwind)]
pub fn shut_down(env: Env) -> Result<()> {
    guarded(&env, || {
        vmhatch_vmm::shut_down();
        port()?.end();
        Ok(())
    })
}

/// Keeps the event loop alive (or lets it go) while a background run is under way.
#[napi(catch_unwind)]
pub fn hold_loop(env: Env, hold: bool) -> Result<()> {
    guarded(&env, || {
        ISOLATE.with_borrow(|isolate| {
            if let Some(isolate) = isolate {
                // SAFETY: the function belongs to this thread's environment and is alive until `on_exit`.
                unsafe {
                    if hold {
                        sys::napi_ref_threadsafe_function(env.raw(), isolate.wake);
                    } else {
                        sys::napi_unref_threadsafe_function(env.raw(), isolate.wake);
                    }
                }
            }
        });
        Ok(())
    })
}

/// Called before the isolate looks at what waits: from now on it is woken again. The numbers of JavaScript devices
/// that nobody uses any more, or null.
#[napi(catch_unwind)]
pub fn begin_look(env: Env) -> Result<Option<Vec<u32>>> {
    guarded(&env, || {
        let released = port()?.begin_look();
        Ok((!released.is_empty()).then_some(released))
    })
}

/// An access from another thread to one of this isolate's devices.
#[napi]
pub struct NativeAccess {
    access: Option<vmhatch_vmm::Access>,
}

#[napi]
impl NativeAccess {
    /// The device's number in this isolate.
    #[napi(getter, catch_unwind)]
    pub fn route(&self) -> u32 {
        self.access.as_ref().map_or(u32::MAX, |access| access.route)
    }

    /// Whether the guest writes.
    #[napi(getter, catch_unwind)]
    pub fn write(&self) -> bool {
        self.access.as_ref().is_some_and(|access| access.write)
    }

    /// The offset in the device's range.
    #[napi(getter, catch_unwind)]
    pub fn offset(&self) -> f64 {
        self.access.as_ref().map_or(0.0, |access| access.offset as f64)
    }

    /// The size in bytes.
    #[napi(getter, catch_unwind)]
    pub fn size(&self) -> u32 {
        self.access.as_ref().map_or(0, |access| access.size)
    }

    /// The low 32 bits of what is written.
    #[napi(getter, catch_unwind)]
    pub fn low(&self) -> u32 {
        self.access.as_ref().map_or(0, |access| access.value as u32)
    }

    /// The high 32 bits of what is written.
    #[napi(getter, catch_unwind)]
    pub fn high(&self) -> u32 {
        self.access.as_ref().map_or(0, |access| (access.value >> 32) as u32)
    }

    /// Gives the answer. Twice is quiet.
    #[napi(catch_unwind)]
    pub fn answer(&mut self, low: u32, high: u32) {
        if let Some(access) = self.access.take() {
            access.answer(u64::from(low) | u64::from(high) << 32);
        }
    }
}

/// The next access that waits for this isolate, or null.
#[napi(catch_unwind)]
pub fn next_access(env: Env) -> Result<Option<NativeAccess>> {
    guarded(&env, || Ok(port()?.next_access().map(|access| NativeAccess { access: Some(access) })))
}

/// Panics. The test of what a panic becomes calls it; nothing else does.
#[napi(catch_unwind)]
pub fn panic_on_purpose(env: Env) -> Result<()> {
    guarded(&env, || panic!("on purpose"))
}

/// Nanoseconds per cycle of the counter that `guestCycles` counts.
#[napi(catch_unwind)]
pub fn nanoseconds_per_cycle(env: Env) -> Result<f64> {
    guarded(&env, || Ok(vmhatch_vmm::nanoseconds_per_cycle()))
}

/// Detaches an ArrayBuffer: its views become empty. One that cannot be detached any more is left alone.
#[napi(catch_unwind)]
pub fn detach(env: Env, buffer: Unknown<'_>) -> Result<()> {
    guarded(&env, || {
        detach_buffer(&env, &buffer);
        Ok(())
    })
}
