//! State of a vCPU of x86_64 that not every host has, or has in a size of its own.

use crate::host::lacks;
use crate::raw_ioctl::x86_64 as raw;
use crate::vcpu::VcpuCore;
use crate::{Error, ErrorCode};
use kvm_bindings::{KVM_CAP_NESTED_STATE, KVM_CAP_SREGS2, KVM_CAP_XSAVE, KVM_CAP_XSAVE2, kvm_xsave};
use kvm_ioctls::VcpuFd;

/// Where the task priority is in `struct kvm_sregs2`.
const CR8: usize = std::mem::offset_of!(kvm_bindings::kvm_sregs2, cr8);

/// `struct kvm_xsave` without what may follow it.
const XSAVE_SIZE: usize = size_of::<kvm_xsave>();

impl VcpuCore {
    /// How many bytes the structure has on this host: `Xsave2` as many as the processor's extended state needs,
    /// `NestedState` as many as it may have.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`], [`ErrorCode::Closed`].
    pub fn xsave2_size(&self) -> Result<usize, Error> {
        Ok(self.vm.require(KVM_CAP_XSAVE2, "KVM_CAP_XSAVE2")? as usize)
    }

    /// The most bytes that the state of a hypervisor in the guest has on this host.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`], [`ErrorCode::Closed`].
    pub fn nested_state_size(&self) -> Result<usize, Error> {
        Ok(self.vm.require(KVM_CAP_NESTED_STATE, "KVM_CAP_NESTED_STATE")? as usize)
    }

    pub(super) fn get_sregs2(&self, fd: &VcpuFd, target: &mut [u8]) -> Result<usize, Error> {
        self.vm.require(KVM_CAP_SREGS2, "KVM_CAP_SREGS2")?;
        raw::SREGS2.get(fd, target)
    }

    pub(super) fn set_sregs2(&self, fd: &VcpuFd, bytes: &[u8]) -> Result<(), Error> {
        self.vm.require(KVM_CAP_SREGS2, "KVM_CAP_SREGS2")?;
        raw::SREGS2.set(fd, bytes)?;
        let mut cr8 = [0; 8];
        cr8.copy_from_slice(&bytes[CR8..CR8 + 8]);
        self.keep_cr8(u64::from_ne_bytes(cr8));
        Ok(())
    }

    fn xsave_size(&self, extended: bool) -> Result<usize, Error> {
        if extended {
            return self.xsave2_size();
        }
        self.vm.require(KVM_CAP_XSAVE, "KVM_CAP_XSAVE")?;
        Ok(XSAVE_SIZE)
    }

    pub(super) fn get_xsave(&self, fd: &VcpuFd, target: &mut [u8], extended: bool) -> Result<usize, Error> {
        check_size("kvm_xsave", self.xsave_size(extended)?, target.len())?;
        raw::get_xsave(fd, target, extended)?;
        Ok(target.len())
    }

    pub(super) fn set_xsave(&self, fd: &VcpuFd, bytes: &[u8], extended: bool) -> Result<(), Error> {
        check_size("kvm_xsave", self.xsave_size(extended)?, bytes.len())?;
        raw::set_xsave(fd, bytes)
    }

    pub(super) fn get_nested_state(&self, fd: &VcpuFd, target: &mut [u8]) -> Result<usize, Error> {
        self.nested_state_size()?;
        raw::get_nested_state(fd, target)
    }

    pub(super) fn set_nested_state(&self, fd: &VcpuFd, bytes: &[u8]) -> Result<(), Error> {
        self.nested_state_size()?;
        raw::set_nested_state(fd, bytes)
    }
}

fn check_size(name: &str, size: usize, given: usize) -> Result<(), Error> {
    if size == given {
        return Ok(());
    }
    Err(Error::new(ErrorCode::State, format!("{name} has {size} bytes on this host, {given} were given")))
}

/// The refusal of what the host lacks, for the ioctls that have no capability to be asked.
pub(super) fn absent_here(error: Error, capability: &str) -> Error {
    match error.errno {
        Some(libc::ENOTTY | libc::ENOSYS) => {
            Error { errno: error.errno, syscall: error.syscall, ..lacks(capability) }
        }
        _ => error,
    }
}
