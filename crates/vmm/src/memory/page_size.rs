//! The size of a page of the host: what slots, logs and mappings are made of.

/// The size of a page of the host, in bytes: 4096 on x86_64; on aarch64 4, 16 or 64 KiB, as its kernel was built.
#[cfg(target_arch = "x86_64")]
pub const fn page_size() -> usize {
    4096
}

/// The size of a page of the host, in bytes: 4096 on x86_64; on aarch64 4, 16 or 64 KiB, as its kernel was built. A signal
/// handler may ask, too.
#[cfg(not(target_arch = "x86_64"))]
pub fn page_size() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static SIZE: AtomicUsize = AtomicUsize::new(0);
    match SIZE.load(Ordering::Relaxed) {
        0 => {
            // SAFETY: a plain question, which POSIX lets signal handlers ask.
            let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
            SIZE.store(size, Ordering::Relaxed);
            size
        }
        size => size,
    }
}
