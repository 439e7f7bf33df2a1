//! The vCPU's state on aarch64: registers one by one, by their ids, and what makes a vCPU a processor.

use super::VcpuState;
use crate::error::IoctlResult;
use crate::layout::ArmVcpuEvents;
use crate::state::{absent, from_bytes, put};
use crate::vcpu::VcpuCore;
use crate::{Error, ErrorCode, attribute};
use kvm_bindings::{
    KVM_CAP_GUEST_DEBUG_HW_BPS, KVM_GUESTDBG_ENABLE, KVM_GUESTDBG_SINGLESTEP, KVM_GUESTDBG_USE_HW, RegList,
    kvm_guest_debug, kvm_guest_debug_arch, kvm_vcpu_init,
};
use zerocopy::IntoBytes;

/// As many as the bindings take; a processor with SVE has about 350.
const REGISTERS: usize = 500;

impl VcpuCore {
    /// Reads one of the vCPU's structures into `target`; the bytes that it has.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::State`] when the target has another size, [`ErrorCode::Unsupported`] for a structure that this
    /// architecture does not have, [`ErrorCode::Busy`], [`ErrorCode::Closed`], [`ErrorCode::Ioctl`].
    pub fn get_state(&self, state: VcpuState, target: &mut [u8]) -> Result<usize, Error> {
        self.with(|fd| match state {
            VcpuState::Events => {
                let events = fd.get_vcpu_events().ioctl("KVM_GET_VCPU_EVENTS")?;
                put(target, ArmVcpuEvents::from(events).as_bytes())
            }
            _ => Err(absent(&format!("{state:?}"))),
        })
    }

    /// Writes one of the vCPU's structures.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::State`] when the bytes have another size; else as [`get_state`](Self::get_state).
    pub fn set_state(&self, state: VcpuState, bytes: &[u8]) -> Result<(), Error> {
        self.with(|fd| match state {
            VcpuState::Events => {
                let events: ArmVcpuEvents = from_bytes("kvm_vcpu_events", bytes)?;
                fd.set_vcpu_events(&events.into()).ioctl("KVM_SET_VCPU_EVENTS")
            }
            _ => Err(absent(&format!("{state:?}"))),
        })
    }

    /// `KVM_GET_REGS` does not exist on aarch64.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`], always.
    pub fn load_regs(&self) -> Result<(), Error> {
        Err(absent("KVM_GET_REGS"))
    }

    /// `KVM_ARM_VCPU_INIT`: makes the vCPU a processor of this type, with these features, in its reset state.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`] (`EINVAL` for a type or a feature that the host lacks), [`ErrorCode::Busy`],
    /// [`ErrorCode::Closed`].
    pub fn init(&self, target: u32, features: &[u32]) -> Result<(), Error> {
        let mut request = kvm_vcpu_init { target, ..Default::default() };
        request.features.iter_mut().zip(features).for_each(|(word, given)| *word = *given);
        self.with(|fd| fd.vcpu_init(&request).ioctl("KVM_ARM_VCPU_INIT"))
    }

    /// `KVM_ARM_VCPU_FINALIZE`: a feature's settings are final.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`] (`EINVAL` for a feature that needs none), [`ErrorCode::Busy`], [`ErrorCode::Closed`].
    pub fn finalize(&self, feature: i32) -> Result<(), Error> {
        self.with(|fd| fd.vcpu_finalize(&feature).ioctl("KVM_ARM_VCPU_FINALIZE"))
    }

    /// `KVM_GET_REG_LIST`: the ids of the registers that the vCPU has.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`] (`ENOEXEC` before [`init`](Self::init)), [`ErrorCode::Busy`], [`ErrorCode::Closed`].
    pub fn reg_list(&self) -> Result<Vec<u64>, Error> {
        let mut list = RegList::new(REGISTERS)
            .map_err(|_| Error::os(ErrorCode::Ioctl, "KVM_GET_REG_LIST", libc::E2BIG))?;
        self.with(|fd| fd.get_reg_list(&mut list).ioctl("KVM_GET_REG_LIST"))?;
        Ok(list.as_slice().to_vec())
    }

    /// `KVM_SET_GUEST_DEBUG`: single step, and hardware breakpoints on instructions.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`] for more breakpoints than the processor has, which KVM would forget without a word;
    /// [`ErrorCode::Busy`], [`ErrorCode::Closed`], [`ErrorCode::Ioctl`].
    pub fn set_guest_debug(&self, single_step: bool, breakpoints: &[u64]) -> Result<(), Error> {
        /// `DBGBCR<n>_EL1`: enabled, at EL1 and EL0 (`PMC` 0b11), all four bytes of the instruction (`BAS` 0b1111).
        const BREAK_ON_INSTRUCTION: u64 = 0b1111 << 5 | 0b11 << 1 | 1;
        let mut control = 0;
        if single_step {
            control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
        }
        let mut arch = kvm_guest_debug_arch::default();
        if !breakpoints.is_empty() {
            let most = self.vm.check_extension(KVM_CAP_GUEST_DEBUG_HW_BPS)?;
            if usize::try_from(most).unwrap_or(0) < breakpoints.len() {
                let asked = breakpoints.len();
                let message = format!("{asked} hardware breakpoints: this host's processor has {most}");
                return Err(Error::new(ErrorCode::Unsupported, message));
            }
            control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW;
            for (index, address) in breakpoints.iter().take(arch.dbg_bvr.len()).enumerate() {
                arch.dbg_bvr[index] = *address;
                arch.dbg_bcr[index] = BREAK_ON_INSTRUCTION;
            }
        }
        let debug = kvm_guest_debug { control, pad: 0, arch };
        self.with(|fd| fd.set_guest_debug(&debug).ioctl("KVM_SET_GUEST_DEBUG"))
    }

    /// `KVM_HAS_DEVICE_ATTR` on the vCPU.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Busy`], [`ErrorCode::Closed`].
    pub fn has_device_attr(&self, group: u32, attribute: u64) -> Result<bool, Error> {
        self.with(|fd| Ok(attribute::has(fd, group, attribute)))
    }

    /// `KVM_SET_DEVICE_ATTR` on the vCPU; the attribute's value is `data`, empty for one that has none.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::NoAttribute`] for one that the vCPU does not have, [`ErrorCode::State`] for a value that is
    /// larger than any, [`ErrorCode::Ioctl`], [`ErrorCode::Busy`], [`ErrorCode::Closed`].
    pub fn set_device_attr(&self, group: u32, attribute: u64, data: &[u8]) -> Result<(), Error> {
        self.with(|fd| attribute::set(fd, group, attribute, data))
    }
}
