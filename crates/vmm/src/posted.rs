//! Posted writes: KVM collects writes to coalesced zones in a ring of its own, without an exit for each
//! (`KVM_CAP_COALESCED_MMIO`, `KVM_CAP_COALESCED_PIO`). The ring is drained before any exit is handled and by
//! the thread clock's tick, so order is kept and nothing waits longer than a few milliseconds.

use crate::control::{Control, Counters, POSTED_ENTRIES, PostedWrite};
use crate::isolate::Access;
use crate::routes::{Bus, Routes, Target};
use kvm_bindings::kvm_coalesced_mmio;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering, fence};

/// Where KVM maps the ring, in pages from the start of the vCPU's mapping (`KVM_COALESCED_MMIO_PAGE_OFFSET`).
pub(crate) const RING_PAGE: usize = 2;

/// Entries that one 4 KiB page holds after the two indices.
const RING_ENTRIES: u32 = ((4096 - 8) / size_of::<kvm_coalesced_mmio>()) as u32;

/// Posted writes to JavaScript devices that have left KVM's ring. Beyond this the ring stays full and KVM
/// makes ordinary exits of further writes, which is the back-pressure.
const QUEUE_LIMIT: usize = 1024;

/// A posted write on its way to the isolate of its device.
struct Waiting {
    isolate: u32,
    write: PostedWrite,
}

/// The posted writes of one virtual machine.
#[derive(Default)]
pub(crate) struct Posted {
    /// Held while the ring is read: KVM's ring allows one consumer.
    queue: Mutex<VecDeque<Waiting>>,
}

impl Posted {
    /// Empties KVM's ring: Rust devices are served here, JavaScript's writes are queued.
    ///
    /// `ring` is the page that KVM shares; `isolate` is the one that the calling vCPU runs for.
    pub(crate) fn drain(&self, ring: *mut u8, routes: &Routes, isolate: u32, counters: &Counters) {
        let mut queue = self.queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        // SAFETY: the page holds two u32 indices that the kernel and we share; it is mapped as long as the
        // vCPU's run pages are.
        let (first, last) = unsafe { (&*ring.cast::<AtomicU32>(), &*ring.add(4).cast::<AtomicU32>()) };
        let mut at = first.load(Ordering::Relaxed) % RING_ENTRIES;
        // Another page user (JavaScript maps it too) could write nonsense: bound the walk.
        for _ in 0..RING_ENTRIES {
            if at == last.load(Ordering::Acquire) % RING_ENTRIES || queue.len() >= QUEUE_LIMIT {
                break;
            }
            // SAFETY: `at` is below RING_ENTRIES, so the entry lies in the page.
            let entry = unsafe { ring.add(8).cast::<kvm_coalesced_mmio>().add(at as usize).read_volatile() };
            // SAFETY: both members of the union are plain u32.
            let pio = unsafe { entry.__bindgen_anon_1.pio } != 0;
            let bus = if pio { Bus::Io } else { Bus::Mmio };
            let size = entry.len.clamp(1, 8);
            Counters::add(&counters.posted, 1);
            if let Some(claim) = routes.map(bus).lookup(entry.phys_addr, u64::from(size)) {
                match claim.value {
                    Target::Native(device) => device.write(claim.offset, &entry.data[..size as usize]),
                    Target::Script { route, port } if port.id == isolate => queue.push_back(Waiting {
                        isolate,
                        write: PostedWrite {
                            offset: claim.offset as f64,
                            data: entry.data,
                            route: *route,
                            size,
                        },
                    }),
                    Target::Script { route, port } => {
                        let value = u64::from_le_bytes(entry.data);
                        // A full queue of another isolate: leave the rest in the ring for the next time.
                        if !port.post(Access::new(*route, true, claim.offset, size, value)) {
                            break;
                        }
                    }
                }
            }
            at = (at + 1) % RING_ENTRIES;
            fence(Ordering::SeqCst);
            first.store(at, Ordering::Release);
        }
    }

    /// Moves writes for `isolate` into the page that JavaScript reads and returns how many there are.
    pub(crate) fn deliver(&self, control: *mut Control, page: *mut u8, isolate: u32) -> u32 {
        let mut queue = self.queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut count = 0;
        while (count as usize) < POSTED_ENTRIES && queue.front().is_some_and(|next| next.isolate == isolate) {
            if let Some(next) = queue.pop_front() {
                // SAFETY: `count` is below the number of entries that the page holds.
                unsafe { page.cast::<PostedWrite>().add(count as usize).write_volatile(next.write) };
                count += 1;
            }
        }
        // SAFETY: the control page belongs to the vCPU that calls.
        unsafe { (&raw mut (*control).posted_count).write_volatile(count) };
        count
    }

    /// Forgets what waits for attachment `route` of `isolate`.
    pub(crate) fn forget(&self, isolate: u32, route: u32) {
        self.queue
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .retain(|waiting| waiting.isolate != isolate || waiting.write.route != route);
    }
}
