//! The page that a vCPU's run loop shares with JavaScript, beside KVM's own.
//!
//! Rust writes it, JavaScript reads it. Nothing that Rust needs for its own safety is ever read back from
//! here: JavaScript can write to the page at any time.

use std::mem::offset_of;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a run came back. Hot, so a number; the generated TypeScript has the same names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    /// An exit of any kind that has no lane of its own: decode `kvm_run.exit_reason`.
    Exit = 0,
    /// A port read that nothing claims.
    IoIn = 1,
    /// A port write that nothing claims.
    IoOut = 2,
    /// A memory read that nothing claims.
    MmioRead = 3,
    /// A memory write that nothing claims.
    MmioWrite = 4,
    /// A read of a JavaScript device of this isolate: `route`, `offset`, `size`, `count`.
    DeviceRead = 5,
    /// A write to a JavaScript device of this isolate.
    DeviceWrite = 6,
    /// A slice of time is over; nothing happened.
    Slice = 7,
    /// Kicked.
    Kicked = 8,
    /// Something of the isolate's wants to be looked at; nothing happened to the vCPU.
    Attention = 9,
    /// A device ended the run: `stop_device`, `stop_code`.
    DeviceStop = 10,
    /// The open access is complete (answer to `complete`).
    Completed = 11,
    /// The host failed; the error waits to be taken.
    Failed = 12,
    /// The vCPU is closed.
    Closed = 13,
    /// The vCPU runs elsewhere.
    Busy = 14,
    /// A new exit came while completing; the next step gives it.
    Pending = 15,
}

/// Bits that a status can carry.
pub mod flag {
    /// `posted_count` posted writes wait in the posted page.
    pub const POSTED: u32 = 0x100;
    /// Something waits for the isolate. Only the call that steps one vCPU says so.
    pub const LOOK: u32 = 0x200;
}

/// The bytes of a cache line on the processors that KVM runs on.
const CACHE_LINE: usize = 64;

/// The number of exit reasons counted one by one; higher ones share the last counter.
pub const REASONS: usize = 64;

/// The always-on counters of one vCPU. Written by the thread that runs it, read by anyone.
///
/// The first three change at every exit and share their cache line with the head of [`Control`]: the kernel's
/// part of an exit leaves the caches cold, so every line that the loop touches is paid for.
#[repr(C)]
pub struct Counters {
    /// Exits given to JavaScript.
    pub javascript: AtomicU64,
    /// Exits served by Rust devices.
    pub rust: AtomicU64,
    /// Time in KVM_RUN, in cycles of the time stamp counter.
    pub guest_cycles: AtomicU64,
    /// Writes that came posted (coalesced), without an exit of their own.
    pub posted: AtomicU64,
    /// Slices that ended.
    pub slices: AtomicU64,
    /// Up to the next line.
    reserved: [u64; 6],
    /// Exits by `kvm_run.exit_reason`.
    pub by_reason: [AtomicU64; REASONS],
}

impl Counters {
    /// Adds without a locked instruction: there is one writer.
    #[inline]
    pub(crate) fn add(counter: &AtomicU64, amount: u64) {
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }
}

/// The control page. The layout is generated for TypeScript from this very type.
#[repr(C)]
pub struct Control {
    /// The attachment that an access of a JavaScript device belongs to.
    pub route: u32,
    /// The access's element size in bytes.
    pub size: u32,
    /// How many elements (string I/O), one otherwise.
    pub count: u32,
    /// Where in the run pages the data is.
    pub data_offset: u32,
    /// The offset in the device's range; a double, so that JavaScript reads one number.
    pub offset: f64,
    /// How many entries of the posted page are valid.
    pub posted_count: u32,
    /// Whether the exit leaves an access open that must be completed before registers are written.
    pub open_access: u32,
    /// The exit code that a device gave.
    pub stop_code: u32,
    /// Which device: 0 isa-debug-exit, 1 i8042.
    pub stop_device: u32,
    /// The counters.
    pub counters: Counters,
}

const _: () = {
    assert!(offset_of!(Control, counters) + offset_of!(Counters, guest_cycles) + 8 == CACHE_LINE);
    assert!((offset_of!(Control, counters) + offset_of!(Counters, by_reason)) % CACHE_LINE == 0);
};

/// Where in the control page structures change hands, behind the counters.
pub const EXCHANGE_OFFSET: usize = 1024;
/// The largest of them, in bytes.
pub const EXCHANGE_SIZE: usize = 512;

/// Where in the control page a word is that is not zero once the vCPU is closed.
pub const CLOSED_OFFSET: usize = EXCHANGE_OFFSET + EXCHANGE_SIZE;

/// One posted write, as JavaScript reads it.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct PostedWrite {
    /// The offset in the device's range.
    pub offset: f64,
    /// The value, little-endian.
    pub data: [u8; 8],
    /// The attachment.
    pub route: u32,
    /// The size in bytes.
    pub size: u32,
}

/// How many posted writes fit the page (KVM's own ring holds 169).
pub const POSTED_ENTRIES: usize = 4096 / size_of::<PostedWrite>();

/// Reads the time stamp counter.
#[inline]
pub(crate) fn cycles() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86_64 has the instruction and user space may use it on Linux.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(target_arch = "aarch64")]
    {
        let count: u64;
        // SAFETY: Linux lets user space read the virtual counter.
        unsafe { core::arch::asm!("mrs {}, cntvct_el0", out(reg) count, options(nomem, nostack)) };
        count
    }
}

/// Nanoseconds per cycle of the time stamp counter, measured once against the monotonic clock.
pub fn nanoseconds_per_cycle() -> f64 {
    static RATE: std::sync::OnceLock<f64> = std::sync::OnceLock::new();
    *RATE.get_or_init(|| {
        let (start, from) = (std::time::Instant::now(), cycles());
        std::thread::sleep(std::time::Duration::from_millis(5));
        let elapsed = start.elapsed().as_nanos() as f64;
        elapsed / cycles().wrapping_sub(from).max(1) as f64
    })
}
