//! A mapped file that another process truncates makes the next access to the lost pages a SIGBUS, which
//! would kill the whole process. Ranges that can do so are entered in a table; the handler maps a page of
//! zeros over the fault, notes the loss, and execution goes on. Other faults go to the handler that was
//! there before.

use super::page_size;
use crate::{Error, ErrorCode};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

/// How many file-backed regions one process can have. The table is fixed because a signal handler may
/// not take a lock or allocate.
const RANGES: usize = 1024;

struct Range {
    start: AtomicUsize,
    /// Zero while the entry is free or being written.
    length: AtomicUsize,
    lost: AtomicBool,
}

static TABLE: [Range; RANGES] = [const {
    Range { start: AtomicUsize::new(0), length: AtomicUsize::new(0), lost: AtomicBool::new(false) }
}; RANGES];

/// Entries in use; taken only to enter or leave, never by the handler.
static USED: Mutex<[bool; RANGES]> = Mutex::new([false; RANGES]);

static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();

/// An entry of the table; leaving scope frees it.
#[derive(Debug)]
pub struct Watch(usize);

impl Watch {
    /// Whether a page of the range was lost.
    pub fn lost(&self) -> bool {
        TABLE[self.0].lost.load(Ordering::Acquire)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        TABLE[self.0].length.store(0, Ordering::Release);
        USED.lock().unwrap_or_else(|poisoned| poisoned.into_inner())[self.0] = false;
    }
}

/// Enters a range; faults in it are repaired from now on.
pub fn watch(start: usize, length: usize) -> Result<Watch, Error> {
    install()?;
    let mut used = USED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let Some(index) = used.iter().position(|taken| !taken) else {
        return Err(Error::new(
            ErrorCode::Memory,
            format!("one process can have at most {RANGES} file-backed regions"),
        ));
    };
    used[index] = true;
    let range = &TABLE[index];
    range.lost.store(false, Ordering::Relaxed);
    range.start.store(start, Ordering::Release);
    range.length.store(length, Ordering::Release);
    Ok(Watch(index))
}

fn install() -> Result<(), Error> {
    static INSTALL: Mutex<()> = Mutex::new(());
    let _one = INSTALL.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if PREVIOUS.get().is_some() {
        return Ok(());
    }
    // SAFETY: an all-zero sigaction is a valid value to be filled in.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_fault;
    action.sa_sigaction = handler as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
    // SAFETY: as above.
    let mut previous: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call, and the handler only does what a handler may do.
    if unsafe { libc::sigaction(libc::SIGBUS, &action, &mut previous) } < 0 {
        return Err(Error::last_os(ErrorCode::Memory, "sigaction(SIGBUS)"));
    }
    let _ = PREVIOUS.set(previous);
    Ok(())
}

extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel gives a valid siginfo to a SA_SIGINFO handler.
    let address = unsafe { (*info).si_addr() } as usize;
    // Only a page that the file no longer has is ours: not a signal that somebody sent, nor broken memory.
    // SAFETY: as above.
    let truncated = unsafe { (*info).si_code } == libc::BUS_ADRERR;
    for range in TABLE.iter().filter(|_| truncated) {
        let length = range.length.load(Ordering::Acquire);
        let start = range.start.load(Ordering::Acquire);
        if length == 0 || address < start || address - start >= length {
            continue;
        }
        // An entry that changed hands between the two reads says nothing.
        if range.length.load(Ordering::Acquire) != length {
            continue;
        }
        let size = page_size();
        let page = address & !(size - 1);
        // SAFETY: the page lies in a range that a live `Mapping` owns, and mmap is a bare system call
        // that a signal handler may make.
        let mapped = unsafe {
            libc::mmap(
                page as *mut libc::c_void,
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
                -1,
                0,
            )
        };
        if mapped != libc::MAP_FAILED {
            range.lost.store(true, Ordering::Release);
            return;
        }
    }
    // Not ours: as if we were not here.
    if let Some(previous) = PREVIOUS.get() {
        if previous.sa_flags & libc::SA_SIGINFO != 0 && previous.sa_sigaction > libc::SIG_IGN {
            // SAFETY: the address is that of the three-argument handler that was installed before ours.
            let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                unsafe { std::mem::transmute(previous.sa_sigaction) };
            handler(signal, info, context);
        } else if previous.sa_sigaction > libc::SIG_IGN {
            // SAFETY: likewise for the one-argument handler.
            let handler: extern "C" fn(libc::c_int) = unsafe { std::mem::transmute(previous.sa_sigaction) };
            handler(signal);
        } else {
            // The default action: restore it and let the instruction fault again. Behind a signal that somebody
            // sent there is no such instruction: it is sent once more.
            // SAFETY: `previous` is what the kernel gave us; a null pointer asks for no old value; `info` is valid.
            unsafe {
                libc::sigaction(signal, previous, null_mut());
                if (*info).si_code <= 0 {
                    libc::raise(signal);
                }
            }
        }
    }
}
