//! The run loop: KVM_RUN until something happens that JavaScript has to see.

use super::{Local, VcpuCore};
use crate::control::{Counters, REASONS, Status, cycles, flag};
use crate::device::NativeDevice;
use crate::error::Error;
use crate::kick::{Interrupted, shutting_down};
use crate::memory::backing_lost;
use crate::posted::Drained;
use crate::thread_clock::{TICKS_PER_SLICE, ThreadClock};
use crate::{ErrorCode, raw_ioctl};
use kvm_bindings::{
    KVM_EXIT_DIRTY_RING_FULL, KVM_EXIT_HYPERCALL, KVM_EXIT_HYPERV, KVM_EXIT_IO, KVM_EXIT_MEMORY_FAULT,
    KVM_EXIT_MMIO, KVM_EXIT_X86_RDMSR, KVM_EXIT_X86_WRMSR, KVM_EXIT_XEN,
};
use std::sync::atomic::Ordering;

/// How often in a row a ring may be full with nothing in it.
const FULL_IN_VAIN: u32 = 100;

/// Who called, which decides when the loop comes back without an exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// A thread of JavaScript's: it comes back at every slice.
    Sync,
    /// A thread of its own: it comes back for exits only.
    Background,
    /// Any thread: finish the open access, do not run the guest.
    Complete,
}

/// What one pass of the loop decided.
pub(super) enum Pass {
    /// Enter the guest again.
    Again,
    /// Back to the caller.
    Return(Status),
}

impl VcpuCore {
    /// Runs until JavaScript has something to do; the status with its flags. For JavaScript's own threads.
    #[inline]
    pub fn step(&self) -> u32 {
        self.run(Lane::Sync)
    }

    /// Finishes the access that the last exit left open, without running the guest.
    pub fn complete(&self) -> u32 {
        self.run(Lane::Complete)
    }

    #[inline]
    pub(crate) fn run(&self, lane: Lane) -> u32 {
        let Some(gate) = self.enter() else {
            // Whoever closes the vCPU holds the gate for a moment as well.
            return if self.is_closed() { Status::Closed as u32 } else { Status::Busy as u32 };
        };
        let local = gate.local();
        if local.fd.is_none() {
            return Status::Closed as u32;
        }
        if local.port.id != self.isolate_id() {
            local.port = self.port();
        }
        // The background lane's isolate is free to be woken; on the others it is in the guest itself.
        if lane == Lane::Sync {
            local.port.set_in_guest(Some(self.number));
        }
        let status = ThreadClock::with(|clock| self.run_loop(local, clock, lane));
        if lane == Lane::Sync {
            local.port.set_in_guest(None);
        }
        // A close while the guest ran has let nothing go yet; say so now.
        if self.is_closed() {
            return Status::Closed as u32;
        }
        // Whoever completes an access looks at its status only; posted writes wait for the next run.
        if lane != Lane::Complete && self.vm.has_zones() {
            self.with_posted(local, status)
        } else {
            status as u32
        }
    }

    /// Delivers posted writes with a status.
    fn with_posted(&self, local: &mut Local, status: Status) -> u32 {
        self.drain_posted(local);
        let control = self.pages.control();
        let delivered = self.vm.posted.deliver(control, self.pages.posted(), self.isolate_id());
        if delivered.count == 0 {
            return status as u32;
        }
        if delivered.more && is_exit(status) {
            // The guest posted them all before this exit, so JavaScript gets them all before it.
            local.pending = Some(status);
            return Status::Attention as u32 | flag::POSTED;
        }
        status as u32 | flag::POSTED
    }

    /// Whether so many posted writes wait that JavaScript must have some of them before the guest goes on.
    fn has_urgent_writes(&self) -> bool {
        self.vm.has_zones() && self.vm.posted.is_urgent(self.isolate_id())
    }

    fn drain_posted(&self, local: &Local) -> Drained {
        let counter = &self.pages.counters().posted;
        let drain = |ring| self.vm.posted.drain(ring, &local.routes, self.isolate_id(), counter);
        self.pages.ring().map(drain).unwrap_or_default()
    }

    fn run_loop(&self, local: &mut Local, clock: &ThreadClock, lane: Lane) -> Status {
        if lane == Lane::Complete {
            // The exit that waits has an access of its own: completing that would answer it unseen.
            if local.pending.is_some() {
                return Status::Pending;
            }
        } else if let Some(status) = local.pending.take() {
            return status;
        }
        loop {
            if lane == Lane::Sync && self.slice_over(local, clock) {
                return Status::Slice;
            }
            if local.generation != self.vm.generation() {
                local.generation = self.vm.generation();
                local.routes = self.vm.routes();
            }
            if local.forward.is_some()
                && let Pass::Return(status) = self.await_forward(local, lane)
            {
                return status;
            }
            match self.enter_guest(local, clock, lane) {
                Pass::Again if lane != Lane::Complete && self.has_urgent_writes() => {
                    return Status::Attention;
                }
                Pass::Again => {}
                Pass::Return(status) if lane == Lane::Complete && is_exit(status) => {
                    local.pending = Some(status);
                    return Status::Pending;
                }
                Pass::Return(status) => return status,
            }
        }
    }

    #[inline]
    fn slice_over(&self, local: &mut Local, clock: &ThreadClock) -> bool {
        let ticks = clock.ticks.load(Ordering::Relaxed);
        if ticks.wrapping_sub(local.slice_start) < TICKS_PER_SLICE {
            return false;
        }
        local.slice_start = ticks;
        Counters::add(&self.pages.counters().slices, 1);
        true
    }

    #[inline]
    fn enter_guest(&self, local: &mut Local, clock: &ThreadClock, lane: Lane) -> Pass {
        // A guest that waits inside KVM makes no exit: collected writes need the tick on every lane.
        if (lane == Lane::Sync || self.vm.has_zones())
            && let Err(error) = clock.enter()
        {
            return Pass::Return(self.fail(error));
        }
        let immediate_exit = self.pages.immediate_exit();
        if lane == Lane::Complete {
            immediate_exit.store(1, Ordering::SeqCst);
        }
        let counters = self.pages.counters();
        self.kick.enter(clock.thread());
        let start = cycles();
        let result = raw_ioctl::run(local.raw_fd);
        Counters::add(&counters.guest_cycles, cycles().wrapping_sub(start));
        self.kick.leave();
        if self.vm.has_zones() {
            let drained = self.drain_posted(local);
            if drained.any || result.is_ok() {
                clock.stir();
            }
            // A driver that looks at a register before each byte posts them one by one, and makes no exit by them.
            if let Some(output) = drained.full.as_deref().and_then(NativeDevice::output) {
                self.await_listener(output, lane);
            }
        }
        if let Err(errno) = result {
            // KVM_RUN reports a memory fault as EFAULT with an exit reason beside it.
            if errno != libc::EFAULT || self.pages.exit_reason() != KVM_EXIT_MEMORY_FAULT {
                return self.interrupted(errno, lane, clock);
            }
        } else if lane == Lane::Complete {
            // The byte is ours unless somebody kicked as well.
            self.rearm(self.kick.take(immediate_exit));
        }
        let reason = self.pages.exit_reason();
        Counters::add(&counters.by_reason[(reason as usize).min(REASONS - 1)], 1);
        match reason {
            KVM_EXIT_IO => self.io(local, lane),
            KVM_EXIT_MMIO => self.mmio(local, lane),
            KVM_EXIT_DIRTY_RING_FULL if !self.vm.exits_when_ring_is_full() => self.empty_dirty_rings(local),
            _ => {
                let open = matches!(
                    reason,
                    KVM_EXIT_X86_RDMSR
                        | KVM_EXIT_X86_WRMSR
                        | KVM_EXIT_HYPERCALL
                        | KVM_EXIT_XEN
                        | KVM_EXIT_HYPERV
                );
                self.pages.set_open_access(open);
                Counters::add(&counters.javascript, 1);
                Pass::Return(Status::Exit)
            }
        }
    }

    /// Makes room in the dirty rings, so that the guest can go on.
    #[cold]
    fn empty_dirty_rings(&self, local: &mut Local) -> Pass {
        self.pages.set_open_access(false);
        Counters::add(&self.pages.counters().rust, 1);
        match self.vm.collect_dirty_rings() {
            // The thread of another vCPU may have made the room since the exit, but not every time.
            Ok(false) if local.full_in_vain == FULL_IN_VAIN => {
                Pass::Return(self.fail(self.vm.ring_is_stuck()))
            }
            Ok(found) => {
                local.full_in_vain = if found { 0 } else { local.full_in_vain + 1 };
                Pass::Again
            }
            Err(error) => Pass::Return(self.fail(error)),
        }
    }

    #[cold]
    fn interrupted(&self, errno: i32, lane: Lane, clock: &ThreadClock) -> Pass {
        match errno {
            // EAGAIN: the vCPU waited for its startup interrupt and was woken.
            libc::EINTR | libc::EAGAIN => {
                let found = self.kick.take(self.pages.immediate_exit());
                if shutting_down() {
                    // For good: the byte stays set, so no entry goes further than this.
                    self.kick.again(self.pages.immediate_exit());
                    return Pass::Return(Status::Kicked);
                }
                if lane == Lane::Complete {
                    self.rearm(found);
                    self.pages.set_open_access(false);
                    return Pass::Return(Status::Completed);
                }
                match found {
                    Interrupted::Kicked => Pass::Return(Status::Kicked),
                    Interrupted::Attention => Pass::Return(Status::Attention),
                    // Collected writes wait for JavaScript: the caller's flags say so.
                    Interrupted::Nothing if self.vm.has_zones() => {
                        if lane == Lane::Background {
                            clock.rest();
                        }
                        Pass::Return(Status::Attention)
                    }
                    Interrupted::Nothing => Pass::Again,
                }
            }
            libc::EFAULT if self.vm.memory.lost() => Pass::Return(self.fail(backing_lost())),
            // All that KVM says where the guest touches a page that this process has put out of its own reach.
            libc::EFAULT => {
                let error = Error::os(ErrorCode::Ioctl, "KVM_RUN", errno);
                Pass::Return(self.fail(error.context("the guest used memory that the host cannot reach")))
            }
            errno => Pass::Return(self.fail(Error::os(ErrorCode::Ioctl, "KVM_RUN", errno))),
        }
    }

    /// Puts back requests that were taken at a point where nobody could act on them.
    fn rearm(&self, found: Interrupted) {
        match found {
            Interrupted::Kicked => self.kick.again(self.pages.immediate_exit()),
            Interrupted::Attention => self.attention(),
            Interrupted::Nothing => {}
        }
    }
}

/// Whether the status tells of something that the guest did.
fn is_exit(status: Status) -> bool {
    matches!(
        status,
        Status::Exit
            | Status::IoIn
            | Status::IoOut
            | Status::MmioRead
            | Status::MmioWrite
            | Status::DeviceRead
            | Status::DeviceWrite
            | Status::DeviceStop
    )
}
