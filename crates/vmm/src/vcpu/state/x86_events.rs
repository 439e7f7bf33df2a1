//! What is done to a vCPU of x86_64 from outside: interrupts, its clock, its capabilities; and its page tables.

use super::x86_extended::absent_here;
use crate::error::IoctlResult;
use crate::host::{lacks_ioctl, lacks_number};
use crate::raw_ioctl::x86_64 as raw;
use crate::vcpu::VcpuCore;
use crate::{Error, ErrorCode};
use kvm_bindings::{
    KVM_CAP_ENABLE_CAP, KVM_CAP_KVMCLOCK_CTRL, KVM_CAP_TSC_CONTROL, KVM_CAP_VAPIC, KVM_CAP_X86_SMM,
    kvm_enable_cap, kvm_translation,
};
use kvm_ioctls::VcpuFd;

impl VcpuCore {
    /// `KVM_NMI`.
    ///
    /// # Errors
    ///
    /// As [`get_state`](Self::get_state).
    pub fn nmi(&self) -> Result<(), Error> {
        self.with(|fd| fd.nmi().ioctl("KVM_NMI"))
    }

    /// `KVM_SMI`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`] where guests have no system management mode; else as
    /// [`get_state`](Self::get_state).
    pub fn smi(&self) -> Result<(), Error> {
        const CAPABILITY: &str = "KVM_CAP_X86_SMM";
        self.with(|fd| {
            self.vm.require(KVM_CAP_X86_SMM, CAPABILITY)?;
            fd.smi().ioctl("KVM_SMI").map_err(|error| absent_here(error, CAPABILITY))
        })
    }

    /// `KVM_INTERRUPT`: an external interrupt with this vector, for machines whose controllers are in user space.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`] (`EINVAL` above 255, `ENXIO` with in-kernel controllers, `EEXIST` while one waits); else
    /// as [`get_state`](Self::get_state).
    pub fn interrupt(&self, vector: u32) -> Result<(), Error> {
        self.with(|fd| raw::interrupt(fd, vector))
    }

    /// `KVM_TPR_ACCESS_REPORTING`: whether accesses to the local APIC's task priority register are exits.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`] where KVM knows that the processor serves the register; else as
    /// [`get_state`](Self::get_state).
    pub fn report_tpr_accesses(&self, enabled: bool) -> Result<(), Error> {
        self.with_vapic(|fd| raw::report_tpr_accesses(fd, enabled))
    }

    /// `KVM_SET_VAPIC_ADDR`: where in guest memory the task priority is kept, too; 0 for nowhere.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`] (`EINVAL` without an in-kernel local APIC, or where there is no memory); else as
    /// [`report_tpr_accesses`](Self::report_tpr_accesses).
    pub fn set_vapic_address(&self, address: u64) -> Result<(), Error> {
        self.with_vapic(|fd| raw::set_vapic_address(fd, address))
    }

    fn with_vapic(&self, use_fd: impl FnOnce(&VcpuFd) -> Result<(), Error>) -> Result<(), Error> {
        self.with(|fd| {
            self.vm.require(KVM_CAP_VAPIC, "KVM_CAP_VAPIC")?;
            use_fd(fd)
        })
    }

    /// `KVM_KVMCLOCK_CTRL`: tells the guest that it was stopped.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`] (`EINVAL` while the guest does not use kvmclock), [`ErrorCode::Unsupported`]; else as
    /// [`get_state`](Self::get_state).
    pub fn kvmclock_ctrl(&self) -> Result<(), Error> {
        self.with(|fd| {
            self.vm.require(KVM_CAP_KVMCLOCK_CTRL, "KVM_CAP_KVMCLOCK_CTRL")?;
            fd.kvmclock_ctrl().ioctl("KVM_KVMCLOCK_CTRL")
        })
    }

    /// `KVM_SET_TSC_KHZ`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`] where the counter's speed cannot be changed and another one is asked for; else as
    /// [`get_state`](Self::get_state).
    pub fn set_tsc_khz(&self, khz: u32) -> Result<(), Error> {
        self.with(|fd| {
            fd.set_tsc_khz(khz).map_err(|error| {
                let scales = self.vm.check_extension(KVM_CAP_TSC_CONTROL).is_ok_and(|value| value > 0);
                if scales {
                    Error::os(ErrorCode::Ioctl, "KVM_SET_TSC_KHZ", error.errno())
                } else {
                    lacks_ioctl("KVM_CAP_TSC_CONTROL", "KVM_SET_TSC_KHZ", error.errno())
                }
            })
        })
    }

    /// `KVM_TRANSLATE`: where a linear address of the guest is; `None` if it is nowhere.
    ///
    /// # Errors
    ///
    /// As [`get_state`](Self::get_state).
    pub fn translate(&self, linear: u64) -> Result<kvm_translation, Error> {
        self.with(|fd| fd.translate_gva(linear).ioctl("KVM_TRANSLATE"))
    }

    /// `KVM_ENABLE_CAP` on the vCPU.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`] when the host does not know the capability; else as
    /// [`get_state`](Self::get_state).
    pub fn enable_cap(&self, capability: u32, arguments: [u64; 4], flags: u32) -> Result<(), Error> {
        let request = kvm_enable_cap { cap: capability, flags, args: arguments, ..Default::default() };
        self.with(|fd| {
            self.vm.require(KVM_CAP_ENABLE_CAP, "KVM_CAP_ENABLE_CAP")?;
            match fd.enable_cap(&request) {
                Err(error) if self.vm.check_extension(capability)? <= 0 => {
                    Err(lacks_number(capability, "KVM_ENABLE_CAP", error.errno()))
                }
                result => result.ioctl("KVM_ENABLE_CAP"),
            }
        })
    }
}
