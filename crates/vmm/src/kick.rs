//! The kick: stop a running vCPU from any thread.
//!
//! # Protocol
//!
//! The kicker stores the request, then sets `kvm_run.immediate_exit`, then looks whether a thread is in
//! KVM_RUN and, if so, sends it a signal. The runner announces its thread, then enters KVM_RUN, which looks
//! at `immediate_exit`. All of it is sequentially consistent, so either KVM_RUN sees the byte or the kicker
//! sees the thread. When the runner comes back it clears the byte *first* and looks at the requests *after*:
//! a request that it misses is one whose byte is set again. So one signal is enough, no kick is lost, and
//! nothing here takes a lock.
//!
//! A kick is sticky: with no run in progress it ends the next one.

use crate::thread_clock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, Ordering, fence};

/// Set once the process is on its way out: no vCPU enters the guest any more.
static SHUT_DOWN: AtomicBool = AtomicBool::new(false);

pub(crate) fn shut_down() {
    SHUT_DOWN.store(true, Ordering::SeqCst);
}

pub(crate) fn shutting_down() -> bool {
    SHUT_DOWN.load(Ordering::Relaxed)
}

/// The requests to one vCPU.
#[derive(Default)]
pub(crate) struct Kick {
    /// Someone wants the run to end.
    requested: AtomicBool,
    /// Someone wants the run to come back to its isolate and then go on.
    attention: AtomicBool,
    /// The thread in KVM_RUN, or zero; negative once it was signalled.
    running: AtomicI32,
    /// How often the vCPU was kicked.
    pub(crate) count: AtomicU64,
}

/// What a vCPU that was interrupted finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupted {
    /// End the run.
    Kicked,
    /// Come back to the isolate, then go on.
    Attention,
    /// Nothing was asked: a timer's tick, or a signal of somebody else's.
    Nothing,
}

impl Kick {
    /// Ends the run in progress, or the next one.
    pub(crate) fn kick(&self, immediate_exit: &AtomicU8) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.requested.store(true, Ordering::SeqCst);
        self.interrupt(immediate_exit);
    }

    /// Puts a kick back that was taken where nobody could act on it. It is not counted again.
    pub(crate) fn again(&self, immediate_exit: &AtomicU8) {
        self.requested.store(true, Ordering::SeqCst);
        immediate_exit.store(1, Ordering::SeqCst);
    }

    /// Brings the run, or the next one, back to its isolate once.
    pub(crate) fn attention(&self, immediate_exit: &AtomicU8) {
        self.attention.store(true, Ordering::SeqCst);
        self.interrupt(immediate_exit);
    }

    fn interrupt(&self, immediate_exit: &AtomicU8) {
        immediate_exit.store(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let thread = self.running.load(Ordering::SeqCst);
        // Real-time signals queue up, and a storm of kicks would bury the runner under them: whoever marks the
        // entry sends the one signal that it gets. If the mark fails, another kicker was first, or the runner
        // has left and finds the byte when it comes back.
        if thread > 0
            && self.running.compare_exchange(thread, -thread, Ordering::SeqCst, Ordering::SeqCst).is_ok()
        {
            thread_clock::signal_thread(thread);
        }
    }

    /// Announces that `thread` enters KVM_RUN.
    #[inline]
    pub(crate) fn enter(&self, thread: i32) {
        self.running.swap(thread, Ordering::SeqCst);
        // Elsewhere an atomic swap does not keep the kernel's look at the byte behind it.
        #[cfg(not(target_arch = "x86_64"))]
        fence(Ordering::SeqCst);
    }

    /// The thread has left KVM_RUN.
    #[inline]
    pub(crate) fn leave(&self) {
        self.running.store(0, Ordering::Release);
    }

    /// Takes the requests. Clearing the byte comes first: see the protocol.
    pub(crate) fn take(&self, immediate_exit: &AtomicU8) -> Interrupted {
        immediate_exit.store(0, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if self.requested.swap(false, Ordering::SeqCst) {
            Interrupted::Kicked
        } else if self.attention.swap(false, Ordering::SeqCst) {
            Interrupted::Attention
        } else {
            Interrupted::Nothing
        }
    }

    /// Whether a kick waits. It is left where it is.
    pub(crate) fn is_requested(&self) -> bool {
        self.requested.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests;
