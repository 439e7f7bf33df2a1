//! Dirty pages of a machine: its log, and its rings.

use crate::error::guarded;
use crate::hot;
use crate::raw::{raw_function, unknown};
use crate::vm::NativeVm;
use napi::bindgen_prelude::{Env, Result, Uint32ArraySlice, Unknown};
use napi_derive::napi;
use std::sync::Arc;

/// Lists of pages one after the other: slot, number of pages, pages.
fn flat(lists: &[(u32, Vec<u32>)]) -> Vec<u32> {
    let mut numbers = Vec::with_capacity(lists.iter().map(|(_, pages)| pages.len() + 2).sum());
    for (slot, pages) in lists {
        numbers.extend([*slot, pages.len() as u32]);
        numbers.extend(pages);
    }
    numbers
}

#[napi]
impl NativeVm {
    /// Enables the rings: entries of each, and whether a full one is an exit.
    #[napi(catch_unwind)]
    pub fn enable_dirty_ring(&self, env: Env, entries: u32, exit_when_full: bool) -> Result<()> {
        guarded(&env, || self.inner.enable_dirty_ring(entries, exit_when_full))
    }

    /// The entries of each vCPU's ring; zero without rings.
    #[napi(catch_unwind)]
    pub fn dirty_ring_entries(&self) -> u32 {
        self.inner.dirty_ring_entries()
    }

    /// Harvests all rings; for each region with dirty pages its slot, their number, and the pages.
    #[napi(catch_unwind)]
    pub fn harvest_dirty_rings<'env>(&self, env: &'env Env) -> Result<Uint32ArraySlice<'env>> {
        let numbers = guarded(env, || {
            self.inner.harvest_dirty_rings()?;
            Ok(flat(&self.inner.take_dirty_pages()))
        })?;
        Uint32ArraySlice::copy_from(env, numbers)
    }

    /// `KVM_RESET_DIRTY_RINGS`.
    #[napi(catch_unwind)]
    pub fn reset_dirty_rings(&self, env: Env) -> Result<u32> {
        guarded(&env, || self.inner.reset_dirty_rings())
    }

    /// The pages of a region that guest or host wrote.
    #[napi(catch_unwind)]
    pub fn dirty_pages<'env>(
        &self,
        env: &'env Env,
        slot: u32,
        reset: bool,
    ) -> Result<Uint32ArraySlice<'env>> {
        let pages = guarded(env, || self.inner.dirty_pages(slot, reset))?;
        Uint32ArraySlice::copy_from(env, pages)
    }

    /// The bytes of a slot's log.
    #[napi(catch_unwind)]
    pub fn dirty_log_size(&self, slot: u32) -> u32 {
        self.inner.dirty_log_size(slot) as u32
    }

    /// The hot function that reads a slot's log (`KVM_GET_DIRTY_LOG`) into an array.
    #[napi(catch_unwind)]
    pub fn dirty_log_function(&self, env: Env) -> Result<Unknown<'static>> {
        let function = guarded(&env, || raw_function(&env, hot::dirty_log, Arc::clone(&self.inner)))?;
        Ok(unknown(&env, function))
    }

    /// `KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2`.
    #[napi(catch_unwind)]
    pub fn set_manual_protect(&self, env: Env, manual: bool, initially_set: bool) -> Result<()> {
        guarded(&env, || self.inner.set_manual_protect(manual, initially_set))
    }

    /// `KVM_CLEAR_DIRTY_LOG`; without `pages` as far as bitmap and slot go.
    #[napi(catch_unwind)]
    pub fn clear_dirty_log(
        &self,
        env: Env,
        slot: u32,
        first_page: f64,
        pages: Option<u32>,
        bitmap: &[u8],
    ) -> Result<()> {
        guarded(&env, || self.inner.clear_dirty_log(slot, first_page as u64, pages, bitmap))
    }
}
