//! The vCPU's file descriptor, its shared pages, and who may touch them when.
//!
//! # Who may use a vCPU
//!
//! One thread at a time: whoever runs it or calls one of its ioctls holds the *gate*, a flag that is taken
//! without waiting. A second user gets [`ErrorCode::Busy`](crate::ErrorCode::Busy) at once, because an ioctl on
//! a running vCPU would wait in the kernel for the whole of KVM_RUN. The kick is outside of the gate.

mod access;
mod dirty_ring;
mod exchange;
mod pages;
mod pre_fault;
mod run_loop;
mod state;
#[cfg(target_arch = "x86_64")]
mod tsc;

pub(crate) use dirty_ring::ENTRY_SIZE as RING_ENTRY_SIZE;
pub use exchange::Exchange;
pub use pages::{Exposure, RunPages};
pub(crate) use run_loop::Lane;
pub use state::VcpuState;

use crate::control::Status;
use crate::isolate::Reply;
use crate::kick::{Interrupted, Kick, shutting_down};
use crate::registry::Registry;
use crate::routes::Routes;
use crate::stats::Stats;
use crate::thread_clock::install_handler;
use crate::{Error, IsolatePort, VmCore};
use kvm_ioctls::VcpuFd;
use std::cell::UnsafeCell;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// An access to a device of another isolate that this vCPU waits for.
pub(crate) struct Forward {
    reply: Arc<Reply>,
    /// Which element of a string access.
    element: usize,
    /// For 8-byte accesses and strings the rest is done one by one.
    address: u64,
    write: bool,
    size: usize,
    count: usize,
    data_offset: usize,
    route: u32,
    port: Arc<IsolatePort>,
}

/// What only the holder of the gate touches.
struct Local {
    fd: Option<VcpuFd>,
    raw_fd: i32,
    routes: Arc<Routes>,
    generation: u64,
    /// The isolate that the vCPU runs for; looked up again when it was given to another.
    port: Arc<IsolatePort>,
    /// An exit that came while completing another.
    pending: Option<Status>,
    forward: Option<Forward>,
    /// The thread clock's tick at which the slice began.
    slice_start: u32,
    /// How often in a row the dirty ring was full with nothing in it.
    full_in_vain: u32,
}

/// One vCPU.
pub struct VcpuCore {
    local: UnsafeCell<Local>,
    gate: AtomicBool,
    closed: AtomicBool,
    kick: Kick,
    /// The pages shared with JavaScript.
    pub pages: Arc<RunPages>,
    /// The ring of the pages that it wrote, if its machine has rings.
    dirty_ring: Mutex<Option<dirty_ring::DirtyRing>>,
    /// Its open statistics: a descriptor that would keep the machine.
    stats: Mutex<Option<Arc<Stats>>>,
    /// The vCPU's id in its machine.
    pub id: u32,
    /// Its number in the registry, and which use of that number it is.
    pub number: u32,
    /// See `number`.
    pub generation: u32,
    isolate: AtomicU32,
    port: Mutex<Arc<IsolatePort>>,
    in_background: AtomicBool,
    /// Given away and not taken yet: the number of the offer, or zero.
    offered: AtomicU32,
    failure: Mutex<Option<Error>>,
    /// The machine; last, so that the descriptor goes before the memory.
    pub vm: Arc<VmCore>,
}

// SAFETY: `local` is touched only by the holder of `gate`; everything else is atomic, locked or immutable.
unsafe impl Sync for VcpuCore {}
// SAFETY: as above; KVM allows a vCPU to move between threads.
unsafe impl Send for VcpuCore {}

/// How often closing looks for the gate of a runner that is just leaving it.
const RELEASE_PATIENCE: u32 = 200;

/// The right to use the vCPU, until it is dropped.
pub(crate) struct Gate<'a>(&'a VcpuCore);

impl Gate<'_> {
    #[expect(clippy::mut_from_ref, reason = "the gate is exclusive: there is one of it at a time")]
    fn local(&self) -> &mut Local {
        // SAFETY: the gate is held by exactly one owner, and this reference does not outlive the use that
        // the owner makes of it: no method that takes the gate is called while it is held.
        unsafe { &mut *self.0.local.get() }
    }
}

impl Drop for Gate<'_> {
    fn drop(&mut self) {
        let vcpu = self.0;
        if vcpu.closed.load(Ordering::SeqCst) {
            vcpu.let_go(self.local());
            vcpu.gate.store(false, Ordering::SeqCst);
            return;
        }
        // No locked instruction here, once an exit: `close` looks more than once instead.
        vcpu.gate.store(false, Ordering::Release);
        // Closed between the look and the release: whoever takes the gate now cleans up.
        if vcpu.closed.load(Ordering::SeqCst) {
            drop(vcpu.enter());
        }
    }
}

impl VcpuCore {
    pub(crate) fn new(
        vm: Arc<VmCore>,
        fd: VcpuFd,
        id: u32,
        run_size: usize,
        port: Arc<IsolatePort>,
    ) -> Result<Arc<Self>, Error> {
        // Before anything can announce a thread to kickers: without a handler the signal ends the process.
        install_handler()?;
        let raw_fd = fd.as_raw_fd();
        let pages = Arc::new(RunPages::map(raw_fd, run_size)?);
        let dirty_ring = match vm.dirty_ring_size() {
            0 => None,
            size => Some(dirty_ring::DirtyRing::map(raw_fd, size)?),
        };
        let (number, generation) = Registry::global().reserve();
        let vcpu = Arc::new(Self {
            local: UnsafeCell::new(Local {
                fd: Some(fd),
                raw_fd,
                routes: vm.routes(),
                generation: vm.generation(),
                port: Arc::clone(&port),
                pending: None,
                forward: None,
                slice_start: 0,
                full_in_vain: 0,
            }),
            gate: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            kick: Kick::default(),
            pages,
            dirty_ring: Mutex::new(dirty_ring),
            stats: Mutex::default(),
            id,
            number,
            generation,
            isolate: AtomicU32::new(port.id),
            port: Mutex::new(port),
            in_background: AtomicBool::new(false),
            offered: AtomicU32::new(0),
            failure: Mutex::new(None),
            vm,
        });
        Registry::global().fill(number, &vcpu);
        if shutting_down() {
            // Made too late to be kicked with the others.
            vcpu.kick();
        }
        Ok(vcpu)
    }

    /// Takes the gate, or says that somebody has it.
    fn enter(&self) -> Option<Gate<'_>> {
        let free = self.gate.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok();
        free.then(|| Gate(self))
    }

    /// Takes the gate of a vCPU that is open.
    fn use_now(&self) -> Result<Gate<'_>, Error> {
        if self.is_closed() {
            return Err(Error::closed("Vcpu"));
        }
        // Whoever closes the vCPU holds the gate for a moment as well.
        let refused = || if self.is_closed() { Error::closed("Vcpu") } else { Error::busy() };
        let gate = self.enter().ok_or_else(refused)?;
        if gate.local().fd.is_none() { Err(Error::closed("Vcpu")) } else { Ok(gate) }
    }

    fn let_go(&self, local: &mut Local) {
        local.raw_fd = -1;
        local.forward = None;
        // The claims hold devices, and those hold descriptors.
        local.routes = Arc::default();
        if local.fd.take().is_some() {
            self.drop_dirty_ring();
            if let Some(stats) = self.open_stats().take() {
                stats.close();
            }
            self.pages.retire();
        }
    }

    pub(crate) fn open_stats(&self) -> MutexGuard<'_, Option<Arc<Stats>>> {
        self.stats.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Whether the vCPU is closed.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Ends its run and closes the descriptor, here or where it runs. Does not wait. Twice is quiet.
    pub fn close(&self) {
        if self.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        self.announce_close();
        self.kick();
        // Leaving the gate of a closed vCPU lets go of the descriptor. A runner that is just leaving may have
        // looked before we closed, and its release may reach us some cycles late: give it those. One that is
        // inside the guest looks when it comes back.
        for _ in 0..RELEASE_PATIENCE {
            if let Some(gate) = self.enter() {
                drop(gate);
                return;
            }
            std::hint::spin_loop();
        }
    }

    /// Whether a closed vCPU has let go of its descriptor: a run elsewhere does so when it comes back.
    pub(crate) fn has_let_go(&self) -> bool {
        self.enter().is_some_and(|gate| gate.local().fd.is_none())
    }

    /// Ends the run in progress, or the next one. From any thread, without waiting.
    pub fn kick(&self) {
        self.pages.pinned(|immediate_exit| self.kick.kick(immediate_exit));
    }

    /// Takes a kick back that no run has seen, because the run that it was meant for has ended otherwise.
    /// For the owner of the vCPU, while nobody runs it.
    pub fn unkick(&self) {
        self.pages.pinned(|immediate_exit| {
            if self.kick.take(immediate_exit) == Interrupted::Attention {
                self.kick.attention(immediate_exit);
            }
        });
    }

    /// How often the vCPU was kicked.
    pub fn kicks(&self) -> u64 {
        self.kick.count.load(Ordering::Relaxed)
    }

    /// Brings the run back to its isolate, which then goes on.
    pub(crate) fn attention(&self) {
        self.pages.pinned(|immediate_exit| self.kick.attention(immediate_exit));
    }

    /// The isolate whose handlers serve this vCPU.
    pub(crate) fn isolate_id(&self) -> u32 {
        self.isolate.load(Ordering::Relaxed)
    }

    /// Gives the vCPU to another isolate.
    pub fn set_isolate(&self, port: Arc<IsolatePort>) {
        self.isolate.store(port.id, Ordering::SeqCst);
        *self.port.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = port;
    }

    /// Offers the vCPU to whoever knows the number that this returns, which no other offer has. The open access is
    /// completed first: the new owner cannot answer it.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Busy`](crate::ErrorCode::Busy), [`ErrorCode::Closed`](crate::ErrorCode::Closed).
    pub fn offer(&self) -> Result<u32, Error> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        drop(self.use_now()?);
        if self.in_background.load(Ordering::SeqCst) {
            return Err(Error::busy());
        }
        self.complete();
        let offer = NEXT.fetch_add(1, Ordering::Relaxed).max(1);
        self.offered.store(offer, Ordering::SeqCst);
        Ok(offer)
    }

    /// Takes an offered vCPU; `false` if that offer was taken already, or the vCPU is closed.
    pub fn adopt(&self, port: Arc<IsolatePort>, offer: u32) -> bool {
        let offered = self.offered.compare_exchange(offer, 0, Ordering::SeqCst, Ordering::SeqCst);
        let taken = offer != 0 && offered.is_ok() && !self.is_closed();
        if taken {
            self.set_isolate(port);
        }
        taken
    }

    pub(crate) fn port(&self) -> Arc<IsolatePort> {
        Arc::clone(&self.port.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// Marks the vCPU as run by a thread of its own; `false` if it is already.
    pub(crate) fn begin_background(&self) -> bool {
        !self.in_background.swap(true, Ordering::SeqCst)
    }

    pub(crate) fn end_background(&self) {
        self.in_background.store(false, Ordering::SeqCst);
    }

    fn fail(&self, error: Error) -> Status {
        *self.failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(error);
        Status::Failed
    }

    /// The error behind [`Status::Failed`].
    pub fn take_failure(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take()
    }
}

impl Drop for VcpuCore {
    fn drop(&mut self) {
        self.harvest_dirty_ring();
        self.pages.retire();
        Registry::global().release(self.number);
    }
}
