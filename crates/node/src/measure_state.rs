//! The native controls of the benchmarks of state, for lib/bench. No part of the public surface.

use napi::bindgen_prelude::Uint8Array;
use napi::{Error, Result, Status};
use napi_derive::napi;
use vmhatch_vmm::measure::{self, StateKind, StateLoop};

/// What both sides of these benchmarks share.
#[napi(object)]
pub struct MeasureStateSetting {
    /// The memory whose dirty log is read, in bytes.
    pub logged_memory: f64,
    /// The entries of the dirty ring.
    pub ring_entries: u32,
    /// The guest that writes 64 pages, then to a port.
    pub writer: Uint8Array,
    /// Where it starts.
    pub writer_address: u32,
    /// The memory that it needs, in bytes.
    pub writer_memory: u32,
    /// The MSRs that are read together.
    pub msrs: Vec<u32>,
}

/// What both sides of these benchmarks share.
#[napi(catch_unwind)]
pub fn measure_state_setting() -> MeasureStateSetting {
    MeasureStateSetting {
        logged_memory: measure::LOGGED_MEMORY as f64,
        ring_entries: measure::RING_ENTRIES,
        writer: measure::WRITER.to_vec().into(),
        writer_address: measure::WRITER_ADDRESS as u32,
        writer_memory: measure::WRITER_MEMORY as u32,
        msrs: measure::MSRS.to_vec(),
    }
}

/// One kind of access to a machine's state, without JavaScript.
#[napi]
pub struct MeasureState {
    inner: Option<StateLoop>,
}

#[napi]
impl MeasureState {
    /// Makes the machine.
    #[napi(constructor, catch_unwind)]
    pub fn new(kind: String) -> Result<Self> {
        let found = StateKind::from_name(&kind)
            .ok_or_else(|| Error::new(Status::InvalidArg, format!("no kind of state is called {kind}")))?;
        let inner =
            StateLoop::new(found).map_err(|error| Error::new(Status::GenericFailure, error.to_string()))?;
        Ok(Self { inner: Some(inner) })
    }

    /// The nanoseconds of one access, of so many.
    #[napi(catch_unwind)]
    pub fn block(&mut self, times: u32) -> Result<f64> {
        let inner = self.inner.as_mut().ok_or_else(|| Error::new(Status::GenericFailure, "closed"))?;
        inner.block(times).map_err(|error| Error::new(Status::GenericFailure, error.to_string()))
    }

    /// Nothing: what a call costs.
    #[napi(catch_unwind)]
    pub fn empty(&self) {}

    /// Drops the machine.
    #[napi(catch_unwind)]
    pub fn close(&mut self) {
        self.inner = None;
    }
}
