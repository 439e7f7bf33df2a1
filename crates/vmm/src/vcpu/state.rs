//! The vCPU's registers and tables, each by its ioctl.

use super::VcpuCore;
use crate::error::IoctlResult;
use crate::kvm::{checked_msrs, msr_request};
use crate::vm::from_bytes;
use crate::{Error, ErrorCode};
use kvm_bindings::{
    CpuId, KVM_GUESTDBG_ENABLE, KVM_GUESTDBG_SINGLESTEP, KVM_GUESTDBG_USE_HW_BP, KVM_MAX_CPUID_ENTRIES, Msrs,
    kvm_cpuid_entry2, kvm_guest_debug, kvm_guest_debug_arch, kvm_lapic_state, kvm_mp_state, kvm_msr_entry,
    kvm_regs, kvm_sregs,
};
use kvm_ioctls::VcpuFd;
use zerocopy::IntoBytes;

/// Where `struct kvm_sync_regs` is in `struct kvm_run`.
const SYNC_REGS: usize = std::mem::offset_of!(kvm_bindings::kvm_run, s);

impl VcpuCore {
    fn with<T>(&self, use_fd: impl FnOnce(&VcpuFd) -> Result<T, Error>) -> Result<T, Error> {
        let gate = self.use_now()?;
        match &gate.local().fd {
            Some(fd) => use_fd(fd),
            None => Err(Error::closed("Vcpu")),
        }
    }

    /// `KVM_GET_REGS`: the bytes of `struct kvm_regs`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Busy`], [`ErrorCode::Closed`], [`ErrorCode::Ioctl`].
    pub fn regs(&self) -> Result<Vec<u8>, Error> {
        self.with(|fd| Ok(fd.get_regs().ioctl("KVM_GET_REGS")?.as_bytes().to_vec()))
    }

    /// `KVM_SET_REGS`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Busy`], [`ErrorCode::Closed`], [`ErrorCode::Ioctl`], [`ErrorCode::State`] for a wrong size.
    pub fn set_regs(&self, bytes: &[u8]) -> Result<(), Error> {
        let regs: kvm_regs = from_bytes("kvm_regs", bytes)?;
        self.with(|fd| fd.set_regs(&regs).ioctl("KVM_SET_REGS"))
    }

    /// `KVM_GET_REGS` into the shared page, where sync regs would have put them.
    ///
    /// # Errors
    ///
    /// As [`regs`](Self::regs).
    pub fn load_regs(&self) -> Result<(), Error> {
        let bytes = self.regs()?;
        self.pages.store(SYNC_REGS, &bytes);
        Ok(())
    }

    /// `KVM_GET_SREGS`: the bytes of `struct kvm_sregs`.
    ///
    /// # Errors
    ///
    /// As [`regs`](Self::regs).
    pub fn sregs(&self) -> Result<Vec<u8>, Error> {
        self.with(|fd| Ok(fd.get_sregs().ioctl("KVM_GET_SREGS")?.as_bytes().to_vec()))
    }

    /// `KVM_SET_SREGS`.
    ///
    /// # Errors
    ///
    /// As [`set_regs`](Self::set_regs).
    pub fn set_sregs(&self, bytes: &[u8]) -> Result<(), Error> {
        let sregs: kvm_sregs = from_bytes("kvm_sregs", bytes)?;
        self.with(|fd| fd.set_sregs(&sregs).ioctl("KVM_SET_SREGS"))
    }

    /// `KVM_GET_MP_STATE`.
    ///
    /// # Errors
    ///
    /// As [`regs`](Self::regs).
    pub fn mp_state(&self) -> Result<u32, Error> {
        self.with(|fd| Ok(fd.get_mp_state().ioctl("KVM_GET_MP_STATE")?.mp_state))
    }

    /// `KVM_SET_MP_STATE`.
    ///
    /// # Errors
    ///
    /// As [`regs`](Self::regs).
    pub fn set_mp_state(&self, state: u32) -> Result<(), Error> {
        self.with(|fd| fd.set_mp_state(kvm_mp_state { mp_state: state }).ioctl("KVM_SET_MP_STATE"))
    }

    /// `KVM_GET_LAPIC`: the bytes of `struct kvm_lapic_state`, the registers of the local APIC.
    ///
    /// # Errors
    ///
    /// As [`regs`](Self::regs); `EINVAL` without the in-kernel interrupt controllers.
    pub fn lapic(&self) -> Result<Vec<u8>, Error> {
        self.with(|fd| Ok(fd.get_lapic().ioctl("KVM_GET_LAPIC")?.regs.map(|byte| byte as u8).to_vec()))
    }

    /// `KVM_SET_LAPIC`.
    ///
    /// # Errors
    ///
    /// As [`set_regs`](Self::set_regs).
    pub fn set_lapic(&self, bytes: &[u8]) -> Result<(), Error> {
        let lapic: kvm_lapic_state = from_bytes("kvm_lapic_state", bytes)?;
        self.with(|fd| fd.set_lapic(&lapic).ioctl("KVM_SET_LAPIC"))
    }

    /// `KVM_GET_TSC_KHZ`: how fast the guest's time stamp counter runs.
    ///
    /// # Errors
    ///
    /// As [`regs`](Self::regs).
    pub fn tsc_khz(&self) -> Result<u32, Error> {
        self.with(|fd| fd.get_tsc_khz().ioctl("KVM_GET_TSC_KHZ"))
    }

    /// `KVM_GET_CPUID2`.
    ///
    /// # Errors
    ///
    /// As [`regs`](Self::regs).
    pub fn cpuid2(&self) -> Result<Vec<kvm_cpuid_entry2>, Error> {
        self.with(|fd| {
            let cpuid = fd.get_cpuid2(KVM_MAX_CPUID_ENTRIES).ioctl("KVM_GET_CPUID2")?;
            Ok(cpuid.as_slice().to_vec())
        })
    }

    /// `KVM_SET_CPUID2`.
    ///
    /// # Errors
    ///
    /// As [`regs`](Self::regs); `E2BIG` for more entries than KVM takes.
    pub fn set_cpuid2(&self, entries: &[kvm_cpuid_entry2]) -> Result<(), Error> {
        let cpuid = CpuId::from_entries(entries)
            .map_err(|_| Error::os(ErrorCode::Ioctl, "KVM_SET_CPUID2", libc::E2BIG))?;
        self.with(|fd| fd.set_cpuid2(&cpuid).ioctl("KVM_SET_CPUID2"))
    }

    /// `KVM_GET_MSRS`.
    ///
    /// # Errors
    ///
    /// As [`regs`](Self::regs); the error names the first MSR that the host refused.
    pub fn msrs(&self, indices: &[u32]) -> Result<Vec<kvm_msr_entry>, Error> {
        let mut msrs = msr_request(indices)?;
        let got = self.with(|fd| fd.get_msrs(&mut msrs).ioctl("KVM_GET_MSRS"))?;
        checked_msrs(&msrs, got, "KVM_GET_MSRS")
    }

    /// `KVM_SET_MSRS`. Those before the refused one are set.
    ///
    /// # Errors
    ///
    /// As [`msrs`](Self::msrs).
    pub fn set_msrs(&self, entries: &[kvm_msr_entry]) -> Result<(), Error> {
        let msrs = Msrs::from_entries(entries)
            .map_err(|_| Error::os(ErrorCode::Ioctl, "KVM_SET_MSRS", libc::E2BIG))?;
        let set = self.with(|fd| fd.set_msrs(&msrs).ioctl("KVM_SET_MSRS"))?;
        checked_msrs(&msrs, set, "KVM_SET_MSRS").map(|_| ())
    }

    /// `KVM_SET_GUEST_DEBUG`: single step, and up to four hardware breakpoints on instructions.
    ///
    /// # Errors
    ///
    /// As [`regs`](Self::regs).
    pub fn set_guest_debug(&self, single_step: bool, breakpoints: &[u64]) -> Result<(), Error> {
        /// Debug register 7: local enable bits of breakpoint 0; each next one is two bits further.
        const DR7_LOCAL_ENABLE: u64 = 1;
        /// Bit 10 of debug register 7 always reads as one.
        const DR7_FIXED: u64 = 1 << 10;
        let mut control = 0;
        if single_step {
            control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
        }
        let mut debugreg = [0; 8];
        if !breakpoints.is_empty() {
            control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP;
            debugreg[7] = DR7_FIXED;
            for (index, address) in breakpoints.iter().take(4).enumerate() {
                debugreg[index] = *address;
                debugreg[7] |= DR7_LOCAL_ENABLE << (index * 2);
            }
        }
        let debug = kvm_guest_debug { control, pad: 0, arch: kvm_guest_debug_arch { debugreg } };
        self.with(|fd| fd.set_guest_debug(&debug).ioctl("KVM_SET_GUEST_DEBUG"))
    }

    /// `KVM_NMI`.
    ///
    /// # Errors
    ///
    /// As [`regs`](Self::regs).
    pub fn nmi(&self) -> Result<(), Error> {
        self.with(|fd| fd.nmi().ioctl("KVM_NMI"))
    }
}
