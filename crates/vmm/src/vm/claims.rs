//! Who answers which ports and addresses of the machine, and what KVM collects of it.

use super::VmCore;
use crate::error::IoctlResult;
use crate::host::lacks;
use crate::routes::{PostedRange, Routes};
use crate::{Bus, Claim, Error, ErrorCode, Target};
use kvm_ioctls::{IoEventAddress, VmFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

const KVM_CAP_COALESCED_MMIO: u64 = 15;
const KVM_CAP_COALESCED_PIO: u64 = 162;

/// A range whose writes KVM collects.
pub(super) struct Zone {
    bus: Bus,
    /// The base of the claim that it belongs to.
    claim: u64,
    base: u64,
    length: u32,
}

impl VmCore {
    pub(super) fn replace_routes(
        &self,
        change: impl FnOnce(&mut Routes) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut current = self.routes.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut next = Routes::clone(&current);
        change(&mut next)?;
        *current = Arc::new(next);
        self.hot.generation.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// Counts the changes of the claims.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.hot.generation.load(Ordering::Acquire)
    }

    pub(crate) fn routes(&self) -> Arc<Routes> {
        Arc::clone(&self.routes.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// Whether KVM collects writes for this machine.
    #[inline]
    pub(crate) fn has_zones(&self) -> bool {
        self.hot.has_zones.load(Ordering::Relaxed)
    }

    /// Claims a range for a device.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::RangeClaimed`], [`ErrorCode::Unsupported`] for posted writes that the host cannot
    /// collect, [`ErrorCode::Closed`].
    pub fn attach(&self, claim: &Claim, target: Target) -> Result<(), Error> {
        self.with(|vm| {
            self.replace_routes(|routes| routes.insert(claim, target))?;
            if let Some(range) = claim.posted {
                self.add_zone(vm, claim, range).inspect_err(|_| {
                    let _ = self.replace_routes(|routes| {
                        routes.map_mut(claim.bus).remove(claim.base);
                        Ok(())
                    });
                })?;
            }
            Ok(())
        })
    }

    /// Gives a claim up.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Closed`].
    pub fn detach(&self, bus: Bus, base: u64) -> Result<(), Error> {
        self.with(|vm| {
            let mut removed = None;
            self.replace_routes(|routes| {
                removed = routes.map_mut(bus).remove(base);
                Ok(())
            })?;
            let mut zones = self.zones.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if let Some(index) = zones.iter().position(|zone| zone.bus == bus && zone.claim == base) {
                let zone = zones.remove(index);
                let _ = vm.unregister_coalesced_mmio(io_address(bus, zone.base), zone.length);
                self.hot.has_zones.store(!zones.is_empty(), Ordering::SeqCst);
            }
            if let Some(Target::Script(script)) = removed {
                self.posted.forget(script.isolate, script.route);
            }
            Ok(())
        })
    }

    /// Says what becomes of an access that nobody claims: an exit to JavaScript, or (`empty`) reads of all ones and
    /// writes that are dropped, without one.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Closed`].
    pub fn set_empty_bus(&self, empty: bool) -> Result<(), Error> {
        self.with(|_| {
            self.replace_routes(|routes| {
                routes.empty_bus = empty;
                Ok(())
            })
        })
    }

    fn add_zone(&self, vm: &VmFd, claim: &Claim, range: PostedRange) -> Result<(), Error> {
        let (capability, name) = match claim.bus {
            Bus::Io => (KVM_CAP_COALESCED_PIO, "KVM_CAP_COALESCED_PIO"),
            Bus::Mmio => (KVM_CAP_COALESCED_MMIO, "KVM_CAP_COALESCED_MMIO"),
        };
        if vm.check_extension_raw(capability as _) <= 0 {
            return Err(lacks(name));
        }
        let length = u32::try_from(range.length)
            .map_err(|_| Error::new(ErrorCode::Unsupported, "a posted range is at most 4 GiB long"))?;
        let base = claim.base + range.offset;
        vm.register_coalesced_mmio(io_address(claim.bus, base), length)
            .ioctl("KVM_REGISTER_COALESCED_MMIO")?;
        let zone = Zone { bus: claim.bus, claim: claim.base, base, length };
        self.zones.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(zone);
        self.hot.has_zones.store(true, Ordering::SeqCst);
        Ok(())
    }
}

fn io_address(bus: Bus, address: u64) -> IoEventAddress {
    match bus {
        Bus::Io => IoEventAddress::Pio(address),
        Bus::Mmio => IoEventAddress::Mmio(address),
    }
}
