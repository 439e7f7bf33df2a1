//! Dirty rings: KVM notes each page that a vCPU writes in that vCPU's own ring, instead of in a bitmap a slot.

use super::VmCore;
use crate::error::IoctlResult;
use crate::raw_ioctl::dirty::reset_dirty_rings;
use crate::vcpu::RING_ENTRY_SIZE;
use crate::{Error, ErrorCode, VcpuCore, host};
use kvm_bindings::{
    KVM_CAP_DIRTY_LOG_RING, KVM_CAP_DIRTY_LOG_RING_ACQ_REL, KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP,
    KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE, kvm_enable_cap,
};
use kvm_ioctls::VmFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How the machine's dirty pages are told.
#[derive(Default)]
pub(super) struct DirtyTracking {
    /// The bytes of each vCPU's ring; zero without rings.
    ring_size: AtomicUsize,
    /// Whether a full ring is an exit for JavaScript; otherwise it is harvested where the vCPU runs.
    exit_when_full: AtomicBool,
    /// Whether the kernel's own writes, of which no vCPU is the author, are in a bitmap beside the rings.
    with_bitmap: AtomicBool,
    /// Entries that were harvested and that KVM has not taken back. Behind a lock that harvests and resets take: a reset
    /// then knows how many there must be.
    unreset: Mutex<u64>,
    /// KVM ran over the end of a ring: what it overwrote is not known, nor logged again.
    overrun: AtomicBool,
    /// Whether reading a slot's log leaves it as it is (`KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2`).
    manual_protect: AtomicBool,
}

/// How often a reset that came to nothing is tried again: the kernel gives up when a signal waits.
const IN_VAIN: usize = 10;

impl VmCore {
    /// Enables the rings (`KVM_CAP_DIRTY_LOG_RING_ACQ_REL`), of so many entries for each vCPU. Before the first vCPU,
    /// and once. Where KVM writes guest memory by itself (aarch64), its bitmap is enabled as well: before memory.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`], [`ErrorCode::Ioctl`] with `E2BIG` for too many entries and `EINVAL` for too few or
    /// at the wrong time, [`ErrorCode::Closed`].
    pub fn enable_dirty_ring(&self, entries: u32, exit_when_full: bool) -> Result<(), Error> {
        self.with(|vm| {
            let value = |capability: u32| vm.check_extension_raw(u64::from(capability) as _);
            let (capability, limit) = [KVM_CAP_DIRTY_LOG_RING_ACQ_REL, KVM_CAP_DIRTY_LOG_RING]
                .into_iter()
                .map(|capability| (capability, value(capability)))
                // The older one promises nothing about the order of memory, which x86_64 does by itself.
                .find(|(capability, limit)| {
                    *limit > 0 && (*capability == KVM_CAP_DIRTY_LOG_RING_ACQ_REL || cfg!(target_arch = "x86_64"))
                })
                .ok_or_else(|| host::lacks("KVM_CAP_DIRTY_LOG_RING_ACQ_REL"))?;
            let size = entries as usize * RING_ENTRY_SIZE;
            if size > limit as usize {
                let most = limit as usize / RING_ENTRY_SIZE;
                let refused = format!("{entries} entries are too many: this host's rings have at most {most}");
                return Err(refusal(libc::E2BIG, &refused));
            }
            let needs_bitmap = value(KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP) > 0;
            // KVM would refuse the second step, and the first cannot be taken back.
            if needs_bitmap && !self.memory.regions().is_empty() {
                return Err(refusal(libc::EINVAL, "on this host dirty rings are enabled before memory is mapped"));
            }
            if self.dirty.ring_size.load(Ordering::SeqCst) > 0 {
                return Err(refusal(libc::EINVAL, "the machine has dirty rings already"));
            }
            enable(vm, capability, size as u64).map_err(|error| match error.errno {
                Some(libc::EINVAL) => refusal(
                    libc::EINVAL,
                    &format!(
                        "dirty rings are enabled before the first vCPU, with a power of two of entries; \
                         {entries} may be too few for this host"
                    ),
                ),
                _ => error,
            })?;
            self.dirty.exit_when_full.store(exit_when_full, Ordering::SeqCst);
            self.dirty.ring_size.store(size, Ordering::SeqCst);
            if needs_bitmap {
                enable(vm, KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP, 0)?;
                self.dirty.with_bitmap.store(true, Ordering::SeqCst);
            }
            Ok(())
        })
    }

    /// Takes note of a capability that was enabled by its number: the way that dirty pages are told depends on some.
    pub(super) fn note_enabled(&self, capability: u32, first_argument: u64) {
        match capability {
            KVM_CAP_DIRTY_LOG_RING | KVM_CAP_DIRTY_LOG_RING_ACQ_REL => {
                // Who enables it so wants the exit as the kernel has it.
                self.dirty.exit_when_full.store(true, Ordering::SeqCst);
                // The kernel looks at 32 bits of it.
                self.dirty.ring_size.store(first_argument as u32 as usize, Ordering::SeqCst);
            }
            KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP => self.dirty.with_bitmap.store(true, Ordering::SeqCst),
            KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 => {
                let manual = first_argument & u64::from(KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE) != 0;
                self.dirty.manual_protect.store(manual, Ordering::SeqCst);
            }
            _ => {}
        }
    }

    /// The bytes of each vCPU's ring; zero without rings.
    pub(crate) fn dirty_ring_size(&self) -> usize {
        self.dirty.ring_size.load(Ordering::SeqCst)
    }

    /// The entries of each vCPU's ring; zero without rings.
    pub fn dirty_ring_entries(&self) -> u32 {
        (self.dirty_ring_size() / RING_ENTRY_SIZE) as u32
    }

    /// Whether a full ring is an exit for JavaScript. (One of a machine that came by its descriptor is nobody's here.)
    pub(crate) fn exits_when_ring_is_full(&self) -> bool {
        self.dirty.exit_when_full.load(Ordering::Relaxed) || self.dirty_ring_size() == 0
    }

    pub(super) fn has_ring_bitmap(&self) -> bool {
        self.dirty.with_bitmap.load(Ordering::SeqCst)
    }

    pub(super) fn has_manual_protect(&self) -> bool {
        self.dirty.manual_protect.load(Ordering::SeqCst)
    }

    fn check_rings(&self) -> Result<(), Error> {
        if self.is_closed() {
            return Err(Error::closed("Vm"));
        }
        if self.dirty_ring_size() == 0 {
            let message = "the machine has no dirty rings: enable them before the first vCPU".into();
            return Err(Error {
                message,
                ..Error::os(ErrorCode::Ioctl, "KVM_RESET_DIRTY_RINGS", libc::EINVAL)
            });
        }
        if self.dirty.overrun.load(Ordering::SeqCst) {
            return Err(overrun());
        }
        Ok(())
    }

    /// Keeps harvests and resets apart. Taken before the descriptor's lock, if both are.
    pub(super) fn dirty_turn(&self) -> MutexGuard<'_, u64> {
        self.dirty.unreset.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the rings of all vCPUs hold into the regions' records; the number of entries. KVM does not log those
    /// pages again before [`reset_dirty_rings`](Self::reset_dirty_rings).
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`] without rings, [`ErrorCode::DirtyRing`], [`ErrorCode::Closed`].
    pub fn harvest_dirty_rings(&self) -> Result<usize, Error> {
        self.check_rings()?;
        let harvested = self.harvest_in_turn(&mut self.dirty_turn());
        self.check_rings()?;
        Ok(harvested)
    }

    pub(super) fn harvest_in_turn(&self, unreset: &mut u64) -> usize {
        let vcpus: Vec<Arc<VcpuCore>> = {
            let list = self.vcpus.lock().unwrap_or_else(PoisonError::into_inner);
            list.iter().filter_map(std::sync::Weak::upgrade).collect()
        };
        vcpus.iter().map(|vcpu| self.harvest_ring(vcpu, unreset)).sum()
    }

    fn harvest_ring(&self, vcpu: &VcpuCore, unreset: &mut u64) -> usize {
        let entries = vcpu.harvest_dirty_ring();
        *unreset += entries as u64;
        // KVM keeps entries free, so a ring that is full to the last one was more than full.
        if entries > 0 && entries == self.dirty_ring_entries() as usize {
            self.dirty.overrun.store(true, Ordering::SeqCst);
        }
        entries
    }

    /// The last harvest of a vCPU that lets go of its ring.
    pub(crate) fn harvest_for_good(&self, vcpu: &VcpuCore) {
        if self.dirty_ring_size() > 0 {
            self.harvest_ring(vcpu, &mut self.dirty_turn());
        }
    }

    /// `KVM_RESET_DIRTY_RINGS`: KVM logs the harvested pages again; how many entries it took back. A signal interrupts
    /// the call half way, so it is repeated until no harvested entry is left.
    ///
    /// # Errors
    ///
    /// As [`harvest_dirty_rings`](Self::harvest_dirty_rings).
    pub fn reset_dirty_rings(&self) -> Result<u32, Error> {
        self.check_rings()?;
        self.reset_in_turn(&mut self.dirty_turn())
    }

    fn reset_in_turn(&self, unreset: &mut u64) -> Result<u32, Error> {
        self.with(|vm| {
            let (mut total, mut in_vain) = (0, 0);
            loop {
                let reset = reset_dirty_rings(vm)?;
                total += reset;
                *unreset = unreset.saturating_sub(u64::from(reset));
                if *unreset == 0 {
                    return Ok(total);
                }
                in_vain = if reset == 0 { in_vain + 1 } else { 0 };
                if in_vain == IN_VAIN {
                    self.dirty.overrun.store(true, Ordering::SeqCst);
                    return Err(overrun());
                }
            }
        })
    }

    /// Harvests all rings and resets them; whether there was anything.
    ///
    /// # Errors
    ///
    /// As [`harvest_dirty_rings`](Self::harvest_dirty_rings).
    pub fn collect_dirty_rings(&self) -> Result<bool, Error> {
        self.check_rings()?;
        let mut unreset = self.dirty_turn();
        let harvested = self.harvest_in_turn(&mut unreset);
        let reset = self.reset_in_turn(&mut unreset)?;
        self.check_rings()?;
        Ok(harvested > 0 || reset > 0)
    }

    /// Takes note that a ring is full and stays so.
    pub(crate) fn ring_is_stuck(&self) -> Error {
        self.dirty.overrun.store(true, Ordering::SeqCst);
        overrun()
    }

    /// The records of all regions that have any page in theirs, by slot; new records begin.
    pub fn take_dirty_pages(&self) -> Vec<(u32, Vec<u32>)> {
        let regions = self.memory.regions();
        let taken = regions.iter().map(|region| (region.slot, region.dirty_pages(&[], true)));
        taken.filter(|(_, pages)| !pages.is_empty()).collect()
    }
}

fn enable(vm: &VmFd, capability: u32, argument: u64) -> Result<(), Error> {
    let request = kvm_enable_cap { cap: capability, args: [argument, 0, 0, 0], ..Default::default() };
    vm.enable_cap(&request).ioctl("KVM_ENABLE_CAP")
}

fn overrun() -> Error {
    Error::new(
        ErrorCode::DirtyRing,
        "KVM ran over the end of a dirty ring: pages were written that nobody knows",
    )
}

fn refusal(errno: i32, message: &str) -> Error {
    let error = Error::os(ErrorCode::Ioctl, "KVM_ENABLE_CAP", errno);
    Error { message: format!("{message} ({})", error.message), ..error }
}
