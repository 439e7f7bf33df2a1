//! `Vm` and its memory.

use crate::device::NativeDeviceModel;
use crate::error::{guarded, throw};
use crate::event_fd::NativeEventFd;
use crate::isolate::port;
use crate::kvm_device::NativeGuestMemfd;
use crate::raw::{external_buffer, lent_slice, unknown};
use crate::vcpu::NativeVcpu;
use napi::bindgen_prelude::{BigInt, Env, Result, Uint8ArraySlice, Unknown};
use napi_derive::napi;
use std::sync::Arc;
use vmhatch_vmm::{
    Backing, Bus, Claim, Error, ErrorCode, IoEvent, PostedRange, PrivatePart, RegionConfig, ScriptDevice,
    Target, VmCore, VmState,
};

/// One virtual machine.
#[napi]
pub struct NativeVm {
    pub(crate) inner: Arc<VmCore>,
}

/// Bits of `flags` of `mapMemory`.
const MEMFD: u32 = 1;
const SHARED: u32 = 2;
const READ_ONLY: u32 = 4;
const LOG_DIRTY_PAGES: u32 = 8;
const HUGE_PAGES: u32 = 16;
const SMM: u32 = 32;

fn bus(mmio: bool) -> Bus {
    if mmio { Bus::Mmio } else { Bus::Io }
}

fn claim(mmio: bool, base: f64, length: f64, posted: Option<&[f64]>) -> Claim {
    let posted = match posted {
        Some(&[offset, length]) => Some(PostedRange { offset: offset as u64, length: length as u64 }),
        _ => None,
    };
    Claim { bus: bus(mmio), base: base as u64, length: length as u64, posted }
}

fn io_event(mmio: bool, address: f64, length: u32, datamatch: Option<BigInt>) -> IoEvent {
    IoEvent {
        bus: bus(mmio),
        address: address as u64,
        length,
        datamatch: datamatch.map(|value| value.get_u64().1),
    }
}

/// The error of a number that names no structure: the two sides were built from different sources.
pub fn no_such_state() -> Error {
    Error::new(ErrorCode::Internal, "no structure has that number")
}

#[napi]
impl NativeVm {
    /// Ends all runs and closes it.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.inner.close();
    }

    /// Whether it is closed, here or in another isolate.
    #[napi(getter, catch_unwind)]
    pub fn closed(&self) -> bool {
        self.inner.is_closed()
    }

    /// `KVM_CHECK_EXTENSION`.
    #[napi(catch_unwind)]
    pub fn check_extension(&self, env: Env, capability: u32) -> Result<i32> {
        guarded(&env, || self.inner.check_extension(capability))
    }

    /// `KVM_ENABLE_CAP`.
    #[napi(catch_unwind)]
    pub fn enable_cap(&self, env: Env, capability: u32, arguments: Vec<BigInt>, flags: u32) -> Result<()> {
        let mut array = [0; 4];
        for (target, value) in array.iter_mut().zip(&arguments) {
            *target = value.get_u64().1;
        }
        guarded(&env, || self.inner.enable_cap(capability, array, flags))
    }

    /// `KVM_CREATE_VCPU`.
    #[napi(catch_unwind)]
    pub fn create_vcpu(&self, env: Env, id: u32) -> Result<NativeVcpu> {
        guarded(&env, || {
            let vcpu = self.inner.create_vcpu(id)?;
            vcpu.set_isolate(port()?);
            Ok(NativeVcpu::new(vcpu))
        })
    }

    /// A vCPU from a descriptor that somebody else opened.
    #[napi(catch_unwind)]
    pub fn create_vcpu_from_raw_fd(&self, env: Env, fd: i32) -> Result<NativeVcpu> {
        guarded(&env, || {
            let vcpu = self.inner.create_vcpu_from_raw_fd(fd)?;
            vcpu.set_isolate(port()?);
            Ok(NativeVcpu::new(vcpu))
        })
    }

    // ---- memory

    /// Adds a region and returns its slot. Flat arguments: reading an object's properties costs more than the call.
    /// `flags`: 1 memfd, 2 shared, 4 read-only, 8 dirty log, 16 large pages, 32 also in system management mode; a negative slot is the lowest free one.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments, reason = "one flat call; lib/kvm gives it a shape")]
    pub fn map_memory(
        &self,
        env: Env,
        slot: i32,
        guest_address: f64,
        size: f64,
        flags: u32,
        path: Option<String>,
        offset: f64,
        private: Option<&NativeGuestMemfd>,
        private_offset: Option<f64>,
    ) -> Result<u32> {
        let backing = match path {
            Some(path) => Backing::File { path, offset: offset as u64 },
            None if flags & MEMFD != 0 => Backing::Memfd,
            None => Backing::Anonymous,
        };
        let config = RegionConfig {
            slot: u32::try_from(slot).ok(),
            guest_address: guest_address as u64,
            size: size as u64,
            backing,
            shared: flags & SHARED != 0,
            read_only: flags & READ_ONLY != 0,
            log_dirty_pages: flags & LOG_DIRTY_PAGES != 0,
            huge_pages: flags & HUGE_PAGES != 0,
            smm: flags & SMM != 0,
        };
        let part = private.map(|memfd| PrivatePart {
            memfd: Arc::clone(&memfd.inner),
            offset: private_offset.unwrap_or(0.0) as u64,
        });
        guarded(&env, || {
            let region = match &part {
                Some(part) => self.inner.map_private_memory(&config, part),
                None => self.inner.map_memory(&config),
            };
            Ok(region?.slot)
        })
    }

    /// Removes a region.
    #[napi(catch_unwind)]
    pub fn unmap_memory(&self, env: Env, slot: u32) -> Result<()> {
        guarded(&env, || self.inner.unmap_memory(slot))
    }

    /// Copies guest memory into `target`.
    #[napi(catch_unwind)]
    pub fn read_memory(&self, env: Env, address: f64, mut target: Uint8ArraySlice<'_>) -> Result<()> {
        guarded(&env, || self.inner.memory.read(address as u64, lent_slice(&mut target)))
    }

    /// Copies `source` into guest memory.
    #[napi(catch_unwind)]
    pub fn write_memory(&self, env: Env, address: f64, source: &[u8]) -> Result<()> {
        guarded(&env, || self.inner.memory.write(address as u64, source))
    }

    /// Fills guest memory.
    #[napi(catch_unwind)]
    pub fn fill_memory(&self, env: Env, address: f64, length: f64, byte: u32) -> Result<()> {
        guarded(&env, || self.inner.memory.fill(address as u64, length as u64, byte as u8))
    }

    /// Looks for bytes; the address or null.
    #[napi(catch_unwind)]
    pub fn find_memory(&self, env: Env, pattern: &[u8], start: f64, end: f64) -> Result<Option<f64>> {
        guarded(&env, || {
            let found = self.inner.memory.find(pattern, start as u64, end as u64)?;
            Ok(found.map(|address| address as f64))
        })
    }

    /// An ArrayBuffer over guest memory.
    #[napi(catch_unwind)]
    pub fn view_memory(
        &self,
        env: Env,
        address: f64,
        length: f64,
        read_only: bool,
    ) -> Result<Unknown<'static>> {
        let value = guarded(&env, || {
            let (region, offset) = self.inner.memory.window(address as u64, length as u64)?;
            let guard = region.open_view(offset, length as usize, read_only);
            external_buffer(&env, guard.as_ptr(), guard.length(), guard)
        })?;
        Ok(unknown(&env, value))
    }

    // ---- claims

    /// Claims a range for a Rust device. `posted`: offset and length of the part whose writes are posted.
    #[napi(catch_unwind)]
    pub fn attach_native(
        &self,
        env: Env,
        mmio: bool,
        base: f64,
        length: f64,
        posted: Option<Vec<f64>>,
        device: &NativeDeviceModel,
    ) -> Result<()> {
        let claim = claim(mmio, base, length, posted.as_deref());
        guarded(&env, || self.inner.attach(&claim, Target::Native(Arc::clone(&device.inner))))
    }

    /// Claims a range for the JavaScript device `route` of this isolate.
    #[napi(catch_unwind)]
    pub fn attach_script(
        &self,
        env: Env,
        mmio: bool,
        base: f64,
        length: f64,
        posted: Option<Vec<f64>>,
        route: u32,
    ) -> Result<()> {
        let claim = claim(mmio, base, length, posted.as_deref());
        guarded(&env, || self.inner.attach(&claim, Target::Script(ScriptDevice::new(route, port()?))))
    }

    /// Whether an access that nobody claims is answered as an empty bus does, without an exit.
    #[napi(catch_unwind)]
    pub fn set_empty_bus(&self, env: Env, empty: bool) -> Result<()> {
        guarded(&env, || self.inner.set_empty_bus(empty))
    }

    /// Gives a claim up.
    #[napi(catch_unwind)]
    pub fn detach(&self, env: Env, mmio: bool, base: f64) -> Result<()> {
        guarded(&env, || self.inner.detach(bus(mmio), base as u64))
    }

    // ---- interrupts and clocks

    /// `KVM_CREATE_IRQCHIP`.
    #[napi(catch_unwind)]
    pub fn create_irq_chip(&self, env: Env) -> Result<()> {
        guarded(&env, || self.inner.create_irq_chip())
    }

    /// `KVM_IRQ_LINE`.
    #[napi(catch_unwind)]
    pub fn set_irq_line(&self, env: Env, irq: u32, active: bool) -> Result<()> {
        guarded(&env, || self.inner.set_irq_line(irq, active))
    }

    /// `KVM_IRQFD`.
    #[napi(catch_unwind)]
    pub fn register_irqfd(
        &self,
        env: Env,
        event: &NativeEventFd,
        gsi: u32,
        resample: Option<&NativeEventFd>,
    ) -> Result<()> {
        let resample = resample.map(|event| &event.inner);
        guarded(&env, || self.inner.register_irqfd(&event.inner, gsi, resample))
    }

    /// `KVM_IRQFD`, deassigned.
    #[napi(catch_unwind)]
    pub fn unregister_irqfd(&self, env: Env, event: &NativeEventFd, gsi: u32) -> Result<()> {
        guarded(&env, || self.inner.unregister_irqfd(&event.inner, gsi))
    }

    /// `KVM_IOEVENTFD`.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments, reason = "one flat call; lib/internal gives it a shape")]
    pub fn ioeventfd(
        &self,
        env: Env,
        event: &NativeEventFd,
        mmio: bool,
        address: f64,
        length: u32,
        datamatch: Option<BigInt>,
        assign: bool,
    ) -> Result<()> {
        let at = io_event(mmio, address, length, datamatch);
        guarded(&env, || self.inner.ioeventfd(&event.inner, &at, assign))
    }

    /// `KVM_SIGNAL_MSI`.
    #[napi(catch_unwind)]
    pub fn signal_msi(&self, env: Env, address: BigInt, data: u32, device_id: Option<u32>) -> Result<bool> {
        guarded(&env, || self.inner.signal_msi(address.get_u64().1, data, device_id))
    }

    /// Reads one of the machine's structures, by its number in `VM_STATE`; `index`: which interrupt controller.
    #[napi(catch_unwind)]
    pub fn get_state(
        &self,
        env: Env,
        state: u32,
        index: u32,
        mut target: Uint8ArraySlice<'_>,
    ) -> Result<u32> {
        guarded(&env, || {
            let state = VmState::from_number(state).ok_or_else(no_such_state)?;
            Ok(self.inner.get_state(state, index, lent_slice(&mut target))? as u32)
        })
    }

    /// Writes one of the machine's structures.
    #[napi(catch_unwind)]
    pub fn set_state(&self, env: Env, state: u32, index: u32, bytes: &[u8]) -> Result<()> {
        guarded(&env, || {
            let state = VmState::from_number(state).ok_or_else(no_such_state)?;
            self.inner.set_state(state, index, bytes)
        })
    }

    /// Throws unless the whole range is mapped.
    #[napi(catch_unwind)]
    pub fn check_memory(&self, env: Env, address: f64, length: f64) -> Result<()> {
        guarded(&env, || self.inner.memory.check(address as u64, length as u64))
    }

    /// Throws unless the machine is open.
    #[napi(catch_unwind)]
    pub fn check_open(&self, env: Env) -> Result<()> {
        if self.inner.is_closed() {
            return Err(throw(&env, &Error::closed("Vm")));
        }
        Ok(())
    }
}
