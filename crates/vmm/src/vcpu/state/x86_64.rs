//! The vCPU's registers and tables on x86_64, each by its ioctl.

use super::VcpuState;
use crate::error::IoctlResult;
use crate::kvm::{checked_msrs, msr_request};
use crate::raw_ioctl::x86_64 as raw;
use crate::state::{from_bytes, put};
use crate::vcpu::VcpuCore;
use crate::{Error, ErrorCode};
use kvm_bindings::{
    CpuId, KVM_GUESTDBG_ENABLE, KVM_GUESTDBG_SINGLESTEP, KVM_GUESTDBG_USE_HW_BP, KVM_MAX_CPUID_ENTRIES, Msrs,
    kvm_cpuid_entry2, kvm_guest_debug, kvm_guest_debug_arch, kvm_lapic_state, kvm_msr_entry, kvm_regs,
    kvm_sregs,
};
use zerocopy::IntoBytes;

/// Where `struct kvm_sync_regs` is in `struct kvm_run`.
const SYNC_REGS: usize = std::mem::offset_of!(kvm_bindings::kvm_run, s);

impl VcpuCore {
    /// Reads one of the vCPU's structures into `target`; the bytes that it has.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::State`] when the target has another size, [`ErrorCode::Unsupported`] for a structure that this
    /// architecture does not have, [`ErrorCode::Busy`], [`ErrorCode::Closed`], [`ErrorCode::Ioctl`].
    pub fn get_state(&self, state: VcpuState, target: &mut [u8]) -> Result<usize, Error> {
        self.with(|fd| match state {
            VcpuState::Regs => put(target, fd.get_regs().ioctl("KVM_GET_REGS")?.as_bytes()),
            VcpuState::Sregs => put(target, fd.get_sregs().ioctl("KVM_GET_SREGS")?.as_bytes()),
            VcpuState::Lapic => put(target, fd.get_lapic().ioctl("KVM_GET_LAPIC")?.as_bytes()),
            VcpuState::Events => put(target, fd.get_vcpu_events().ioctl("KVM_GET_VCPU_EVENTS")?.as_bytes()),
            VcpuState::Fpu => raw::FPU.get(fd, target),
            VcpuState::Xcrs => put(target, fd.get_xcrs().ioctl("KVM_GET_XCRS")?.as_bytes()),
            VcpuState::DebugRegs => put(target, fd.get_debug_regs().ioctl("KVM_GET_DEBUGREGS")?.as_bytes()),
            VcpuState::Sregs2 => self.get_sregs2(fd, target),
            VcpuState::Xsave => self.get_xsave(fd, target, false),
            VcpuState::Xsave2 => self.get_xsave(fd, target, true),
            VcpuState::NestedState => self.get_nested_state(fd, target),
        })
    }

    /// Writes one of the vCPU's structures.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::State`] when the bytes have another size; else as [`get_state`](Self::get_state).
    pub fn set_state(&self, state: VcpuState, bytes: &[u8]) -> Result<(), Error> {
        self.with(|fd| match state {
            VcpuState::Regs => fd.set_regs(&from_bytes("kvm_regs", bytes)?).ioctl("KVM_SET_REGS"),
            VcpuState::Sregs => {
                let sregs: kvm_sregs = from_bytes("kvm_sregs", bytes)?;
                fd.set_sregs(&sregs).ioctl("KVM_SET_SREGS")?;
                self.keep_cr8(sregs.cr8);
                Ok(())
            }
            VcpuState::Lapic => {
                let lapic: kvm_lapic_state = from_bytes("kvm_lapic_state", bytes)?;
                fd.set_lapic(&lapic).ioctl("KVM_SET_LAPIC")
            }
            VcpuState::Events => {
                let events = from_bytes("kvm_vcpu_events", bytes)?;
                fd.set_vcpu_events(&events).ioctl("KVM_SET_VCPU_EVENTS")
            }
            VcpuState::Fpu => raw::FPU.set(fd, bytes),
            VcpuState::Xcrs => fd.set_xcrs(&from_bytes("kvm_xcrs", bytes)?).ioctl("KVM_SET_XCRS"),
            VcpuState::DebugRegs => {
                fd.set_debug_regs(&from_bytes("kvm_debugregs", bytes)?).ioctl("KVM_SET_DEBUGREGS")
            }
            VcpuState::Sregs2 => self.set_sregs2(fd, bytes),
            VcpuState::Xsave => self.set_xsave(fd, bytes, false),
            VcpuState::Xsave2 => self.set_xsave(fd, bytes, true),
            VcpuState::NestedState => self.set_nested_state(fd, bytes),
        })
    }

    /// Without a local APIC in the kernel KVM takes the task priority from the shared page at each entry: what was set
    /// otherwise would be gone.
    pub(super) fn keep_cr8(&self, cr8: u64) {
        self.pages.store(std::mem::offset_of!(kvm_bindings::kvm_run, cr8), &cr8.to_ne_bytes());
    }

    /// `KVM_GET_REGS` into the shared page, where sync regs would have put them.
    ///
    /// # Errors
    ///
    /// As [`get_state`](Self::get_state).
    pub fn load_regs(&self) -> Result<(), Error> {
        self.with(|fd| {
            self.pages.store(SYNC_REGS, fd.get_regs().ioctl("KVM_GET_REGS")?.as_bytes());
            Ok(())
        })
    }

    /// `KVM_SET_REGS` from there.
    ///
    /// # Errors
    ///
    /// As [`get_state`](Self::get_state).
    pub(crate) fn store_regs(&self) -> Result<(), Error> {
        self.with(|fd| {
            let mut regs = kvm_regs::default();
            self.pages.load(SYNC_REGS, regs.as_mut_bytes());
            fd.set_regs(&regs).ioctl("KVM_SET_REGS")
        })
    }

    /// `KVM_GET_TSC_KHZ`: how fast the guest's time stamp counter runs.
    ///
    /// # Errors
    ///
    /// As [`get_state`](Self::get_state).
    pub fn tsc_khz(&self) -> Result<u32, Error> {
        self.with(|fd| fd.get_tsc_khz().ioctl("KVM_GET_TSC_KHZ"))
    }

    /// `KVM_GET_CPUID2`.
    ///
    /// # Errors
    ///
    /// As [`get_state`](Self::get_state).
    pub fn cpuid2(&self) -> Result<Vec<kvm_cpuid_entry2>, Error> {
        // Kernels before 6.3 fill in the entries and leave their number as it was asked: what they did not touch is
        // told by a mark that no entry can have, since KVM copies its own padding.
        const UNTOUCHED: kvm_cpuid_entry2 = kvm_cpuid_entry2 {
            function: u32::MAX,
            index: u32::MAX,
            flags: u32::MAX,
            eax: u32::MAX,
            ebx: u32::MAX,
            ecx: u32::MAX,
            edx: u32::MAX,
            padding: [u32::MAX; 3],
        };
        let mut cpuid = CpuId::from_entries(&[UNTOUCHED; KVM_MAX_CPUID_ENTRIES])
            .map_err(|_| Error::os(ErrorCode::Ioctl, "KVM_GET_CPUID2", libc::ENOMEM))?;
        self.with(|fd| raw::get_cpuid2(fd, &mut cpuid))?;
        Ok(cpuid.as_slice().iter().copied().take_while(|entry| *entry != UNTOUCHED).collect())
    }

    /// `KVM_SET_CPUID2`.
    ///
    /// # Errors
    ///
    /// As [`get_state`](Self::get_state); `E2BIG` for more entries than KVM takes.
    pub fn set_cpuid2(&self, entries: &[kvm_cpuid_entry2]) -> Result<(), Error> {
        let cpuid = CpuId::from_entries(entries)
            .map_err(|_| Error::os(ErrorCode::Ioctl, "KVM_SET_CPUID2", libc::E2BIG))?;
        self.with(|fd| fd.set_cpuid2(&cpuid).ioctl("KVM_SET_CPUID2"))
    }

    /// `KVM_GET_MSRS`.
    ///
    /// # Errors
    ///
    /// As [`get_state`](Self::get_state); the error names the first MSR that the host refused.
    pub fn msrs(&self, indices: &[u32]) -> Result<Vec<kvm_msr_entry>, Error> {
        let mut msrs = msr_request(indices)?;
        let got = self.with(|fd| fd.get_msrs(&mut msrs).ioctl("KVM_GET_MSRS"))?;
        checked_msrs(&msrs, got, "KVM_GET_MSRS")
    }

    /// The same for entries that have the numbers.
    pub(crate) fn fill_msrs(&self, entries: &[kvm_msr_entry]) -> Result<Vec<kvm_msr_entry>, Error> {
        let mut msrs = Msrs::from_entries(entries)
            .map_err(|_| Error::os(ErrorCode::Ioctl, "KVM_GET_MSRS", libc::E2BIG))?;
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
    /// As [`get_state`](Self::get_state).
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
}
