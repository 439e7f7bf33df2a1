//! Numbers for vCPUs, so that a token can cross from one isolate to another and a thread can be found.
//!
//! The only process-wide table: native objects cannot cross isolates, numbers can.

use crate::VcpuCore;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

#[derive(Default)]
struct Slot {
    generation: u32,
    vcpu: Weak<VcpuCore>,
}

/// The table of all vCPUs of the process.
#[derive(Default)]
pub struct Registry {
    slots: Mutex<Vec<Slot>>,
}

static GLOBAL: Registry = Registry { slots: Mutex::new(Vec::new()) };

impl Registry {
    /// The table.
    pub fn global() -> &'static Self {
        &GLOBAL
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Reserves a number; a number is used again only with another generation.
    pub(crate) fn reserve(&self) -> (u32, u32) {
        let mut slots = self.lock();
        let free = slots.iter().position(|slot| slot.vcpu.strong_count() == 0 && slot.generation % 2 == 0);
        let index = free.unwrap_or_else(|| {
            slots.push(Slot::default());
            slots.len() - 1
        });
        // Odd while reserved or alive.
        slots[index].generation += 1;
        (index as u32, slots[index].generation)
    }

    pub(crate) fn fill(&self, number: u32, vcpu: &Arc<VcpuCore>) {
        self.lock()[number as usize].vcpu = Arc::downgrade(vcpu);
    }

    pub(crate) fn release(&self, number: u32) {
        let mut slots = self.lock();
        let slot = &mut slots[number as usize];
        slot.generation += 1;
        slot.vcpu = Weak::new();
    }

    /// The vCPU with this number, if it is still the one that the generation names.
    pub fn get(&self, number: u32, generation: u32) -> Option<Arc<VcpuCore>> {
        let slots = self.lock();
        slots.get(number as usize).filter(|slot| slot.generation == generation)?.vcpu.upgrade()
    }

    fn all(&self) -> Vec<Arc<VcpuCore>> {
        self.lock().iter().filter_map(|slot| slot.vcpu.upgrade()).collect()
    }

    /// Kicks every vCPU.
    pub(crate) fn kick_all(&self) {
        for vcpu in self.all() {
            vcpu.kick();
        }
    }

    /// Brings a vCPU that runs on its isolate's own thread back to it.
    pub(crate) fn attention(&self, number: u32) {
        let vcpu = self.lock().get(number as usize).and_then(|slot| slot.vcpu.upgrade());
        if let Some(vcpu) = vcpu {
            vcpu.attention();
        }
    }

    /// Ends the background runs whose handlers lived in an isolate that is gone.
    pub(crate) fn end_isolate(isolate: u32) {
        for vcpu in GLOBAL.all() {
            if vcpu.isolate_id() == isolate {
                vcpu.kick();
            }
        }
    }
}
