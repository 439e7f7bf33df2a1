//! Binary statistics of the machine and its vCPUs.

use super::VmCore;
use crate::stats::Stats;
use crate::{Error, VcpuCore};
use kvm_bindings::KVM_CAP_BINARY_STATS_FD;
use std::sync::Arc;

const CAPABILITY: &str = "KVM_CAP_BINARY_STATS_FD";

impl VmCore {
    /// `KVM_GET_STATS_FD`: the machine's statistics, opened at the first call and closed with it.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`](crate::ErrorCode::Unsupported), [`ErrorCode::Ioctl`](crate::ErrorCode::Ioctl),
    /// [`ErrorCode::Closed`](crate::ErrorCode::Closed).
    pub fn stats(&self) -> Result<Arc<Stats>, Error> {
        self.require(KVM_CAP_BINARY_STATS_FD, CAPABILITY)?;
        self.with(|vm| {
            // Under the descriptor's lock, so that closing, which takes the descriptor first, finds it.
            let mut stats = self.stats.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if let Some(open) = &*stats {
                return Ok(Arc::clone(open));
            }
            let open = Stats::open(vm, "Vm")?;
            *stats = Some(Arc::clone(&open));
            Ok(open)
        })
    }

    pub(super) fn close_stats(&self) {
        if let Some(stats) = self.stats.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take() {
            stats.close();
        }
    }
}

impl VcpuCore {
    /// `KVM_GET_STATS_FD`: the vCPU's statistics, opened at the first call and closed with it.
    ///
    /// # Errors
    ///
    /// As [`VmCore::stats`]; [`ErrorCode::Busy`](crate::ErrorCode::Busy) at the first call while the vCPU runs: later
    /// ones give what is open.
    pub fn stats(&self) -> Result<Arc<Stats>, Error> {
        if self.is_closed() {
            return Err(Error::closed("Vcpu"));
        }
        if let Some(open) = self.open_stats().as_ref() {
            return Ok(Arc::clone(open));
        }
        self.vm.require(KVM_CAP_BINARY_STATS_FD, CAPABILITY)?;
        self.with(|fd| {
            let open = Stats::open(fd, "Vcpu")?;
            *self.open_stats() = Some(Arc::clone(&open));
            Ok(open)
        })
    }
}
