//! Interrupts, event descriptors and clocks of the machine.

use super::{VmCore, from_bytes};
use crate::error::IoctlResult;
use crate::raw_ioctl;
use crate::{Bus, Error, EventFd};
use kvm_bindings::{
    KVM_PIT_SPEAKER_DUMMY, kvm_clock_data, kvm_ioeventfd, kvm_irqchip, kvm_msi, kvm_pit_config,
    kvm_pit_state2,
};
use zerocopy::IntoBytes;

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

impl VmCore {
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
