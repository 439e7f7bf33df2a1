//! The vCPU's state: registers, tables, events. What both architectures have is here.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
mod x86_events;
#[cfg(target_arch = "x86_64")]
mod x86_extended;

use super::VcpuCore;
use crate::error::IoctlResult;
use crate::state::states;
use crate::{Error, ErrorCode};
use kvm_bindings::kvm_mp_state;
use kvm_ioctls::VcpuFd;
use std::os::fd::AsRawFd;

states! {
    /// A structure of the vCPU that one ioctl reads and one writes.
    VcpuState {
        /// `struct kvm_regs`: the general-purpose registers of x86_64.
        Regs,
        /// `struct kvm_sregs`: segments, control registers, EFER.
        Sregs,
        /// `struct kvm_lapic_state`: the registers of the local APIC.
        Lapic,
        /// `struct kvm_vcpu_events`: exceptions and interrupts that wait.
        Events,
        /// `struct kvm_fpu`: the registers of x87 and SSE.
        Fpu,
        /// `struct kvm_xcrs`: the extended control registers.
        Xcrs,
        /// `struct kvm_debugregs`: the guest's own debug registers.
        DebugRegs,
        /// `struct kvm_sregs2`: as `Sregs`, with the page-directory pointers of PAE paging.
        Sregs2,
        /// `struct kvm_xsave`: the extended state as `xsave` stores it, in 4096 bytes.
        Xsave,
        /// The same in as many bytes as the host's processor needs.
        Xsave2,
        /// `struct kvm_nested_state`: the state of a hypervisor in the guest.
        NestedState,
    }
}

impl VcpuCore {
    pub(crate) fn with<T>(&self, use_fd: impl FnOnce(&VcpuFd) -> Result<T, Error>) -> Result<T, Error> {
        let gate = self.use_now()?;
        match &gate.local().fd {
            Some(fd) => use_fd(fd),
            None => Err(Error::closed("Vcpu")),
        }
    }

    /// The number of the vCPU's descriptor, for use with other interfaces of the kernel, or of this package.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Busy`], [`ErrorCode::Closed`].
    pub fn raw_fd(&self) -> Result<i32, Error> {
        self.vm.share();
        self.with(|fd| Ok(fd.as_raw_fd()))
    }

    /// `KVM_GET_MP_STATE`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Busy`], [`ErrorCode::Closed`], [`ErrorCode::Ioctl`].
    pub fn mp_state(&self) -> Result<u32, Error> {
        self.with(|fd| Ok(fd.get_mp_state().ioctl("KVM_GET_MP_STATE")?.mp_state))
    }

    /// `KVM_SET_MP_STATE`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Busy`], [`ErrorCode::Closed`], [`ErrorCode::Ioctl`].
    pub fn set_mp_state(&self, state: u32) -> Result<(), Error> {
        self.with(|fd| fd.set_mp_state(kvm_mp_state { mp_state: state }).ioctl("KVM_SET_MP_STATE"))
    }

    /// `KVM_GET_ONE_REG`: the register's bytes, as many as its id says (`KVM_REG_SIZE_…`).
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`] (`ENOENT` for a register that does not exist), [`ErrorCode::State`] when the target is
    /// smaller than the register, [`ErrorCode::Busy`], [`ErrorCode::Closed`].
    pub fn one_reg(&self, id: u64, target: &mut [u8]) -> Result<usize, Error> {
        check_register_size(id, target.len())?;
        self.with(|fd| fd.get_one_reg(id, target).ioctl("KVM_GET_ONE_REG"))
    }

    /// `KVM_SET_ONE_REG`.
    ///
    /// # Errors
    ///
    /// As [`one_reg`](Self::one_reg).
    pub fn set_one_reg(&self, id: u64, bytes: &[u8]) -> Result<(), Error> {
        check_register_size(id, bytes.len())?;
        self.with(|fd| fd.set_one_reg(id, bytes).ioctl("KVM_SET_ONE_REG").map(|_| ()))
    }
}

/// The kernel reads and writes as many bytes as the id says, whatever it is given.
fn check_register_size(id: u64, given: usize) -> Result<(), Error> {
    let size = kvm_ioctls::reg_size(id);
    if size == given {
        return Ok(());
    }
    Err(Error::new(ErrorCode::State, format!("register {id:#x} has {size} bytes, not {given}")))
}
