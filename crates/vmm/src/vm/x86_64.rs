//! What only machines of x86_64 have: the timer, the clock, the state of the interrupt controllers.

use super::{VmCore, VmState};
use crate::error::IoctlResult;
use crate::host::lacks;
use crate::raw_ioctl::x86_64 as raw;
use crate::state::{from_bytes, put};
use crate::{Error, ErrorCode};
use kvm_bindings::{
    KVM_CAP_XEN_HVM, KVM_PIT_SPEAKER_DUMMY, KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL, kvm_irqchip, kvm_pit_config,
};
use zerocopy::IntoBytes;

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

    /// `KVM_XEN_HVM_CONFIG` with `KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL`, or with nothing: whether hypercalls are those of
    /// Xen, and by which MSR (0 for none) the guest gets its page of them.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`], [`ErrorCode::Ioctl`] (`EINVAL` for an MSR that KVM has other use for),
    /// [`ErrorCode::Closed`].
    pub fn set_xen_hypercall_exits(&self, enabled: bool, msr: u32) -> Result<(), Error> {
        const CAPABILITY: &str = "KVM_CAP_XEN_HVM";
        const INTERCEPT: u32 = KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL;
        if self.require(KVM_CAP_XEN_HVM, CAPABILITY)? & INTERCEPT == 0 {
            return Err(lacks("KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL"));
        }
        let (flags, msr) = if enabled { (INTERCEPT, msr) } else { (0, 0) };
        self.with(|vm| raw::xen_hvm_config(vm, flags, msr))
    }

    /// `KVM_CREATE_PIT2`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`] (`ENOENT` without an irqchip), [`ErrorCode::Closed`].
    pub fn create_pit2(&self, speaker_dummy: bool) -> Result<(), Error> {
        let flags = if speaker_dummy { KVM_PIT_SPEAKER_DUMMY } else { 0 };
        self.with(|vm| {
            // Kernels before 6.13 make a timer that nothing hears without interrupt controllers: refused as later
            // ones refuse it.
            if vm.get_irqchip(&mut kvm_irqchip::default()).is_err_and(|error| error.errno() == libc::ENXIO) {
                return Err(Error::os(ErrorCode::Ioctl, "KVM_CREATE_PIT2", libc::ENOENT));
            }
            vm.create_pit2(kvm_pit_config { flags, ..Default::default() }).ioctl("KVM_CREATE_PIT2")
        })
    }

    /// Reads one of the machine's structures into `target`; the bytes that it has. `index`: which interrupt controller.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::State`](crate::ErrorCode::State) when the target has another size,
    /// [`ErrorCode::Ioctl`](crate::ErrorCode::Ioctl), [`ErrorCode::Closed`](crate::ErrorCode::Closed).
    pub fn get_state(&self, state: VmState, index: u32, target: &mut [u8]) -> Result<usize, Error> {
        self.with(|vm| match state {
            VmState::Irqchip => {
                let mut chip = kvm_irqchip { chip_id: index, ..Default::default() };
                vm.get_irqchip(&mut chip).ioctl("KVM_GET_IRQCHIP")?;
                put(target, chip.as_bytes())
            }
            VmState::Pit2 => put(target, vm.get_pit2().ioctl("KVM_GET_PIT2")?.as_bytes()),
            VmState::Clock => put(target, vm.get_clock().ioctl("KVM_GET_CLOCK")?.as_bytes()),
        })
    }

    /// Writes one of the machine's structures.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::State`](crate::ErrorCode::State) for a wrong size; else as [`get_state`](Self::get_state).
    pub fn set_state(&self, state: VmState, index: u32, bytes: &[u8]) -> Result<(), Error> {
        self.with(|vm| match state {
            VmState::Irqchip => {
                let mut chip: kvm_irqchip = from_bytes("kvm_irqchip", bytes)?;
                chip.chip_id = index;
                vm.set_irqchip(&chip).ioctl("KVM_SET_IRQCHIP")
            }
            VmState::Pit2 => vm.set_pit2(&from_bytes("kvm_pit_state2", bytes)?).ioctl("KVM_SET_PIT2"),
            VmState::Clock => vm.set_clock(&from_bytes("kvm_clock_data", bytes)?).ioctl("KVM_SET_CLOCK"),
        })
    }
}
