//! Raw Node-API where napi has no word for it: buffers over foreign memory, functions with a data pointer, and
//! the bytes of a typed array that JavaScript lends for a call.

use napi::bindgen_prelude::{
    BigUint64ArraySlice, Env, JsObjectValue, JsValue, Object, Result, Uint8Array, Uint8ArraySlice, Unknown,
};
use napi::sys;
use std::ptr::{null, null_mut};
use std::sync::Arc;
use vmhatch_vmm::{Error, ErrorCode};

/// The bytes of a typed array that the running call was given to fill.
pub fn lent_bytes(array: &mut Uint8Array) -> &mut [u8] {
    // SAFETY: the array is an argument of the running call, which is the only thing that runs in its isolate;
    // a thread that shares its memory can tear what is written, nothing else.
    unsafe { array.as_mut() }
}

/// The same of an array that is not kept beyond the call, which costs less.
pub fn lent_slice<'a>(array: &'a mut Uint8ArraySlice<'_>) -> &'a mut [u8] {
    // SAFETY: as above.
    unsafe { array.as_mut() }
}

/// The words of a `BigUint64Array` that the running call was given to fill.
pub fn lent_words<'a>(array: &'a mut BigUint64ArraySlice<'_>) -> &'a mut [u64] {
    // SAFETY: as above.
    unsafe { array.as_mut() }
}

/// A raw value as a return value.
pub fn unknown(env: &Env, value: sys::napi_value) -> Unknown<'static> {
    // SAFETY: callers pass a value that was made in this environment and scope just before.
    unsafe { Unknown::from_raw_unchecked(env.raw(), value) }
}

/// Makes an ArrayBuffer over memory that `owner` keeps alive; the owner is dropped with the buffer.
pub fn external_buffer<T>(
    env: &Env,
    address: *mut u8,
    length: usize,
    owner: T,
) -> std::result::Result<sys::napi_value, Error> {
    unsafe extern "C" fn finalize<T>(
        _: sys::napi_env,
        _: *mut std::ffi::c_void,
        hint: *mut std::ffi::c_void,
    ) {
        // SAFETY: the hint is the box that `external_buffer` leaked, and this runs once.
        drop(unsafe { Box::from_raw(hint.cast::<T>()) });
    }
    let hint = Box::into_raw(Box::new(owner));
    let mut value = null_mut();
    // SAFETY: the memory outlives the buffer, because its owner is dropped by the finalizer only.
    let status = unsafe {
        sys::napi_create_external_arraybuffer(
            env.raw(),
            address.cast(),
            length,
            Some(finalize::<T>),
            hint.cast(),
            &mut value,
        )
    };
    /// napi_no_external_buffers_allowed: the environment keeps all its memory in a cage.
    const NOT_ALLOWED: sys::napi_status = 22;
    match status {
        sys::Status::napi_ok => Ok(value),
        NOT_ALLOWED => {
            // SAFETY: this is the one failure after which Node does not run the finalizer.
            drop(unsafe { Box::from_raw(hint) });
            Err(Error::new(
                ErrorCode::ExternalBuffers,
                "this runtime forbids buffers over foreign memory (as Electron does): use read() and write() in \
                 place of view(), and run vCPUs in a child process on plain Node",
            ))
        }
        status => Err(Error::new(
            ErrorCode::ExternalBuffers,
            format!("a view of {length} bytes could not be made (status {status}): ask for smaller windows"),
        )),
    }
}

/// Detaches an ArrayBuffer: its views become empty. `false` for one that cannot be detached.
pub fn detach_buffer(env: &Env, buffer: &Unknown<'_>) -> bool {
    // SAFETY: the value is an argument of the running callback.
    unsafe { sys::napi_detach_arraybuffer(env.raw(), buffer.raw()) == sys::Status::napi_ok }
}

/// Makes a JavaScript function of `callback` with `owner` as its data: no arguments, no class, no conversion.
pub fn raw_function<T: Send + Sync + 'static>(
    env: &Env,
    callback: unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value,
    owner: Arc<T>,
) -> std::result::Result<sys::napi_value, Error> {
    unsafe extern "C" fn finalize<T>(
        _: sys::napi_env,
        data: *mut std::ffi::c_void,
        _: *mut std::ffi::c_void,
    ) {
        // SAFETY: the data is the Arc that `raw_function` leaked, and this runs once.
        drop(unsafe { Arc::from_raw(data.cast::<T>().cast_const()) });
    }
    let failed = || Error::new(ErrorCode::Internal, "napi_create_function failed");
    let data = Arc::into_raw(owner).cast_mut();
    let mut function = null_mut();
    // SAFETY: the data lives until the finalizer, which is tied to the function itself.
    let status = unsafe {
        sys::napi_create_function(env.raw(), null(), 0, Some(callback), data.cast(), &mut function)
    };
    let added = (status == sys::Status::napi_ok)
        // SAFETY: as above.
        .then(|| unsafe {
            sys::napi_add_finalizer(
                env.raw(),
                function,
                data.cast(),
                Some(finalize::<T>),
                null_mut(),
                null_mut(),
            )
        });
    if added != Some(sys::Status::napi_ok) {
        // SAFETY: nobody else has the pointer: the function, if it exists, is unreachable.
        drop(unsafe { Arc::from_raw(data) });
        return Err(failed());
    }
    Ok(function)
}

/// The data pointer of a raw function that is being called.
///
/// # Safety
///
/// Only from within a callback made by [`raw_function`] with the same `T`.
#[inline]
pub unsafe fn callback_data<'a, T>(env: sys::napi_env, info: sys::napi_callback_info) -> &'a T {
    let mut data = null_mut();
    // SAFETY: the callback's own arguments; only the data pointer is asked for.
    unsafe {
        sys::napi_get_cb_info(env, info, null_mut(), null_mut(), null_mut(), &mut data);
        &*data.cast::<T>()
    }
}

/// The data pointer of a raw function that is being called, and the number that it was given; 0 for all else.
///
/// # Safety
///
/// Only from within a callback made by [`raw_function`] with the same `T`.
#[inline]
pub unsafe fn callback_number<'a, T>(env: sys::napi_env, info: sys::napi_callback_info) -> (&'a T, u32) {
    let (mut data, mut value, mut count, mut number) = (null_mut(), null_mut(), 1, 0);
    // SAFETY: the callback's own arguments, of which one is asked for; a missing one is given as undefined, which is no
    // number and leaves 0.
    unsafe {
        sys::napi_get_cb_info(env, info, &mut count, &mut value, null_mut(), &mut data);
        sys::napi_get_value_uint32(env, value, &mut number);
        (&*data.cast::<T>(), number)
    }
}

/// The data pointer of a raw function that is being called, the number that it was given first, and the words of the
/// `BigUint64Array` that it was given second, to fill.
///
/// # Safety
///
/// Only from within a callback made by [`raw_function`] with the same `T`; the words are used during the call only.
#[inline]
pub unsafe fn callback_words<'a, T>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> (&'a T, u32, Option<&'a mut [u64]>) {
    let (mut data, mut values, mut count, mut number) = (null_mut(), [null_mut(); 2], 2, 0);
    let (mut kind, mut length, mut address) = (0, 0, null_mut());
    // SAFETY: the callback's own arguments, of which two are asked for; missing ones are given as undefined, which is
    // neither a number nor an array. The out pointers are locals.
    let (data, status) = unsafe {
        sys::napi_get_cb_info(env, info, &mut count, values.as_mut_ptr(), null_mut(), &mut data);
        sys::napi_get_value_uint32(env, values[0], &mut number);
        let status = sys::napi_get_typedarray_info(
            env,
            values[1],
            &mut kind,
            &mut length,
            &mut address,
            null_mut(),
            null_mut(),
        );
        (&*data.cast::<T>(), status)
    };
    let words: *mut u64 = address.cast();
    if status != sys::Status::napi_ok || kind != sys::TypedarrayType::biguint64_array || !words.is_aligned() {
        return (data, number, None);
    }
    if length == 0 {
        return (data, number, Some(&mut []));
    }
    // SAFETY: as in `lent_bytes`; the array has so many words there, which are aligned.
    (data, number, Some(unsafe { std::slice::from_raw_parts_mut(words, length) }))
}

/// A share of the data of a raw function that is being called.
///
/// # Safety
///
/// Only from within a callback made by [`raw_function`] with the same `T`.
pub unsafe fn callback_owner<T>(env: sys::napi_env, info: sys::napi_callback_info) -> Arc<T> {
    // SAFETY: by the contract the data is an Arc that `raw_function` leaked and that the function still owns.
    unsafe {
        let data: *const T = callback_data::<T>(env, info);
        Arc::increment_strong_count(data);
        Arc::from_raw(data)
    }
}

/// A small number as the answer of a raw function.
#[inline]
pub fn number(env: sys::napi_env, value: u32) -> sys::napi_value {
    let mut result = null_mut();
    // SAFETY: the environment of the running callback; the out pointer is a local.
    unsafe { sys::napi_create_uint32(env, value, &mut result) };
    result
}

/// Sets a function as a property of an object that is being built.
pub fn set(object: &mut Object<'_>, env: &Env, name: &str, value: sys::napi_value) -> Result<()> {
    object.set_named_property(name, unknown(env, value))
}
