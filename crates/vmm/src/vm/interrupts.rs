//! Interrupts and event descriptors of the machine.

use super::VmCore;
use crate::error::IoctlResult;
use crate::raw_ioctl;
use crate::{Bus, Error, EventFd};
use kvm_bindings::{kvm_ioeventfd, kvm_msi};

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
    /// `KVM_CREATE_IRQCHIP`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`] (`EEXIST` the second time), [`ErrorCode::Closed`].
    pub fn create_irq_chip(&self) -> Result<(), Error> {
        self.with(|vm| vm.create_irq_chip().ioctl("KVM_CREATE_IRQCHIP"))
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
}
