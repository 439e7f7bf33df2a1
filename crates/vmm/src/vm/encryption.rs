//! Encrypted machines: AMD's SEV and what else uses `KVM_MEMORY_ENCRYPT_OP`.

use super::VmCore;
use super::sev_data::CommandData;
use crate::Error;
use crate::error::IoctlResult;
use crate::host::lacks;
use crate::raw_ioctl::x86_64 as raw;
use kvm_bindings::{kvm_enc_region, kvm_sev_cmd};

/// A field of a command's data that takes the address of guest memory.
#[derive(Debug, Clone, Copy)]
pub struct EncryptPointer {
    /// Where the field is in the data, in bytes; it is 8 bytes long.
    pub offset: usize,
    /// The guest-physical address.
    pub guest_address: u64,
}

/// What the host has when these ioctls are not there.
const FEATURE: &str = "encrypted machines (KVM_MEMORY_ENCRYPT_OP)";

fn absent_here(error: Error) -> Error {
    match error.errno {
        Some(libc::ENOTTY) => Error { errno: error.errno, syscall: error.syscall, ..lacks(FEATURE) },
        _ => error,
    }
}

impl VmCore {
    /// `KVM_MEMORY_ENCRYPT_OP` without a command: asks whether the host encrypts.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`](crate::ErrorCode::Unsupported) if not, [`ErrorCode::Ioctl`](crate::ErrorCode::Ioctl), [`ErrorCode::Closed`](crate::ErrorCode::Closed).
    pub fn encrypt_op(&self) -> Result<(), Error> {
        self.with(|vm| raw::encrypt_op(vm).map_err(absent_here))
    }

    /// `KVM_MEMORY_ENCRYPT_OP` with a command of SEV: `data` is the command's own structure, where the kernel also
    /// answers. Its fields for addresses must be 0, and those that `pointers` names become addresses of guest memory,
    /// as many bytes as the data says. The firmware's error code.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::MemoryBounds`](crate::ErrorCode::MemoryBounds) for a pointer outside of guest memory; [`ErrorCode::State`](crate::ErrorCode::State) for data that is too
    /// long or short, has an address of its own, or has none at a pointer's place; [`ErrorCode::Unsupported`](crate::ErrorCode::Unsupported), also
    /// for a command that is not known here; [`ErrorCode::Ioctl`](crate::ErrorCode::Ioctl), [`ErrorCode::Closed`](crate::ErrorCode::Closed).
    pub fn encrypt_op_sev(
        &self,
        id: u32,
        sev_fd: u32,
        data: &mut [u8],
        pointers: &[EncryptPointer],
    ) -> Result<u32, Error> {
        let mut structure = CommandData::new(id, data)?;
        // The regions stay until the call is over.
        let mut held = Vec::with_capacity(pointers.len());
        for pointer in pointers {
            let size = structure.size_at(pointer.offset)?;
            let (region, offset) = self.memory.window(pointer.guest_address, size)?;
            structure.set(pointer.offset, region.mapping.as_ptr() as u64 + offset as u64);
            held.push(region);
        }
        let mut command = kvm_sev_cmd { id, data: structure.address(), sev_fd, ..Default::default() };
        let result = self
            .with(|vm| vm.encrypt_op_sev(&mut command).ioctl("KVM_MEMORY_ENCRYPT_OP").map_err(absent_here));
        structure.finish(data);
        result.map(|()| command.error)
    }

    /// `KVM_MEMORY_ENCRYPT_REG_REGION`, or `…_UNREG_REGION`: guest memory that may hold encrypted pages.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::MemoryBounds`](crate::ErrorCode::MemoryBounds) unless one region holds the range; [`ErrorCode::Unsupported`](crate::ErrorCode::Unsupported),
    /// [`ErrorCode::Ioctl`](crate::ErrorCode::Ioctl), [`ErrorCode::Closed`](crate::ErrorCode::Closed).
    pub fn encrypted_region(&self, guest_address: u64, size: u64, register: bool) -> Result<(), Error> {
        let (region, offset) = self.memory.window(guest_address, size)?;
        let request = kvm_enc_region { addr: region.mapping.as_ptr() as u64 + offset as u64, size };
        self.with(|vm| {
            if register {
                vm.register_enc_memory_region(&request).ioctl("KVM_MEMORY_ENCRYPT_REG_REGION")
            } else {
                vm.unregister_enc_memory_region(&request).ioctl("KVM_MEMORY_ENCRYPT_UNREG_REGION")
            }
            .map_err(absent_here)
        })
    }
}
