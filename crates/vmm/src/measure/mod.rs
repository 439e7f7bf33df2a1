//! Native controls for the benchmarks: what the same exits cost without JavaScript.
//!
//! Everything here is plain system calls, on purpose without the rest of this crate: it is the yardstick that
//! the crate is measured against, so it must not share its code. A [`NativeLoop`] is what a minimal C program
//! does around `KVM_RUN`; [`create_and_dispose`] is what it does to make a virtual machine and to drop it.
//!
//! The unit of measurement is a block: [`EXITS_PER_BLOCK`] exits by the same guest program for every peer, timed
//! as a whole, so that reading the clock costs nothing per exit. The caller interleaves blocks of all peers.

mod affinity;
mod guests;
mod lifecycle;
mod machine;
mod native_loop;
mod state;
mod sys;

pub use affinity::{current_cpu, pin_to_cpu, unpin};
pub use guests::{ACCESS_PORT, EXITS_PER_BLOCK, ExitKind, GUEST_ADDRESS, MARKER_PORT, MMIO_ADDRESS, guest};
pub use lifecycle::{Lifetime, create_and_dispose};
pub use native_loop::NativeLoop;
pub use state::{
    LOGGED_MEMORY, MSRS, RING_ENTRIES, StateKind, StateLoop, WRITER, WRITER_ADDRESS, WRITER_MEMORY,
};
