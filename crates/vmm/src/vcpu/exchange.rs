//! State that changes hands through the shared pages: a call without arguments that V8 would have to unpack.
//!
//! The structure lies in a part of the control page that nothing else uses. JavaScript can write there at any time, so
//! the bytes are copied out before anything looks at them.

use super::{VcpuCore, VcpuState};
use crate::control::{CLOSED_OFFSET, Control, EXCHANGE_OFFSET, EXCHANGE_SIZE};
use crate::{Error, ErrorCode};

const _: () = assert!(size_of::<Control>() <= EXCHANGE_OFFSET && CLOSED_OFFSET + 4 <= 4096);

/// What is done. The generated TypeScript has the same names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Exchange {
    /// Reads a structure.
    GetState = 0,
    /// Writes one.
    SetState = 1,
    /// Reads MSRs: an array of `struct kvm_msr_entry` that has their numbers.
    GetMsrs = 2,
    /// `KVM_GET_REGS` to where sync regs would have put them.
    LoadRegs = 3,
    /// `KVM_SET_REGS` from there.
    StoreRegs = 4,
}

impl Exchange {
    /// All of them with their names in TypeScript.
    pub const ALL: &[(&str, Self)] = &[
        ("GET_STATE", Self::GetState),
        ("SET_STATE", Self::SetState),
        ("GET_MSRS", Self::GetMsrs),
        ("LOAD_REGS", Self::LoadRegs),
        ("STORE_REGS", Self::StoreRegs),
    ];
}

impl VcpuCore {
    /// Does what `request` says: an [`Exchange`] in bits 0 to 7, the structure's number in bits 8 to 15, its size above.
    ///
    /// # Errors
    ///
    /// As [`get_state`](Self::get_state) and [`set_state`](Self::set_state); [`ErrorCode::Internal`] for a request that
    /// nobody makes.
    pub fn exchange(&self, request: u32) -> Result<(), Error> {
        let unknown = || Error::new(ErrorCode::Internal, "no such exchange of state");
        let wanted = Exchange::ALL.iter().find(|(_, one)| *one as u32 == request & 0xff);
        let (_, wanted) = wanted.ok_or_else(unknown)?;
        let size = (request >> 16) as usize;
        let state = || VcpuState::from_number(request >> 8 & 0xff).ok_or_else(unknown);
        let at = self.pages.control_offset() + EXCHANGE_OFFSET;
        match wanted {
            // What is in the page already needs no other buffer.
            Exchange::LoadRegs => self.load_regs(),
            Exchange::StoreRegs => self.store_regs(),
            Exchange::GetState => {
                let mut buffer = [0; EXCHANGE_SIZE];
                let bytes = buffer.get_mut(..size).ok_or_else(unknown)?;
                self.get_state(state()?, bytes)?;
                self.pages.copy_in(at, bytes);
                Ok(())
            }
            Exchange::SetState => {
                let mut buffer = [0; EXCHANGE_SIZE];
                let bytes = buffer.get_mut(..size).ok_or_else(unknown)?;
                self.pages.copy_out(at, bytes);
                self.set_state(state()?, bytes)
            }
            Exchange::GetMsrs => {
                let mut buffer = [0; EXCHANGE_SIZE];
                let bytes = buffer.get_mut(..size).ok_or_else(unknown)?;
                self.pages.copy_out(at, bytes);
                self.get_msrs_into(bytes)?;
                self.pages.copy_in(at, bytes);
                Ok(())
            }
        }
    }

    /// Says in the shared pages that the vCPU is closed: to ask there costs JavaScript no call.
    pub(super) fn announce_close(&self) {
        self.pages.copy_in(self.pages.control_offset() + CLOSED_OFFSET, &1_u32.to_ne_bytes());
    }

    #[cfg(target_arch = "x86_64")]
    fn get_msrs_into(&self, bytes: &mut [u8]) -> Result<(), Error> {
        let entries = crate::wire::parse_msrs(bytes)?;
        crate::wire::copy_msrs(&self.fill_msrs(&entries)?, bytes)
    }

    #[cfg(target_arch = "aarch64")]
    fn get_msrs_into(&self, _bytes: &mut [u8]) -> Result<(), Error> {
        Err(crate::state::absent("KVM_GET_MSRS"))
    }

    #[cfg(target_arch = "aarch64")]
    fn store_regs(&self) -> Result<(), Error> {
        Err(crate::state::absent("KVM_SET_REGS"))
    }
}
