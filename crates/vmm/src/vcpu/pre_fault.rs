//! Guest memory that is populated before the guest touches it.

use super::VcpuCore;
use crate::raw_ioctl::pre_fault::pre_fault_memory;
use crate::{Error, ErrorCode};
use kvm_bindings::{KVM_CAP_PRE_FAULT_MEMORY, kvm_pre_fault_memory};

const SYSCALL: &str = "KVM_PRE_FAULT_MEMORY";

/// How often a call that did nothing is made again: a signal came, or the page tables changed under it.
const IN_VAIN: u32 = 1000;

impl VcpuCore {
    /// `KVM_PRE_FAULT_MEMORY`: maps a range in the guest's page tables of the second stage, as if it had read it there.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`], [`ErrorCode::Busy`], [`ErrorCode::Closed`], [`ErrorCode::Ioctl`] (`ENOENT` for an
    /// address without memory); what lies before it is populated then.
    pub fn pre_fault_memory(&self, address: u64, size: u64) -> Result<(), Error> {
        self.vm.require(KVM_CAP_PRE_FAULT_MEMORY, "KVM_CAP_PRE_FAULT_MEMORY")?;
        self.with(|fd| {
            let mut range = kvm_pre_fault_memory { gpa: address, size, ..Default::default() };
            let mut in_vain = 0;
            while range.size > 0 {
                let before = range.size;
                let errno = pre_fault_memory(fd, &mut range).err();
                in_vain = if range.size < before { 0 } else { in_vain + 1 };
                match errno {
                    Some(libc::EINTR | libc::EAGAIN) if in_vain < IN_VAIN => {}
                    Some(errno) => return Err(Error::os(ErrorCode::Ioctl, SYSCALL, errno)),
                    None if in_vain < IN_VAIN => {}
                    None => return Err(Error::os(ErrorCode::Ioctl, SYSCALL, libc::EAGAIN)),
                }
            }
            Ok(())
        })
    }
}
