//! The virtual machine's file descriptor and what belongs to it: memory, claims, interrupts.

use crate::error::IoctlResult;
use crate::kvm::retry;
use crate::memory::{PAGE_SIZE, Region};
use crate::posted::Posted;
use crate::raw_ioctl;
use crate::routes::Routes;
use crate::{
    Bus, Claim, Error, ErrorCode, EventFd, GuestMemory, IsolatePort, RegionConfig, Target, VcpuCore,
};
use kvm_bindings::{
    KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY, KVM_PIT_SPEAKER_DUMMY, kvm_clock_data, kvm_enable_cap,
    kvm_ioeventfd, kvm_irqchip, kvm_msi, kvm_pit_config, kvm_pit_state2, kvm_userspace_memory_region,
};
use kvm_ioctls::{IoEventAddress, VmFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use zerocopy::{FromBytes, IntoBytes};

const KVM_CAP_COALESCED_MMIO: u64 = 15;
const KVM_CAP_COALESCED_PIO: u64 = 162;

/// Where an ioeventfd listens, and for what.
#[derive(Debug, Clone, Copy)]
pub struct IoEvent {
    /// The address space.
    pub bus: Bus,
    /// The port or address.
    pub address: u64,
    /// The size of the write in bytes: 0 (any), 1, 2, 4 or 8.
    pub length: u32,
    /// The value that the write must have.
    pub datamatch: Option<u64>,
}

/// One virtual machine.
pub struct VmCore {
    fd: Mutex<Option<VmFd>>,
    closed: AtomicBool,
    max_vcpus: u32,
    max_vcpu_id: u32,
    /// The guest's memory.
    pub memory: GuestMemory,
    routes: Mutex<Arc<Routes>>,
    generation: AtomicU64,
    /// Zones that KVM collects, by claim; their ring lives in every vCPU's mapping.
    zones: Mutex<Vec<(Bus, u64, u64)>>,
    has_zones: AtomicBool,
    pub(crate) posted: Posted,
    vcpus: Mutex<Vec<Weak<VcpuCore>>>,
    port: Arc<IsolatePort>,
}

impl VmCore {
    pub(crate) fn new(fd: VmFd, max_vcpus: u32, max_vcpu_id: u32, port: Arc<IsolatePort>) -> Arc<Self> {
        Arc::new(Self {
            fd: Mutex::new(Some(fd)),
            closed: AtomicBool::new(false),
            max_vcpus,
            max_vcpu_id,
            memory: GuestMemory::default(),
            routes: Mutex::default(),
            generation: AtomicU64::new(0),
            zones: Mutex::default(),
            has_zones: AtomicBool::new(false),
            posted: Posted::default(),
            vcpus: Mutex::default(),
            port,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<VmFd>> {
        self.fd.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn with<T>(&self, use_vm: impl FnOnce(&VmFd) -> Result<T, Error>) -> Result<T, Error> {
        use_vm(self.lock().as_ref().ok_or_else(|| Error::closed("Vm"))?)
    }

    /// Whether the machine is closed.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Ends every run, closes the vCPUs and gives the memory back. Does not wait: a run on another
    /// thread finds out within microseconds. Twice is quiet.
    pub fn close(&self) {
        if self.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        let vcpus = std::mem::take(&mut *self.vcpus.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        for vcpu in vcpus.iter().filter_map(Weak::upgrade) {
            vcpu.close();
        }
        self.replace_routes(|routes| {
            *routes = Routes::default();
            Ok(())
        })
        .unwrap_or_default();
        self.memory.close();
        self.lock().take();
    }

    /// `KVM_CHECK_EXTENSION` on the machine.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Closed`].
    pub fn check_extension(&self, capability: u32) -> Result<i32, Error> {
        self.with(|vm| Ok(vm.check_extension_raw(u64::from(capability) as _)))
    }

    /// `KVM_ENABLE_CAP`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`] when the host does not know the capability, [`ErrorCode::Ioctl`].
    pub fn enable_cap(&self, capability: u32, arguments: [u64; 4], flags: u32) -> Result<(), Error> {
        let request = kvm_enable_cap { cap: capability, flags, args: arguments, ..Default::default() };
        self.with(|vm| match vm.enable_cap(&request) {
            Err(error) if vm.check_extension_raw(u64::from(capability) as _) <= 0 => Err(Error {
                message: format!("this host does not have capability {capability}"),
                ..Error::os(ErrorCode::Unsupported, "KVM_ENABLE_CAP", error.errno())
            }),
            result => result.ioctl("KVM_ENABLE_CAP"),
        })
    }

    // ---- memory

    /// `KVM_SET_USER_MEMORY_REGION`: adds a region.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::MemoryOverlap`], [`ErrorCode::NoSlots`], [`ErrorCode::Memory`], [`ErrorCode::Ioctl`].
    pub fn map_memory(&self, config: &RegionConfig) -> Result<Arc<Region>, Error> {
        // The descriptor's lock also makes check and insertion one step.
        self.with(|vm| {
            let slot = config.slot.unwrap_or_else(|| self.memory.free_slot());
            let slots = vm.check_extension_raw(u64::from(kvm_bindings::KVM_CAP_NR_MEMSLOTS) as _);
            if i64::from(slot) >= i64::from(slots) {
                return Err(Error::new(
                    ErrorCode::NoSlots,
                    format!("this host has {slots} memory slots; slot {slot} does not exist"),
                ));
            }
            self.memory.check_free(slot, config.guest_address, config.size)?;
            let region = Arc::new(Region::new(config, slot)?);
            set_slot(vm, &region, region.size)?;
            self.memory.insert(Arc::clone(&region)).inspect_err(|_| {
                let _ = set_slot(vm, &region, 0);
            })?;
            Ok(region)
        })
    }

    /// Removes a region. Its bytes are gone; views of it read zeros.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Closed`], also for a region that was removed; [`ErrorCode::Ioctl`].
    pub fn unmap_memory(&self, slot: u32) -> Result<(), Error> {
        self.with(|vm| {
            let region = self.memory.region(slot).ok_or_else(|| Error::closed("MemoryRegion"))?;
            set_slot(vm, &region, 0)?;
            if let Some(region) = self.memory.remove(slot) {
                region.mapping.retire();
            }
            Ok(())
        })
    }

    /// `KVM_GET_DIRTY_LOG`: KVM's own record, one bit a page, which the call clears.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`] (`ENOENT` for a slot without a log), [`ErrorCode::Closed`].
    pub fn dirty_log(&self, slot: u32) -> Result<Vec<u64>, Error> {
        let size = self.memory.region(slot).map_or(PAGE_SIZE, |region| region.size);
        self.with(|vm| vm.get_dirty_log(slot, size as usize).ioctl("KVM_GET_DIRTY_LOG"))
    }

    /// The pages of a region that the guest or the host wrote, by index.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Closed`], [`ErrorCode::Ioctl`].
    pub fn dirty_pages(&self, slot: u32, reset: bool) -> Result<Vec<u32>, Error> {
        let region = self.memory.region(slot).ok_or_else(|| Error::closed("MemoryRegion"))?;
        let log = if region.log_dirty_pages { self.dirty_log(slot)? } else { Vec::new() };
        Ok(region.dirty_pages(&log, reset))
    }

    // ---- claims

    fn replace_routes(&self, change: impl FnOnce(&mut Routes) -> Result<(), Error>) -> Result<(), Error> {
        let mut current = self.routes.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut next = Routes::clone(&current);
        change(&mut next)?;
        *current = Arc::new(next);
        self.generation.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// Counts the changes of the claims.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn routes(&self) -> Arc<Routes> {
        Arc::clone(&self.routes.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// Whether KVM collects writes for this machine.
    #[inline]
    pub(crate) fn has_zones(&self) -> bool {
        self.has_zones.load(Ordering::Relaxed)
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
            if claim.posted {
                self.add_zone(vm, claim).inspect_err(|_| {
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
            if let Some(index) = zones.iter().position(|zone| zone.0 == bus && zone.1 == base) {
                let (_, _, length) = zones.remove(index);
                let _ = vm.unregister_coalesced_mmio(io_address(bus, base), length as u32);
                self.has_zones.store(!zones.is_empty(), Ordering::SeqCst);
            }
            if let Some(Target::Script { route, port }) = removed {
                self.posted.forget(port.id, route);
            }
            Ok(())
        })
    }

    fn add_zone(&self, vm: &VmFd, claim: &Claim) -> Result<(), Error> {
        let capability = match claim.bus {
            Bus::Io => KVM_CAP_COALESCED_PIO,
            Bus::Mmio => KVM_CAP_COALESCED_MMIO,
        };
        if vm.check_extension_raw(capability as _) <= 0 {
            return Err(Error::new(ErrorCode::Unsupported, "this host cannot collect posted writes"));
        }
        let length = u32::try_from(claim.length)
            .map_err(|_| Error::new(ErrorCode::Unsupported, "a posted range is at most 4 GiB long"))?;
        vm.register_coalesced_mmio(io_address(claim.bus, claim.base), length)
            .ioctl("KVM_REGISTER_COALESCED_MMIO")?;
        self.zones.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((
            claim.bus,
            claim.base,
            claim.length,
        ));
        self.has_zones.store(true, Ordering::SeqCst);
        Ok(())
    }

    // ---- vCPUs

    /// `KVM_CREATE_VCPU`, retried when a signal interrupts it.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::TooManyVcpus`], [`ErrorCode::Ioctl`] (`EEXIST` for an id that is taken).
    pub fn create_vcpu(self: &Arc<Self>, id: u32) -> Result<Arc<VcpuCore>, Error> {
        let (fd, run_size) = self.with(|vm| {
            let mut vcpus = self.vcpus.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            vcpus.retain(|vcpu| vcpu.strong_count() > 0);
            if vcpus.len() as u32 >= self.max_vcpus || id >= self.max_vcpu_id {
                return Err(Error::new(
                    ErrorCode::TooManyVcpus,
                    format!("this host allows {} vCPUs, ids below {}", self.max_vcpus, self.max_vcpu_id),
                ));
            }
            let fd = retry(|| vm.create_vcpu(u64::from(id))).ioctl("KVM_CREATE_VCPU")?;
            Ok((fd, vm.run_size()))
        })?;
        let vcpu = VcpuCore::new(Arc::clone(self), fd, id, run_size, Arc::clone(&self.port))?;
        self.vcpus.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(Arc::downgrade(&vcpu));
        Ok(vcpu)
    }

    // ---- interrupts and clocks

    /// `KVM_SET_TSS_ADDR`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`], [`ErrorCode::Closed`].
    pub fn set_tss_address(&self, address: u64) -> Result<(), Error> {
        self.with(|vm| vm.set_tss_address(address as usize).ioctl("KVM_SET_TSS_ADDR"))
    }

    /// `KVM_SET_IDENTITY_MAP_ADDR`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`], [`ErrorCode::Closed`].
    pub fn set_identity_map_address(&self, address: u64) -> Result<(), Error> {
        self.with(|vm| vm.set_identity_map_address(address).ioctl("KVM_SET_IDENTITY_MAP_ADDR"))
    }

    /// `KVM_CREATE_IRQCHIP`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`] (`EEXIST` the second time), [`ErrorCode::Closed`].
    pub fn create_irq_chip(&self) -> Result<(), Error> {
        self.with(|vm| vm.create_irq_chip().ioctl("KVM_CREATE_IRQCHIP"))
    }

    /// `KVM_CREATE_PIT2`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`] (`ENOENT` without an irqchip), [`ErrorCode::Closed`].
    pub fn create_pit2(&self, speaker_dummy: bool) -> Result<(), Error> {
        let flags = if speaker_dummy { KVM_PIT_SPEAKER_DUMMY } else { 0 };
        self.with(|vm| {
            vm.create_pit2(kvm_pit_config { flags, ..Default::default() }).ioctl("KVM_CREATE_PIT2")
        })
    }

    /// `KVM_IRQ_LINE`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`] (`ENXIO` without an irqchip), [`ErrorCode::Closed`].
    pub fn set_irq_line(&self, irq: u32, active: bool) -> Result<(), Error> {
        self.with(|vm| vm.set_irq_line(irq, active).ioctl("KVM_IRQ_LINE"))
    }

    /// `KVM_IRQFD`, with a resample descriptor for level-triggered interrupts if given.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`], [`ErrorCode::Closed`].
    pub fn register_irqfd(&self, event: &EventFd, gsi: u32, resample: Option<&EventFd>) -> Result<(), Error> {
        let event = event.get()?;
        let resample = resample.map(EventFd::get).transpose()?;
        self.with(|vm| match &resample {
            Some(resample) => vm.register_irqfd_with_resample(&event, resample, gsi).ioctl("KVM_IRQFD"),
            None => vm.register_irqfd(&event, gsi).ioctl("KVM_IRQFD"),
        })
    }

    /// `KVM_IRQFD` with the deassign flag.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`], [`ErrorCode::Closed`].
    pub fn unregister_irqfd(&self, event: &EventFd, gsi: u32) -> Result<(), Error> {
        let event = event.get()?;
        self.with(|vm| vm.unregister_irqfd(&event, gsi).ioctl("KVM_IRQFD"))
    }

    /// `KVM_IOEVENTFD`: writes that match signal the descriptor and never leave the kernel.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`], [`ErrorCode::Closed`].
    pub fn ioeventfd(&self, event: &EventFd, at: &IoEvent, assign: bool) -> Result<(), Error> {
        const DATAMATCH: u32 = 1 << kvm_bindings::kvm_ioeventfd_flag_nr_datamatch;
        const PIO: u32 = 1 << kvm_bindings::kvm_ioeventfd_flag_nr_pio;
        const DEASSIGN: u32 = 1 << kvm_bindings::kvm_ioeventfd_flag_nr_deassign;
        let mut flags = 0;
        if at.bus == Bus::Io {
            flags |= PIO;
        }
        if at.datamatch.is_some() {
            flags |= DATAMATCH;
        }
        if !assign {
            flags |= DEASSIGN;
        }
        let request = kvm_ioeventfd {
            datamatch: at.datamatch.unwrap_or(0),
            addr: at.address,
            len: at.length,
            fd: event.raw_fd()?,
            flags,
            ..Default::default()
        };
        self.with(|vm| raw_ioctl::ioeventfd(vm, &request))
    }

    /// `KVM_SIGNAL_MSI`; `false` when the guest has the interrupt blocked.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`], [`ErrorCode::Closed`].
    pub fn signal_msi(&self, address: u64, data: u32, device_id: Option<u32>) -> Result<bool, Error> {
        let msi = kvm_msi {
            address_lo: address as u32,
            address_hi: (address >> 32) as u32,
            data,
            flags: device_id.map_or(0, |_| kvm_bindings::KVM_MSI_VALID_DEVID),
            devid: device_id.unwrap_or(0),
            ..Default::default()
        };
        self.with(|vm| Ok(vm.signal_msi(msi).ioctl("KVM_SIGNAL_MSI")? > 0))
    }

    /// `KVM_GET_IRQCHIP`: the bytes of `struct kvm_irqchip`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`], [`ErrorCode::Closed`].
    pub fn irqchip(&self, chip: u32) -> Result<Vec<u8>, Error> {
        let mut state = kvm_irqchip { chip_id: chip, ..Default::default() };
        self.with(|vm| vm.get_irqchip(&mut state).ioctl("KVM_GET_IRQCHIP"))?;
        Ok(state.as_bytes().to_vec())
    }

    /// `KVM_SET_IRQCHIP`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::State`] for a wrong size, [`ErrorCode::Ioctl`], [`ErrorCode::Closed`].
    pub fn set_irqchip(&self, chip: u32, state: &[u8]) -> Result<(), Error> {
        let mut state: kvm_irqchip = from_bytes("kvm_irqchip", state)?;
        state.chip_id = chip;
        self.with(|vm| vm.set_irqchip(&state).ioctl("KVM_SET_IRQCHIP"))
    }

    /// `KVM_GET_PIT2`: the bytes of `struct kvm_pit_state2`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`], [`ErrorCode::Closed`].
    pub fn pit2(&self) -> Result<Vec<u8>, Error> {
        Ok(self.with(|vm| vm.get_pit2().ioctl("KVM_GET_PIT2"))?.as_bytes().to_vec())
    }

    /// `KVM_SET_PIT2`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::State`] for a wrong size, [`ErrorCode::Ioctl`], [`ErrorCode::Closed`].
    pub fn set_pit2(&self, state: &[u8]) -> Result<(), Error> {
        let state: kvm_pit_state2 = from_bytes("kvm_pit_state2", state)?;
        self.with(|vm| vm.set_pit2(&state).ioctl("KVM_SET_PIT2"))
    }

    /// `KVM_GET_CLOCK`: the bytes of `struct kvm_clock_data`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`], [`ErrorCode::Closed`].
    pub fn clock(&self) -> Result<Vec<u8>, Error> {
        Ok(self.with(|vm| vm.get_clock().ioctl("KVM_GET_CLOCK"))?.as_bytes().to_vec())
    }

    /// `KVM_SET_CLOCK`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::State`] for a wrong size, [`ErrorCode::Ioctl`], [`ErrorCode::Closed`].
    pub fn set_clock(&self, state: &[u8]) -> Result<(), Error> {
        let state: kvm_clock_data = from_bytes("kvm_clock_data", state)?;
        self.with(|vm| vm.set_clock(&state).ioctl("KVM_SET_CLOCK"))
    }
}

/// Reads a kernel structure from bytes of exactly its size.
pub(crate) fn from_bytes<T: FromBytes>(name: &str, bytes: &[u8]) -> Result<T, Error> {
    T::read_from_bytes(bytes).map_err(|_| {
        Error::new(
            ErrorCode::State,
            format!("{name} has {} bytes, {} were given", size_of::<T>(), bytes.len()),
        )
    })
}

fn io_address(bus: Bus, address: u64) -> IoEventAddress {
    match bus {
        Bus::Io => IoEventAddress::Pio(address),
        Bus::Mmio => IoEventAddress::Mmio(address),
    }
}

/// Tells KVM about a region; a size of zero removes the slot.
fn set_slot(vm: &VmFd, region: &Region, size: u64) -> Result<(), Error> {
    let mut flags = 0;
    if region.read_only {
        flags |= KVM_MEM_READONLY;
    }
    if region.log_dirty_pages {
        flags |= KVM_MEM_LOG_DIRTY_PAGES;
    }
    let request = kvm_userspace_memory_region {
        slot: region.slot,
        flags,
        guest_phys_addr: region.guest_address,
        memory_size: size,
        userspace_addr: region.mapping.as_ptr() as u64,
    };
    // SAFETY: the mapping behind the slot stays reserved until it is removed from KVM or the machine's
    // descriptor is closed: the region holds it, and retiring it replaces the pages, never the range.
    unsafe { vm.set_user_memory_region(request) }.ioctl("KVM_SET_USER_MEMORY_REGION")
}
