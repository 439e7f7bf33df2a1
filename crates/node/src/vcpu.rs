//! `Vcpu` and its background runs.

use crate::error::{guarded, throw};
use crate::hot;
use crate::isolate::{add_run, port, remove_run};
use crate::raw::{detach_buffer, external_buffer, lent_slice, raw_function, set, unknown};
use crate::vm::{NativeVm, no_such_state};
use napi::bindgen_prelude::{BigInt, Env, JsObjectValue, Object, Result, Uint8ArraySlice, Unknown};
use napi_derive::napi;
use std::cell::RefCell;
use std::sync::Arc;
use vmhatch_vmm::{BackgroundRun, Error, ErrorCode, Exposure, Registry, Resume, VcpuCore, VcpuState};

/// One vCPU.
#[napi]
pub struct NativeVcpu {
    pub(crate) inner: Arc<VcpuCore>,
    /// The buffer that `functions` made over the shared pages.
    exposure: RefCell<Option<Arc<Exposure>>>,
}

impl NativeVcpu {
    /// The JavaScript side of a vCPU.
    pub(crate) fn new(inner: Arc<VcpuCore>) -> Self {
        Self { inner, exposure: RefCell::new(None) }
    }
}

#[napi]
impl NativeVcpu {
    /// The hot functions `select`, `stepAlone` and `complete`, and `pages`: the ArrayBuffer shared with the run loop.
    #[napi(catch_unwind)]
    pub fn functions(&self, env: Env) -> Result<Object<'static>> {
        let make = || -> std::result::Result<_, Error> {
            let select = raw_function(&env, hot::select, Arc::clone(&self.inner))?;
            let stepper = hot::Stepper { vcpu: Arc::clone(&self.inner), port: port()? };
            let step_alone = raw_function(&env, hot::step_alone, Arc::new(stepper))?;
            let complete = raw_function(&env, hot::complete, Arc::clone(&self.inner))?;
            let pages = &self.inner.pages;
            let exposure = Arc::new(pages.expose()?);
            let buffer = external_buffer(&env, pages.as_ptr(), pages.length(), Arc::clone(&exposure))?;
            self.exposure.replace(Some(exposure));
            Ok((select, step_alone, complete, buffer))
        };
        let (select, step_alone, complete, buffer) = make().map_err(|error| throw(&env, &error))?;
        let mut functions = Object::new(&env)?;
        set(&mut functions, &env, "select", select)?;
        set(&mut functions, &env, "stepAlone", step_alone)?;
        set(&mut functions, &env, "complete", complete)?;
        set(&mut functions, &env, "pages", buffer)?;
        functions.set_named_property("controlOffset", self.inner.pages.control_offset() as u32)?;
        Ok(functions)
    }

    /// The hot function that reads and writes state through the shared pages.
    #[napi(catch_unwind)]
    pub fn exchange_function(&self, env: Env) -> Result<Unknown<'static>> {
        let function = guarded(&env, || raw_function(&env, hot::exchange, Arc::clone(&self.inner)))?;
        Ok(unknown(&env, function))
    }

    /// The id in its machine.
    #[napi(getter, catch_unwind)]
    pub fn id(&self) -> u32 {
        self.inner.id
    }

    /// The registry's number and generation: what a token holds.
    #[napi(catch_unwind)]
    pub fn token(&self) -> Vec<u32> {
        vec![self.inner.number, self.inner.generation]
    }

    /// The machine, for an isolate that adopted the vCPU.
    #[napi(catch_unwind)]
    pub fn vm(&self) -> NativeVm {
        NativeVm { inner: Arc::clone(&self.inner.vm) }
    }

    /// Ends its run and closes it.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.inner.close();
    }

    /// Detaches the buffer that `functions` made, after which the shared pages can be given back.
    #[napi(catch_unwind)]
    pub fn release_pages(&self, env: Env, pages: Unknown<'_>) -> Result<()> {
        guarded(&env, || {
            if detach_buffer(&env, &pages)
                && let Some(exposure) = self.exposure.take()
            {
                exposure.end();
            }
            Ok(())
        })
    }

    /// Whether it is closed, here or in another isolate.
    #[napi(getter, catch_unwind)]
    pub fn closed(&self) -> bool {
        self.inner.is_closed()
    }

    /// Ends the run in progress, or the next one.
    #[napi(catch_unwind)]
    pub fn kick(&self) {
        self.inner.kick();
    }

    /// Takes back a kick that no run has seen.
    #[napi(catch_unwind)]
    pub fn unkick(&self) {
        self.inner.unkick();
    }

    /// How often it was kicked.
    #[napi(catch_unwind)]
    pub fn kicks(&self) -> f64 {
        self.inner.kicks() as f64
    }

    /// Throws the error behind a failed run.
    #[napi(catch_unwind)]
    pub fn throw_failure(&self, env: Env) -> Result<()> {
        let error = self.inner.take_failure();
        let error = error.unwrap_or_else(|| Error::new(ErrorCode::Internal, "a panic in the run loop"));
        Err(throw(&env, &error))
    }

    /// Offers the vCPU to another isolate; the offer's number.
    #[napi(catch_unwind)]
    pub fn offer(&self, env: Env) -> Result<u32> {
        guarded(&env, || self.inner.offer())
    }

    /// Starts a thread that runs the vCPU for this isolate.
    #[napi(catch_unwind)]
    pub fn start(&self, env: Env) -> Result<NativeBackgroundRun> {
        guarded(&env, || {
            self.inner.set_isolate(port()?);
            let run = BackgroundRun::start(Arc::clone(&self.inner))?;
            add_run(self.inner.number, Arc::clone(&run));
            Ok(NativeBackgroundRun { inner: run, number: self.inner.number })
        })
    }

    // ---- state

    /// Reads one of the vCPU's structures, by its number in `VCPU_STATE`.
    #[napi(catch_unwind)]
    pub fn get_state(&self, env: Env, state: u32, mut target: Uint8ArraySlice<'_>) -> Result<u32> {
        guarded(&env, || {
            let state = VcpuState::from_number(state).ok_or_else(no_such_state)?;
            Ok(self.inner.get_state(state, lent_slice(&mut target))? as u32)
        })
    }

    /// Writes one of the vCPU's structures.
    #[napi(catch_unwind)]
    pub fn set_state(&self, env: Env, state: u32, bytes: &[u8]) -> Result<()> {
        guarded(&env, || {
            let state = VcpuState::from_number(state).ok_or_else(no_such_state)?;
            self.inner.set_state(state, bytes)
        })
    }

    /// `KVM_GET_REGS` into the shared page.
    #[napi(catch_unwind)]
    pub fn load_regs(&self, env: Env) -> Result<()> {
        guarded(&env, || self.inner.load_regs())
    }

    /// The descriptor's number.
    #[napi(catch_unwind)]
    pub fn fd(&self, env: Env) -> Result<i32> {
        guarded(&env, || self.inner.raw_fd())
    }

    /// `KVM_GET_MP_STATE`.
    #[napi(catch_unwind)]
    pub fn get_mp_state(&self, env: Env) -> Result<u32> {
        guarded(&env, || self.inner.mp_state())
    }

    /// `KVM_SET_MP_STATE`.
    #[napi(catch_unwind)]
    pub fn set_mp_state(&self, env: Env, state: u32) -> Result<()> {
        guarded(&env, || self.inner.set_mp_state(state))
    }

    /// `KVM_SET_GUEST_DEBUG`.
    #[napi(catch_unwind)]
    pub fn set_guest_debug(&self, env: Env, single_step: bool, breakpoints: Vec<BigInt>) -> Result<()> {
        let breakpoints: Vec<u64> = breakpoints.iter().map(|address| address.get_u64().1).collect();
        guarded(&env, || self.inner.set_guest_debug(single_step, &breakpoints))
    }

    /// `KVM_GET_ONE_REG`; the bytes that the register has.
    #[napi(catch_unwind)]
    pub fn get_one_reg(&self, env: Env, id: BigInt, mut target: Uint8ArraySlice<'_>) -> Result<u32> {
        guarded(&env, || Ok(self.inner.one_reg(id.get_u64().1, lent_slice(&mut target))? as u32))
    }

    /// `KVM_SET_ONE_REG`.
    #[napi(catch_unwind)]
    pub fn set_one_reg(&self, env: Env, id: BigInt, bytes: &[u8]) -> Result<()> {
        guarded(&env, || self.inner.set_one_reg(id.get_u64().1, bytes))
    }
}

/// Takes a vCPU that another isolate offered.
#[napi(catch_unwind)]
pub fn adopt_vcpu(env: Env, number: u32, generation: u32, offer: u32) -> Result<NativeVcpu> {
    guarded(&env, || {
        let gone = || Error::new(ErrorCode::Token, "the token was used before, or its vCPU is gone");
        let vcpu = Registry::global().get(number, generation).ok_or_else(gone)?;
        if !vcpu.adopt(port()?, offer) {
            return Err(gone());
        }
        Ok(NativeVcpu::new(vcpu))
    })
}

/// Kicks the vCPU that a token names; one that is gone needs no kick.
#[napi(catch_unwind)]
pub fn kick_by_token(number: u32, generation: u32) {
    if let Some(vcpu) = Registry::global().get(number, generation) {
        vcpu.kick();
    }
}

/// A vCPU on a thread of its own.
#[napi]
pub struct NativeBackgroundRun {
    inner: Arc<BackgroundRun>,
    number: u32,
}

#[napi]
impl NativeBackgroundRun {
    /// The vCPU's number in what `nextReady` returns.
    #[napi(getter, catch_unwind)]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The hot function that lets the vCPU go on.
    #[napi(catch_unwind)]
    pub fn resume_function(&self, env: Env) -> Result<Unknown<'static>> {
        let function = guarded(&env, || raw_function(&env, hot::resume, Arc::clone(&self.inner)))?;
        Ok(unknown(&env, function))
    }

    /// Lets the vCPU finish its open access and come back.
    #[napi(catch_unwind)]
    pub fn complete(&self) {
        self.inner.resume(Resume::Complete);
    }

    /// Ends the thread; the run is forgotten.
    #[napi(catch_unwind)]
    pub fn stop(&self) {
        remove_run(self.number);
        self.inner.stop();
    }
}
