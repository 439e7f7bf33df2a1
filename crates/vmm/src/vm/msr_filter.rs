//! Which MSRs the guest may touch (`KVM_X86_SET_MSR_FILTER`).

use super::VmCore;
use crate::error::IoctlResult;
use crate::{Error, ErrorCode};
use kvm_bindings::KVM_CAP_X86_MSR_FILTER;
use kvm_ioctls::{MsrFilterDefaultAction, MsrFilterRange, MsrFilterRangeFlags};

/// MSRs that follow each other, and a bit for each: 1 lets the guest through.
#[derive(Debug, Clone, Copy)]
pub struct MsrRange<'a> {
    /// `KVM_MSR_FILTER_READ`, `KVM_MSR_FILTER_WRITE`.
    pub flags: u32,
    /// The first MSR.
    pub base: u32,
    /// How many.
    pub count: u32,
    /// The bits, 8 a byte, the lowest first.
    pub bitmap: &'a [u8],
}

impl VmCore {
    /// `KVM_X86_SET_MSR_FILTER`: replaces the machine's filter. `deny` is what becomes of MSRs that no range has.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`], [`ErrorCode::Ioctl`] (`EINVAL` for a filter that KVM does not take),
    /// [`ErrorCode::Closed`].
    pub fn set_msr_filter(&self, deny: bool, ranges: &[MsrRange<'_>]) -> Result<(), Error> {
        const SYSCALL: &str = "KVM_X86_SET_MSR_FILTER";
        self.require(KVM_CAP_X86_MSR_FILTER, "KVM_CAP_X86_MSR_FILTER")?;
        let action = if deny { MsrFilterDefaultAction::DENY } else { MsrFilterDefaultAction::ALLOW };
        let ranges: Option<Vec<_>> = ranges
            .iter()
            .map(|range| {
                let flags = MsrFilterRangeFlags::from_bits(range.flags)?;
                Some(MsrFilterRange { flags, base: range.base, msr_count: range.count, bitmap: range.bitmap })
            })
            .collect();
        let ranges = ranges.ok_or_else(|| Error::os(ErrorCode::Ioctl, SYSCALL, libc::EINVAL))?;
        self.with(|vm| vm.set_msr_filter(action, &ranges).ioctl(SYSCALL))
    }
}
