//! Kernel structures as numbers and bytes, the forms in which they cross to JavaScript.

use crate::{Error, ErrorCode};
use kvm_bindings::{kvm_cpuid_entry2, kvm_irqchip, kvm_msr_entry};
use zerocopy::IntoBytes;

/// The size of `struct kvm_irqchip` in bytes.
pub const IRQCHIP_SIZE: usize = size_of::<kvm_irqchip>();

/// Numbers an entry of [`flatten_cpuid`] has: function, index, flags, eax, ebx, ecx, edx.
const CPUID_NUMBERS: usize = 7;

/// CPUID entries as numbers.
pub fn flatten_cpuid(entries: &[kvm_cpuid_entry2]) -> Vec<u32> {
    entries
        .iter()
        .flat_map(|entry| {
            [entry.function, entry.index, entry.flags, entry.eax, entry.ebx, entry.ecx, entry.edx]
        })
        .collect()
}

/// The inverse of [`flatten_cpuid`].
pub fn parse_cpuid(numbers: &[u32]) -> Vec<kvm_cpuid_entry2> {
    numbers
        .chunks_exact(CPUID_NUMBERS)
        .map(|chunk| kvm_cpuid_entry2 {
            function: chunk[0],
            index: chunk[1],
            flags: chunk[2],
            eax: chunk[3],
            ebx: chunk[4],
            ecx: chunk[5],
            edx: chunk[6],
            ..Default::default()
        })
        .collect()
}

/// MSR entries as the bytes of an array of `struct kvm_msr_entry`.
///
/// # Errors
///
/// [`ErrorCode::State`] when the target has another size.
pub fn copy_msrs(entries: &[kvm_msr_entry], target: &mut [u8]) -> Result<(), Error> {
    let bytes = entries.as_bytes();
    if bytes.len() != target.len() {
        return Err(Error::new(ErrorCode::State, "the target has another number of MSRs"));
    }
    target.copy_from_slice(bytes);
    Ok(())
}

/// The inverse of [`copy_msrs`].
///
/// # Errors
///
/// [`ErrorCode::State`] when the bytes are no whole number of entries.
pub fn parse_msrs(bytes: &[u8]) -> Result<Vec<kvm_msr_entry>, Error> {
    let size = size_of::<kvm_msr_entry>();
    if !bytes.len().is_multiple_of(size) {
        return Err(Error::new(ErrorCode::State, format!("an MSR entry has {size} bytes")));
    }
    bytes.chunks_exact(size).map(|chunk| crate::state::from_bytes("kvm_msr_entry", chunk)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpuid_survives_the_crossing() {
        let entries = [kvm_cpuid_entry2 {
            function: 1,
            index: 2,
            flags: 3,
            eax: 4,
            ebx: 5,
            ecx: 6,
            edx: 7,
            ..Default::default()
        }];
        let numbers = flatten_cpuid(&entries);
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(parse_cpuid(&numbers), entries);
    }

    #[test]
    fn msrs_survive_the_crossing_and_a_wrong_size_is_refused() {
        let entries = [kvm_msr_entry { index: 0x10, reserved: 0, data: u64::MAX }];
        let mut bytes = [0; 16];
        copy_msrs(&entries, &mut bytes).unwrap();
        assert_eq!(parse_msrs(&bytes).unwrap(), entries);
        assert_eq!(parse_msrs(&bytes[..15]).unwrap_err().code, ErrorCode::State);
        assert_eq!(copy_msrs(&entries, &mut bytes[..8]).unwrap_err().code, ErrorCode::State);
    }
}
