//! Attributes of what KVM makes: of its devices, on aarch64 of machines and vCPUs as well.

use crate::error::IoctlResult;
use crate::{Error, ErrorCode, raw_ioctl};
use kvm_bindings::kvm_device_attr;
use kvm_ioctls::DeviceFd;
#[cfg(target_arch = "aarch64")]
use kvm_ioctls::{VcpuFd, VmFd};

/// Larger than the value of any attribute is on x86_64 and aarch64: KVM copies as much as the attribute has, whatever
/// it is given.
pub(crate) const LARGEST_ATTRIBUTE: usize = 4096;

/// A descriptor with attributes.
pub(crate) trait Attributes {
    /// `KVM_HAS_DEVICE_ATTR`.
    fn has(&self, request: &kvm_device_attr) -> Result<(), kvm_ioctls::Error>;
    /// `KVM_SET_DEVICE_ATTR`.
    fn set(&self, request: &kvm_device_attr) -> Result<(), kvm_ioctls::Error>;
}

macro_rules! attributes_of {
    ($($descriptor:ty),*) => {$(
        impl Attributes for $descriptor {
            fn has(&self, request: &kvm_device_attr) -> Result<(), kvm_ioctls::Error> {
                self.has_device_attr(request)
            }

            fn set(&self, request: &kvm_device_attr) -> Result<(), kvm_ioctls::Error> {
                self.set_device_attr(request)
            }
        }
    )*};
}

attributes_of!(DeviceFd);
#[cfg(target_arch = "aarch64")]
attributes_of!(VmFd, VcpuFd);

/// Whether there is such an attribute.
pub(crate) fn has(descriptor: &impl Attributes, group: u32, attribute: u64) -> bool {
    descriptor.has(&request(group, attribute)).is_ok()
}

/// Sets an attribute to `data`, which is empty for one that has no value. What is missing of a value counts as zeros.
///
/// # Errors
///
/// [`ErrorCode::NoAttribute`] for one that there is not, [`ErrorCode::State`] for a value that is larger than any,
/// [`ErrorCode::Ioctl`].
pub(crate) fn set(
    descriptor: &impl Attributes,
    group: u32,
    attribute: u64,
    data: &[u8],
) -> Result<(), Error> {
    let padded = padded(data)?;
    let addr = if data.is_empty() { 0 } else { padded.as_ptr() as u64 };
    let done = descriptor.set(&kvm_device_attr { addr, ..request(group, attribute) });
    done.ioctl("KVM_SET_DEVICE_ATTR").map_err(|error| {
        // The same errno can mean that something has to be set before.
        if has(descriptor, group, attribute) { error } else { absent(error, group, attribute) }
    })
}

/// Reads an attribute of a device into `target`, which has as many bytes as the attribute.
///
/// # Errors
///
/// As [`set`]; [`ErrorCode::NoAttribute`] for one that cannot be read, too.
pub(crate) fn get(device: &DeviceFd, group: u32, attribute: u64, target: &mut [u8]) -> Result<(), Error> {
    let mut padded = padded(target)?;
    let done = raw_ioctl::get_device_attribute(device, &mut request(group, attribute), &mut padded);
    done.map_err(|error| match error.errno {
        Some(libc::ENXIO) => absent(error, group, attribute),
        _ => error,
    })?;
    target.copy_from_slice(&padded[..target.len()]);
    Ok(())
}

fn request(group: u32, attribute: u64) -> kvm_device_attr {
    kvm_device_attr { group, attr: attribute, ..Default::default() }
}

/// The value with room for what KVM reads or writes beyond it.
fn padded(data: &[u8]) -> Result<[u8; LARGEST_ATTRIBUTE], Error> {
    let mut padded = [0; LARGEST_ATTRIBUTE];
    let room = padded.get_mut(..data.len()).ok_or_else(|| {
        let given = data.len();
        Error::new(
            ErrorCode::State,
            format!("an attribute has {LARGEST_ATTRIBUTE} bytes at most, not {given}"),
        )
    })?;
    room.copy_from_slice(data);
    Ok(padded)
}

fn absent(error: Error, group: u32, attribute: u64) -> Error {
    let message = format!("there is no attribute {attribute:#x} in group {group}");
    Error { code: ErrorCode::NoAttribute, message, ..error }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Refuses everything: what comes without a value with `ENXIO`, a value with `E2BIG`.
    struct Refusing {
        has: bool,
    }

    impl Attributes for Refusing {
        fn has(&self, _request: &kvm_device_attr) -> Result<(), kvm_ioctls::Error> {
            if self.has { Ok(()) } else { Err(kvm_ioctls::Error::new(libc::ENXIO)) }
        }

        fn set(&self, request: &kvm_device_attr) -> Result<(), kvm_ioctls::Error> {
            Err(kvm_ioctls::Error::new(if request.addr == 0 { libc::ENXIO } else { libc::E2BIG }))
        }
    }

    #[test]
    fn a_refusal_of_what_there_is_not_has_its_own_code() {
        let error = set(&Refusing { has: false }, 7, 0x10, &[]).unwrap_err();
        assert_eq!((error.code, error.errno), (ErrorCode::NoAttribute, Some(libc::ENXIO)));
        assert_eq!(error.message, "there is no attribute 0x10 in group 7");
        let error = set(&Refusing { has: true }, 7, 0x10, &[]).unwrap_err();
        assert_eq!((error.code, error.errno), (ErrorCode::Ioctl, Some(libc::ENXIO)));
    }

    #[test]
    fn a_value_has_an_address_and_zeros_behind_it() {
        let error = set(&Refusing { has: true }, 0, 0, &[1]).unwrap_err();
        assert_eq!(error.errno, Some(libc::E2BIG));
        let room = padded(&[1, 2]).unwrap();
        assert!(room.starts_with(&[1, 2, 0]) && room[2..].iter().all(|byte| *byte == 0));
        assert_eq!(padded(&[0; LARGEST_ATTRIBUTE + 1]).unwrap_err().code, ErrorCode::State);
    }
}
