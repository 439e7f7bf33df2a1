//! The data of SEV's commands: where each has addresses, and how many bytes are used at them.

use crate::{Error, ErrorCode};
use kvm_bindings::*;
use std::mem::{offset_of, size_of};

/// Where the number of bytes at an address is said.
#[derive(Clone, Copy)]
enum Length {
    /// In the data, four bytes.
    U32(usize),
    /// In the data, eight bytes.
    U64(usize),
    /// Nowhere: it is always the same.
    Fixed(u64),
}

/// A field that takes an address.
type Pointer = (usize, Length);

/// The size of a command's data, and its addresses.
type Layout = (usize, &'static [Pointer]);

/// An address and its length, by the names of the fields.
macro_rules! pointers {
    ($type:ident: $($address:ident $length:ident),*) => {
        (size_of::<$type>(), &[$((offset_of!($type, $address), Length::U32(offset_of!($type, $length)))),*])
    };
}

/// `ID_BLOCK` and `ID_AUTH_INFO` of the SEV-SNP firmware ABI.
const ID_BLOCK_SIZE: u64 = 96;
const ID_AUTH_SIZE: u64 = 4096;

/// The data of a command; `None` for one that is not known here.
#[expect(non_upper_case_globals, reason = "the bindings name the constants of an enum so")]
fn layout(id: u32) -> Option<Layout> {
    Some(match id {
        sev_cmd_id_KVM_SEV_INIT
        | sev_cmd_id_KVM_SEV_ES_INIT
        | sev_cmd_id_KVM_SEV_LAUNCH_UPDATE_VMSA
        | sev_cmd_id_KVM_SEV_LAUNCH_FINISH
        | sev_cmd_id_KVM_SEV_SEND_FINISH
        | sev_cmd_id_KVM_SEV_SEND_CANCEL
        | sev_cmd_id_KVM_SEV_RECEIVE_FINISH => (0, &[]),
        sev_cmd_id_KVM_SEV_INIT2 => (size_of::<kvm_sev_init>(), &[]),
        sev_cmd_id_KVM_SEV_GUEST_STATUS => (size_of::<kvm_sev_guest_status>(), &[]),
        sev_cmd_id_KVM_SEV_SNP_LAUNCH_START => (size_of::<kvm_sev_snp_launch_start>(), &[]),
        sev_cmd_id_KVM_SEV_LAUNCH_START => {
            pointers!(kvm_sev_launch_start: dh_uaddr dh_len, session_uaddr session_len)
        }
        sev_cmd_id_KVM_SEV_LAUNCH_UPDATE_DATA => pointers!(kvm_sev_launch_update_data: uaddr len),
        sev_cmd_id_KVM_SEV_LAUNCH_SECRET => {
            pointers!(kvm_sev_launch_secret: hdr_uaddr hdr_len, guest_uaddr guest_len, trans_uaddr trans_len)
        }
        sev_cmd_id_KVM_SEV_LAUNCH_MEASURE => pointers!(kvm_sev_launch_measure: uaddr len),
        sev_cmd_id_KVM_SEV_DBG_DECRYPT | sev_cmd_id_KVM_SEV_DBG_ENCRYPT => {
            pointers!(kvm_sev_dbg: src_uaddr len, dst_uaddr len)
        }
        sev_cmd_id_KVM_SEV_GET_ATTESTATION_REPORT => pointers!(kvm_sev_attestation_report: uaddr len),
        sev_cmd_id_KVM_SEV_SEND_START => pointers!(
            kvm_sev_send_start: pdh_cert_uaddr pdh_cert_len, plat_certs_uaddr plat_certs_len,
            amd_certs_uaddr amd_certs_len, session_uaddr session_len
        ),
        sev_cmd_id_KVM_SEV_SEND_UPDATE_DATA => {
            pointers!(kvm_sev_send_update_data: hdr_uaddr hdr_len, guest_uaddr guest_len, trans_uaddr trans_len)
        }
        sev_cmd_id_KVM_SEV_RECEIVE_START => {
            pointers!(kvm_sev_receive_start: pdh_uaddr pdh_len, session_uaddr session_len)
        }
        sev_cmd_id_KVM_SEV_RECEIVE_UPDATE_DATA => {
            pointers!(kvm_sev_receive_update_data: hdr_uaddr hdr_len, guest_uaddr guest_len, trans_uaddr trans_len)
        }
        sev_cmd_id_KVM_SEV_SNP_LAUNCH_UPDATE => {
            const LENGTH: Length = Length::U64(offset_of!(kvm_sev_snp_launch_update, len));
            (
                size_of::<kvm_sev_snp_launch_update>(),
                &[(offset_of!(kvm_sev_snp_launch_update, uaddr), LENGTH)],
            )
        }
        sev_cmd_id_KVM_SEV_SNP_LAUNCH_FINISH => (
            size_of::<kvm_sev_snp_launch_finish>(),
            &[
                (offset_of!(kvm_sev_snp_launch_finish, id_block_uaddr), Length::Fixed(ID_BLOCK_SIZE)),
                (offset_of!(kvm_sev_snp_launch_finish, id_auth_uaddr), Length::Fixed(ID_AUTH_SIZE)),
            ],
        ),
        _ => return None,
    })
}

/// A command's data while the kernel has it.
pub(super) struct CommandData {
    bytes: Vec<u8>,
    pointers: &'static [Pointer],
}

impl CommandData {
    pub(super) fn new(id: u32, data: &[u8]) -> Result<Self, Error> {
        let (size, pointers) = layout(id).ok_or_else(|| {
            Error::new(ErrorCode::Unsupported, format!("command {id} of SEV is not known here"))
        })?;
        if data.len() != size {
            let given = data.len();
            return Err(refused(format!("command {id} of SEV has {size} bytes of data, {given} were given")));
        }
        let this = Self { bytes: data.to_vec(), pointers };
        match pointers.iter().find(|(offset, _)| this.number(*offset, 8) != 0) {
            Some((offset, _)) => {
                Err(refused(format!("the address at byte {offset} must be given as a pointer")))
            }
            None => Ok(this),
        }
    }

    fn number(&self, at: usize, size: usize) -> u64 {
        let mut number = [0; 8];
        number[..size].copy_from_slice(&self.bytes[at..at + size]);
        u64::from_le_bytes(number)
    }

    /// How many bytes are used at the address that goes to `offset`.
    pub(super) fn size_at(&self, offset: usize) -> Result<u64, Error> {
        match self.pointers.iter().find(|(at, _)| *at == offset) {
            Some((_, Length::U32(at))) => Ok(self.number(*at, 4)),
            Some((_, Length::U64(at))) => Ok(self.number(*at, 8)),
            Some((_, Length::Fixed(size))) => Ok(*size),
            None => Err(refused(format!("the command has no address at byte {offset}"))),
        }
    }

    pub(super) fn set(&mut self, offset: usize, address: u64) {
        self.bytes[offset..offset + 8].copy_from_slice(&address.to_le_bytes());
    }

    /// Where the kernel finds it; 0 for a command without data.
    pub(super) fn address(&mut self) -> u64 {
        if self.bytes.is_empty() { 0 } else { self.bytes.as_mut_ptr() as u64 }
    }

    /// Copies what the kernel left, but for addresses: those are this process's business.
    pub(super) fn finish(mut self, data: &mut [u8]) {
        for (offset, _) in self.pointers {
            self.set(*offset, 0);
        }
        data.copy_from_slice(&self.bytes);
    }
}

fn refused(message: String) -> Error {
    Error::new(ErrorCode::State, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_lengths_lie_in_the_data() {
        for id in 0..sev_cmd_id_KVM_SEV_NR_MAX {
            let Some((size, pointers)) = layout(id) else { continue };
            for (offset, length) in pointers {
                assert!(offset + 8 <= size && offset % 8 == 0, "command {id}");
                match length {
                    Length::U32(at) => assert!(at + 4 <= size, "command {id}"),
                    Length::U64(at) => assert!(at + 8 <= size, "command {id}"),
                    Length::Fixed(bytes) => assert!(*bytes > 0, "command {id}"),
                }
            }
        }
        assert!(layout(sev_cmd_id_KVM_SEV_NR_MAX).is_none());
    }

    #[test]
    fn an_address_of_the_callers_own_is_refused() {
        let mut data = vec![0; size_of::<kvm_sev_launch_update_data>()];
        data[3] = 1;
        let error = CommandData::new(sev_cmd_id_KVM_SEV_LAUNCH_UPDATE_DATA, &data).err().unwrap();
        assert_eq!(error.code, ErrorCode::State);
        assert!(CommandData::new(sev_cmd_id_KVM_SEV_LAUNCH_UPDATE_DATA, &data[1..]).is_err());
    }

    #[test]
    fn what_the_kernel_left_comes_back_without_addresses() {
        let mut data = vec![0; size_of::<kvm_sev_launch_update_data>()];
        data[8..12].copy_from_slice(&0x1000_u32.to_le_bytes());
        let mut command = CommandData::new(sev_cmd_id_KVM_SEV_LAUNCH_UPDATE_DATA, &data).unwrap();
        assert_eq!(command.size_at(0).unwrap(), 0x1000);
        assert!(command.size_at(8).is_err());
        command.set(0, 0x7fff_1234_5678);
        command.bytes[8] = 7;
        command.finish(&mut data);
        assert_eq!(data[..8], [0; 8]);
        assert_eq!(data[8], 7);
    }
}
