//! What only machines of aarch64 have: the preferred processor, and attributes of the machine itself.

use super::{VmCore, VmState};
use crate::error::IoctlResult;
use crate::state::absent;
use crate::{Error, attribute};
use kvm_bindings::kvm_vcpu_init;

impl VmCore {
    /// The machine's structures of x86_64 do not exist here.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`](crate::ErrorCode::Unsupported), always.
    pub fn get_state(&self, state: VmState, _index: u32, _target: &mut [u8]) -> Result<usize, Error> {
        Err(absent(&format!("{state:?}")))
    }

    /// As [`get_state`](Self::get_state).
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`](crate::ErrorCode::Unsupported), always.
    pub fn set_state(&self, state: VmState, _index: u32, _bytes: &[u8]) -> Result<(), Error> {
        Err(absent(&format!("{state:?}")))
    }

    /// `KVM_ARM_PREFERRED_TARGET`: the type of processor that runs best here, and the words of its features.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`](crate::ErrorCode::Ioctl), [`ErrorCode::Closed`](crate::ErrorCode::Closed).
    pub fn preferred_target(&self) -> Result<(u32, Vec<u32>), Error> {
        let mut preferred = kvm_vcpu_init::default();
        self.with(|vm| vm.get_preferred_target(&mut preferred).ioctl("KVM_ARM_PREFERRED_TARGET"))?;
        Ok((preferred.target, preferred.features.to_vec()))
    }

    /// `KVM_HAS_DEVICE_ATTR` on the machine.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Closed`](crate::ErrorCode::Closed).
    pub fn has_device_attr(&self, group: u32, attribute: u64) -> Result<bool, Error> {
        self.with(|vm| Ok(attribute::has(vm, group, attribute)))
    }

    /// `KVM_SET_DEVICE_ATTR` on the machine; the attribute's value is `data`, empty for one that has none.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::NoAttribute`](crate::ErrorCode::NoAttribute) for one that the machine does not have,
    /// [`ErrorCode::State`](crate::ErrorCode::State) for a value that is larger than any,
    /// [`ErrorCode::Ioctl`](crate::ErrorCode::Ioctl), [`ErrorCode::Closed`](crate::ErrorCode::Closed).
    pub fn set_device_attr(&self, group: u32, attribute: u64, data: &[u8]) -> Result<(), Error> {
        self.with(|vm| attribute::set(vm, group, attribute, data))
    }
}
