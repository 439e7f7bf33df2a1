//! Posted writes: KVM collects writes to coalesced zones in a ring of its own, without an exit for each
//! (`KVM_CAP_COALESCED_MMIO`, `KVM_CAP_COALESCED_PIO`). The ring is drained before any exit is handled and by
//! the thread clock's tick, so order is kept and nothing waits longer than a few milliseconds.

use crate::control::{Control, Counters, POSTED_ENTRIES, PostedWrite};
use crate::device::NativeDevice;
use crate::isolate::Access;
use crate::memory::page_size;
use crate::routes::{Bus, Routes, Target};
use kvm_bindings::{KVM_COALESCED_MMIO_PAGE_OFFSET, kvm_coalesced_mmio};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard};

/// Where KVM maps the ring, in pages from the start of the vCPU's mapping: behind the port data, where there are ports.
pub(crate) const RING_PAGE: usize = KVM_COALESCED_MMIO_PAGE_OFFSET as usize;

/// Entries that the ring's page holds after the two indices (`KVM_COALESCED_MMIO_MAX`).
fn ring_entries() -> u32 {
    ((page_size() - 8) / size_of::<kvm_coalesced_mmio>()) as u32
}

/// Posted writes to JavaScript devices that have left KVM's ring. Beyond this the ring stays full and KVM
/// makes ordinary exits of further writes, which is the back-pressure.
const QUEUE_LIMIT: usize = 1024;

/// From here on a run comes back to JavaScript with what waits.
const QUEUE_URGENT: usize = QUEUE_LIMIT / 2;

/// What [`Posted::drain`] found.
#[derive(Default)]
pub(crate) struct Drained {
    /// Whether there was anything.
    pub(crate) any: bool,
    /// A device that has printed more than its listener takes: its guest has to wait.
    pub(crate) full: Option<Arc<NativeDevice>>,
}

/// What [`Posted::deliver`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// How many writes are in the page.
    pub(crate) count: u32,
    /// Whether more wait for the same isolate.
    pub(crate) more: bool,
}

/// The writes that wait for one isolate.
struct Queue {
    isolate: u32,
    writes: VecDeque<PostedWrite>,
}

/// The posted writes of one virtual machine.
#[derive(Default)]
pub(crate) struct Posted {
    /// One an isolate, so that nobody waits for another's. Held while the ring is read: KVM's ring allows one
    /// consumer.
    queues: Mutex<Vec<Queue>>,
}

/// The writes that wait for `isolate`.
fn writes_of(queues: &mut Vec<Queue>, isolate: u32) -> &mut VecDeque<PostedWrite> {
    let index = queues.iter().position(|queue| queue.isolate == isolate).unwrap_or_else(|| {
        queues.push(Queue { isolate, writes: VecDeque::new() });
        queues.len() - 1
    });
    &mut queues[index].writes
}

impl Posted {
    fn lock(&self) -> MutexGuard<'_, Vec<Queue>> {
        self.queues.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Empties KVM's ring: Rust devices are served here, JavaScript's writes are queued.
    ///
    /// `ring` is the page that KVM shares; `isolate` is the one that the calling vCPU runs for; `counter` counts the
    /// writes.
    pub(crate) fn drain(&self, ring: *mut u8, routes: &Routes, isolate: u32, counter: &AtomicU64) -> Drained {
        let mut full = None;
        let mut queues = self.lock();
        let queue = writes_of(&mut queues, isolate);
        // SAFETY: the page holds two u32 indices that the kernel and we share; it is mapped as long as the
        // vCPU's run pages are.
        let (first, last) = unsafe { (&*ring.cast::<AtomicU32>(), &*ring.add(4).cast::<AtomicU32>()) };
        let entries = ring_entries();
        let start = first.load(Ordering::Relaxed) % entries;
        let mut at = start;
        // Another page user (JavaScript maps it too) could write nonsense: bound the walk.
        for _ in 0..entries {
            if at == last.load(Ordering::Acquire) % entries || queue.len() >= QUEUE_LIMIT {
                break;
            }
            // SAFETY: `at` is below the number of entries, so the entry lies in the page.
            let entry = unsafe { ring.add(8).cast::<kvm_coalesced_mmio>().add(at as usize).read_volatile() };
            // SAFETY: both members of the union are plain u32.
            let pio = unsafe { entry.__bindgen_anon_1.pio } != 0;
            let bus = if pio { Bus::Io } else { Bus::Mmio };
            let size = entry.len.clamp(1, 8);
            if let Some(claim) = routes.map(bus).lookup(entry.phys_addr, u64::from(size)) {
                match claim.value {
                    Target::Native(device) => {
                        device.write(claim.offset, &entry.data[..size as usize]);
                        if device.output().is_some_and(|output| output.is_full()) {
                            full = Some(Arc::clone(device));
                        }
                    }
                    Target::Script(script) if script.isolate == isolate => queue.push_back(PostedWrite {
                        offset: claim.offset as f64,
                        data: entry.data,
                        route: script.route,
                        size,
                    }),
                    Target::Script(script) => {
                        let value = u64::from_le_bytes(entry.data);
                        // A full queue of another isolate: leave the rest in the ring for the next time.
                        if !script.port.post(Access::new(script.route, true, claim.offset, size, value)) {
                            break;
                        }
                    }
                }
            }
            Counters::add(counter, 1);
            at = (at + 1) % entries;
            fence(Ordering::SeqCst);
            first.store(at, Ordering::Release);
        }
        Drained { any: at != start, full }
    }

    /// Moves writes for `isolate` into the page that JavaScript reads.
    pub(crate) fn deliver(&self, control: *mut Control, page: *mut u8, isolate: u32) -> Delivered {
        let mut queues = self.lock();
        let queue = writes_of(&mut queues, isolate);
        let count = queue.len().min(POSTED_ENTRIES);
        for (index, write) in queue.drain(..count).enumerate() {
            // SAFETY: `index` is below the number of entries that the page holds.
            unsafe { page.cast::<PostedWrite>().add(index).write_volatile(write) };
        }
        let delivered = Delivered { count: count as u32, more: !queue.is_empty() };
        // SAFETY: the control page belongs to the vCPU that calls.
        unsafe { (&raw mut (*control).posted_count).write_volatile(delivered.count) };
        delivered
    }

    /// Whether so much waits for `isolate` that a run shall come back with it, before the queue is full and
    /// writes stay in the ring, where later exits would overtake them.
    pub(crate) fn is_urgent(&self, isolate: u32) -> bool {
        writes_of(&mut self.lock(), isolate).len() >= QUEUE_URGENT
    }

    /// Forgets what waits for attachment `route` of `isolate`.
    pub(crate) fn forget(&self, isolate: u32, route: u32) {
        writes_of(&mut self.lock(), isolate).retain(|write| write.route != route);
    }
}

#[cfg(test)]
mod tests;
