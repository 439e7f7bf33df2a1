//! What a JavaScript isolate (the main thread or a Worker) is to the virtual machines: an owner of devices,
//! someone to wake, and a queue of accesses that other threads wait for.

use crate::Registry;
use crate::thread_clock::ThreadClock;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// How many accesses may wait for one isolate. Every waiting vCPU has one, posted writes the rest.
const QUEUE_LIMIT: usize = 4096;

/// An access to a JavaScript device from a thread that is not its isolate's.
pub struct Access {
    /// The attachment.
    pub route: u32,
    /// Whether the guest writes.
    pub write: bool,
    /// The offset in the device's range.
    pub offset: u64,
    /// The size in bytes, 1 to 8.
    pub size: u32,
    /// What is written, little-endian; for a read the default answer (all ones).
    pub value: u64,
    /// Who waits; posted writes have nobody.
    reply: Option<Arc<Reply>>,
}

impl Access {
    /// An access to attachment `route`; nobody waits for it yet.
    pub(crate) fn new(route: u32, write: bool, offset: u64, size: u32, value: u64) -> Self {
        Self { route, write, offset, size, value, reply: None }
    }

    /// Gives the answer and lets the vCPU go on.
    pub fn answer(&self, value: u64) {
        if let Some(reply) = &self.reply {
            reply.set(value);
        }
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        // An access that is dropped unanswered (its isolate ended) reads as if nothing were there.
        if let Some(reply) = &self.reply {
            reply.set_default(self.value);
        }
    }
}

/// Where a vCPU waits for the answer of another isolate.
#[derive(Default)]
pub(crate) struct Reply {
    value: Mutex<Option<u64>>,
    arrived: Condvar,
}

impl Reply {
    fn lock(&self) -> MutexGuard<'_, Option<u64>> {
        self.value.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn set(&self, value: u64) {
        *self.lock() = Some(value);
        self.arrived.notify_all();
    }

    fn set_default(&self, value: u64) {
        self.lock().get_or_insert(value);
        self.arrived.notify_all();
    }

    /// The answer, if it arrives within `patience`.
    pub(crate) fn wait(&self, patience: Duration) -> Option<u64> {
        let guard = self.lock();
        if guard.is_some() {
            return *guard;
        }
        match self.arrived.wait_timeout(guard, patience) {
            Ok((guard, _)) => *guard,
            Err(poisoned) => *poisoned.into_inner().0,
        }
    }
}

type Waker = Box<dyn Fn() + Send + Sync>;

/// One isolate, as the threads of its virtual machines see it.
pub struct IsolatePort {
    /// A number that is never used twice in a process.
    pub id: u32,
    thread: i32,
    waker: Mutex<Option<Waker>>,
    /// Whether a wake-up is under way.
    woken: AtomicBool,
    /// Whether anything waits: what a run that comes back asks, before it looks.
    pending: AtomicBool,
    accesses: Mutex<VecDeque<Access>>,
    /// Numbers of JavaScript devices that nobody uses any more.
    released: Mutex<Vec<u32>>,
    /// vCPUs in the background lane that wait for this isolate, by registry number.
    ready: Mutex<VecDeque<u32>>,
    ready_count: AtomicU32,
    /// The vCPU that the isolate's own thread is running: its registry number plus one, or zero.
    in_guest: AtomicU32,
    ended: AtomicBool,
}

impl IsolatePort {
    /// The port of the calling thread's isolate; `waker` makes that thread look at it soon.
    pub fn new(waker: Waker) -> Arc<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            thread: ThreadClock::with(|clock| clock.thread()),
            waker: Mutex::new(Some(waker)),
            woken: AtomicBool::new(false),
            pending: AtomicBool::new(false),
            accesses: Mutex::default(),
            released: Mutex::default(),
            ready: Mutex::default(),
            ready_count: AtomicU32::new(0),
            in_guest: AtomicU32::new(0),
            ended: AtomicBool::new(false),
        })
    }

    /// Notes that something waits. The isolate's own thread looks for itself when its run comes back;
    /// others wake it, once until it has looked.
    pub(crate) fn notify(&self) {
        self.pending.store(true, Ordering::SeqCst);
        if ThreadClock::with(|clock| clock.thread()) != self.thread {
            self.wake();
        }
    }

    /// Wakes the isolate's event loop, once until it has looked.
    pub(crate) fn wake(&self) {
        self.pending.store(true, Ordering::SeqCst);
        if self.woken.swap(true, Ordering::SeqCst) {
            return;
        }
        let waker = self.waker.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(waker) = waker.as_ref() {
            waker();
        }
    }

    /// Whether anything waits for the isolate.
    #[inline]
    pub fn is_pending(&self) -> bool {
        self.pending.load(Ordering::SeqCst)
    }

    /// Called by the isolate before it looks: what comes from now on wakes it again. Gives the numbers of JavaScript
    /// devices that nobody uses any more.
    pub fn begin_look(&self) -> Vec<u32> {
        self.woken.store(false, Ordering::SeqCst);
        self.pending.store(false, Ordering::SeqCst);
        std::mem::take(&mut *self.released.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// Gives the number of a JavaScript device back to the isolate.
    pub(crate) fn release_route(&self, route: u32) {
        if !self.ended() {
            self.released.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(route);
            self.wake();
        }
    }

    /// The next access that waits for this isolate.
    pub fn next_access(&self) -> Option<Access> {
        self.accesses.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop_front()
    }

    /// Queues an access that somebody waits for.
    pub(crate) fn forward(&self, mut access: Access) -> Arc<Reply> {
        let reply = Arc::new(Reply::default());
        access.reply = Some(Arc::clone(&reply));
        self.enqueue(access);
        reply
    }

    /// Queues a posted write; `false` when the queue is full and the caller must wait.
    pub(crate) fn post(&self, access: Access) -> bool {
        let full = self.accesses.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).len() >= QUEUE_LIMIT;
        if full {
            return false;
        }
        self.enqueue(access);
        true
    }

    fn enqueue(&self, access: Access) {
        {
            // Looked at under the lock: `end` sets it first and empties the queue after, so nothing is left there.
            let mut accesses = self.accesses.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if !self.ended.load(Ordering::SeqCst) {
                accesses.push_back(access);
            }
        }
        self.notify();
        self.interrupt_guest();
    }

    /// Notes which vCPU (by registry number) this isolate's own thread runs, if any.
    #[inline]
    pub(crate) fn set_in_guest(&self, vcpu: Option<u32>) {
        self.in_guest.store(vcpu.map_or(0, |number| number + 1), Ordering::Release);
    }

    /// The isolate may itself be inside a guest on the sync lane: bring it back. Should it enter the guest
    /// just now, the thread clock's next tick does the same.
    fn interrupt_guest(&self) {
        let vcpu = self.in_guest.load(Ordering::Acquire);
        if vcpu != 0 {
            Registry::global().attention(vcpu - 1);
        }
    }

    /// Queues a vCPU of the background lane that wants its handlers.
    pub(crate) fn push_ready(&self, vcpu: u32) {
        self.ready.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push_back(vcpu);
        self.ready_count.fetch_add(1, Ordering::SeqCst);
        self.wake();
        self.interrupt_guest();
    }

    /// Whether a vCPU of the background lane waits: cheap enough to be asked in a spin.
    #[inline]
    pub fn has_ready(&self) -> bool {
        self.ready_count.load(Ordering::SeqCst) > 0
    }

    /// The next vCPU of the background lane that wants its handlers.
    pub fn next_ready(&self) -> Option<u32> {
        let next = self.ready.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop_front();
        if next.is_some() {
            self.ready_count.fetch_sub(1, Ordering::SeqCst);
        }
        next
    }

    /// The isolate ends: whoever waits for it gets what an empty bus would give.
    pub fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.waker.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        self.accesses.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clear();
        Registry::end_isolate(self.id);
    }

    /// Whether the isolate has ended.
    pub(crate) fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests;
