//! A periodic tick on a thread that runs vCPUs, so that a guest that never exits still comes back.
//!
//! A thread in KVM_RUN can neither be ended nor reach JavaScript's timers. So each thread that runs a vCPU
//! has a POSIX timer that signals just that thread. The tick makes KVM_RUN return `EINTR`. The timer is armed
//! by the first run and disarms itself when the thread has not run a vCPU for some ticks, which makes
//! the cost per exit one comparison.

use crate::{Error, ErrorCode};
use std::cell::{Cell, UnsafeCell};
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, compiler_fence};

/// The tick, in nanoseconds. Posted writes of a guest that waits inside KVM are collected this often.
const TICK_NS: i64 = 5_000_000;

/// The tick of a thread whose guest has been quiet for [`QUIET_TICKS`], in nanoseconds.
const QUIET_TICK_NS: i64 = 40_000_000;

/// A guest is quiet after so many ticks in which it made no exit and posted no write.
const QUIET_TICKS: u32 = 40;

/// After this many ticks a run returns to JavaScript.
pub(crate) const TICKS_PER_SLICE: u32 = 2;

/// After this many ticks without a run the timer disarms itself.
const IDLE_TICKS: u32 = 20;

/// The signal: a real-time one, because Node keeps the others for itself (SIGUSR1 is its inspector's).
pub(crate) fn signal_number() -> libc::c_int {
    libc::SIGRTMIN() + 3
}

/// The state that a tick's handler sees. It lives in thread-local memory without a destructor, so a signal
/// that arrives while the thread ends finds valid memory.
pub(crate) struct ThreadClock {
    timer: UnsafeCell<libc::timer_t>,
    has_timer: Cell<bool>,
    armed: AtomicBool,
    /// Ticks since the timer was armed.
    pub(crate) ticks: AtomicU32,
    /// Entries into KVM_RUN: how the handler sees that the thread is idle.
    entries: AtomicU32,
    seen_entries: AtomicU32,
    idle: AtomicU32,
    /// Ticks since the guest did something, up to [`QUIET_TICKS`]. Only the thread itself touches it.
    quiet: Cell<u32>,
    thread: Cell<i32>,
}

thread_local! {
    static CLOCK: ThreadClock = const {
        ThreadClock {
            timer: UnsafeCell::new(null_mut()),
            has_timer: Cell::new(false),
            armed: AtomicBool::new(false),
            ticks: AtomicU32::new(0),
            entries: AtomicU32::new(0),
            seen_entries: AtomicU32::new(0),
            idle: AtomicU32::new(0),
            quiet: Cell::new(0),
            thread: Cell::new(0),
        }
    };
    /// Deletes the timer when the thread ends.
    static CLEANUP: Cleanup = const { Cleanup };
}

struct Cleanup;

impl Drop for Cleanup {
    fn drop(&mut self) {
        CLOCK.with(|clock| {
            if clock.has_timer.replace(false) {
                // SAFETY: the timer was made by `arm` on this thread and is deleted once.
                unsafe { libc::timer_delete(*clock.timer.get()) };
            }
        });
    }
}

impl ThreadClock {
    /// This thread's clock.
    pub(crate) fn with<T>(use_clock: impl FnOnce(&ThreadClock) -> T) -> T {
        CLOCK.with(use_clock)
    }

    /// This thread's number, as the kernel gives it.
    #[inline]
    pub(crate) fn thread(&self) -> i32 {
        let thread = self.thread.get();
        if thread != 0 {
            return thread;
        }
        // SAFETY: gettid has no failure and no arguments.
        let thread = unsafe { libc::gettid() };
        self.thread.set(thread);
        thread
    }

    /// Notes one entry into KVM_RUN, and arms the timer if it is not.
    #[inline]
    pub(crate) fn enter(&self) -> Result<(), Error> {
        // Only this thread and its own signal handler touch the counter: no locked instruction is needed.
        self.entries.store(self.entries.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        // The handler must see the entry before it decides that the thread is idle, so the order stays as written.
        compiler_fence(Ordering::SeqCst);
        if self.armed.load(Ordering::Relaxed) { Ok(()) } else { self.arm() }
    }

    #[cold]
    fn arm(&self) -> Result<(), Error> {
        install_handler()?;
        if !self.has_timer.get() {
            CLEANUP.with(|_| ());
            // SAFETY: an all-zero sigevent is valid; the needed fields are set below.
            let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = signal_number();
            event.sigev_notify_thread_id = self.thread();
            // SAFETY: both pointers are valid; the timer is stored for this thread only.
            if unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, self.timer.get()) } < 0 {
                return Err(Error::last_os(ErrorCode::Ioctl, "timer_create"));
            }
            self.has_timer.set(true);
        }
        self.idle.store(0, Ordering::Relaxed);
        self.armed.store(true, Ordering::Relaxed);
        self.set_period(TICK_NS);
        Ok(())
    }

    /// Notes a tick that found a guest which did nothing since the one before. A guest that waits for hours is not worth
    /// two hundred wake-ups a second.
    pub(crate) fn rest(&self) {
        let quiet = self.quiet.get() + 1;
        if quiet < QUIET_TICKS {
            self.quiet.set(quiet);
        } else if quiet == QUIET_TICKS {
            self.quiet.set(quiet);
            self.set_period(QUIET_TICK_NS);
        }
    }

    /// Notes that the guest did something.
    #[inline]
    pub(crate) fn stir(&self) {
        if self.quiet.get() != 0 {
            self.end_rest();
        }
    }

    #[cold]
    fn end_rest(&self) {
        if self.quiet.replace(0) >= QUIET_TICKS {
            self.set_period(TICK_NS);
        }
    }

    /// timer_settime is one of the calls that a signal handler may make.
    fn set_period(&self, nanoseconds: i64) {
        let time = libc::timespec { tv_sec: 0, tv_nsec: nanoseconds };
        let spec = libc::itimerspec { it_interval: time, it_value: time };
        // SAFETY: the timer exists (callers checked) and the specification is a valid local.
        unsafe { libc::timer_settime(*self.timer.get(), 0, &spec, null_mut()) };
    }

    fn on_tick(&self) {
        self.ticks.fetch_add(1, Ordering::Relaxed);
        let entries = self.entries.load(Ordering::Relaxed);
        if self.seen_entries.swap(entries, Ordering::Relaxed) != entries {
            self.idle.store(0, Ordering::Relaxed);
        } else if self.idle.fetch_add(1, Ordering::Relaxed) >= IDLE_TICKS && self.has_timer.get() {
            self.armed.store(false, Ordering::Relaxed);
            self.set_period(0);
        }
    }
}

extern "C" fn on_signal(_signal: libc::c_int, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // A kick has nothing to do here: that the signal arrived is its work. A tick counts.
    // SAFETY: the kernel gives a valid siginfo to a SA_SIGINFO handler.
    if unsafe { (*info).si_code } == libc::SI_TIMER {
        CLOCK.with(ThreadClock::on_tick);
    }
}

/// Installs the handler of the kick and the tick, once a process.
pub(crate) fn install_handler() -> Result<(), Error> {
    static INSTALLED: OnceLock<i32> = OnceLock::new();
    let errno = *INSTALLED.get_or_init(|| {
        // SAFETY: an all-zero sigaction is a valid value to be filled in.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_signal;
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
        // SAFETY: valid pointers; the handler only counts and re-arms a timer.
        if unsafe { libc::sigaction(signal_number(), &action, null_mut()) } < 0 {
            crate::error::errno()
        } else {
            0
        }
    });
    if errno == 0 { Ok(()) } else { Err(Error::os(ErrorCode::Ioctl, "sigaction", errno)) }
}

/// Sends the kick's signal to a thread of this process. A thread that is gone is no error.
pub(crate) fn signal_thread(thread: i32) {
    // SAFETY: a bare system call; the handler was installed before the thread entered KVM_RUN.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, signal_number()) };
}

/// Blocks every signal but the kick's on the calling thread: a vCPU thread of ours handles no others.
pub(crate) fn block_other_signals() {
    // SAFETY: the set is a local that sigfillset initialises; pthread_sigmask only reads it.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut set);
        libc::sigdelset(&mut set, signal_number());
        // Faults must reach their handlers: blocking them would kill the process.
        for fault in [libc::SIGBUS, libc::SIGSEGV, libc::SIGILL, libc::SIGFPE] {
            libc::sigdelset(&mut set, fault);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &set, null_mut());
    }
}
