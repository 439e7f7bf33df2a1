//! The background lane: a thread of our own runs the vCPU. Rust devices are served there; what belongs to
//! JavaScript is handed to the isolate, which answers through [`BackgroundRun::resume`].

use crate::control::Status;
use crate::thread_clock::block_other_signals;
use crate::vcpu::Lane;
use crate::{Error, ErrorCode, IsolatePort, VcpuCore};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// How long a vCPU looks for its answer before it sleeps: about one turn of an event loop that is awake.
const SPIN: Duration = Duration::from_micros(50);

/// How often a sleeping vCPU looks whether its isolate still exists.
const ASLEEP: Duration = Duration::from_millis(20);

/// What JavaScript tells a vCPU that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Resume {
    /// Nothing yet.
    Wait = 0,
    /// Run on.
    Run = 1,
    /// Finish the open access and come back.
    Complete = 2,
    /// End the thread.
    Stop = 3,
}

/// A vCPU on a thread of its own.
pub struct BackgroundRun {
    vcpu: Arc<VcpuCore>,
    status: AtomicU32,
    resume: AtomicU32,
    thread: OnceLock<Thread>,
}

impl BackgroundRun {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Busy`] if the vCPU has one, [`ErrorCode::Ioctl`] if the host gives none.
    pub fn start(vcpu: Arc<VcpuCore>) -> Result<Arc<Self>, Error> {
        crate::thread_clock::install_handler()?;
        if vcpu.is_closed() {
            return Err(Error::closed("Vcpu"));
        }
        if !vcpu.begin_background() {
            return Err(Error::busy());
        }
        let run = Arc::new(Self {
            vcpu,
            status: AtomicU32::new(0),
            resume: AtomicU32::new(Resume::Wait as u32),
            thread: OnceLock::new(),
        });
        let of_thread = Arc::clone(&run);
        let name = format!("vmhatch-vcpu{}", run.vcpu.id);
        let spawned = std::thread::Builder::new().name(name).stack_size(256 * 1024).spawn(move || {
            block_other_signals();
            of_thread.main();
        });
        match spawned {
            Ok(handle) => {
                let _ = run.thread.set(handle.thread().clone());
                Ok(run)
            }
            Err(error) => {
                run.vcpu.end_background();
                Err(Error::os(ErrorCode::Ioctl, "clone", error.raw_os_error().unwrap_or(0)))
            }
        }
    }

    /// The status that the vCPU waits with.
    pub fn status(&self) -> u32 {
        self.status.load(Ordering::Acquire)
    }

    /// Answers the vCPU that waits.
    #[inline]
    pub fn resume(&self, how: Resume) {
        self.resume.store(how as u32, Ordering::Release);
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Ends the thread. It waits for an answer, so it is not in the guest: the vCPU is free at once.
    pub fn stop(&self) {
        self.vcpu.end_background();
        self.resume(Resume::Stop);
    }

    fn main(&self) {
        let port = self.vcpu.port();
        let mut lane = Lane::Background;
        loop {
            // A panic must not end the thread unseen: somebody waits for this run.
            let run = AssertUnwindSafe(|| self.vcpu.run(lane));
            let status = catch_unwind(run).unwrap_or(Status::Failed as u32);
            if status == Status::Attention as u32 && lane == Lane::Background {
                // The isolate is awake already; it does not need this vCPU.
                continue;
            }
            if status == Status::Pending as u32 && lane == Lane::Complete {
                // The access has another part: its exit comes first.
                lane = Lane::Background;
                continue;
            }
            match self.hand_over(&port, status) {
                Resume::Run => lane = Lane::Background,
                Resume::Complete => lane = Lane::Complete,
                Resume::Stop => return,
                // Nobody is there to answer.
                Resume::Wait => break,
            }
        }
        self.vcpu.end_background();
    }

    /// Gives the exit to the isolate and waits for its answer; [`Resume::Wait`] when nobody will
    /// give one: the isolate has ended, or the vCPU is closed.
    fn hand_over(&self, port: &IsolatePort, status: u32) -> Resume {
        self.status.store(status, Ordering::Release);
        port.push_ready(self.vcpu.number);
        let began = Instant::now();
        loop {
            for _ in 0..64 {
                match self.take_answer() {
                    Resume::Wait => std::hint::spin_loop(),
                    answer => return answer,
                }
            }
            if began.elapsed() > SPIN {
                break;
            }
            // The isolate may need this very CPU to answer.
            std::thread::yield_now();
        }
        loop {
            match self.take_answer() {
                // A stop that came before the isolate's end has freed the vCPU already: look once more.
                Resume::Wait if port.ended() || self.vcpu.is_closed() => return self.take_answer(),
                Resume::Wait => std::thread::park_timeout(ASLEEP),
                answer => return answer,
            }
        }
    }

    fn take_answer(&self) -> Resume {
        if self.resume.load(Ordering::Acquire) == Resume::Wait as u32 {
            return Resume::Wait;
        }
        match self.resume.swap(Resume::Wait as u32, Ordering::AcqRel) {
            1 => Resume::Run,
            2 => Resume::Complete,
            3 => Resume::Stop,
            _ => Resume::Wait,
        }
    }
}
