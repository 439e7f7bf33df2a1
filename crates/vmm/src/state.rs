//! Structures of the kernel that one ioctl reads and one writes, by number: the form in which JavaScript names them.

/// Declares the structures of one descriptor and their numbers.
macro_rules! states {
    ($(#[doc = $about:literal])+ $kind:ident { $($(#[doc = $doc:literal])+ $name:ident,)* }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u32)]
        pub enum $kind {
            $($(#[doc = $doc])+ $name,)*
        }

        impl $kind {
            /// All of them with their names, in the order of their numbers.
            pub const ALL: &[(&str, Self)] = &[$((stringify!($name), Self::$name)),*];

            /// The structure with this number.
            pub fn from_number(number: u32) -> Option<Self> {
                Self::ALL.get(number as usize).map(|(_, state)| *state)
            }
        }
    };
}

pub(crate) use states;

use crate::{Error, ErrorCode};
use zerocopy::FromBytes;

/// Reads a kernel structure from bytes of exactly its size.
pub(crate) fn from_bytes<T: FromBytes>(name: &str, bytes: &[u8]) -> Result<T, Error> {
    T::read_from_bytes(bytes).map_err(|_| {
        Error::new(
            ErrorCode::State,
            format!("{name} has {} bytes, {} were given", size_of::<T>(), bytes.len()),
        )
    })
}

/// Copies a kernel structure into a target of exactly its size; that size.
pub(crate) fn put(target: &mut [u8], structure: &[u8]) -> Result<usize, Error> {
    if target.len() != structure.len() {
        let (given, size) = (target.len(), structure.len());
        return Err(Error::new(ErrorCode::State, format!("the structure has {size} bytes, not {given}")));
    }
    target.copy_from_slice(structure);
    Ok(structure.len())
}

#[cfg(target_arch = "aarch64")]
/// The error of an ioctl that this architecture does not have.
pub(crate) fn absent(ioctl: &str) -> Error {
    let here = std::env::consts::ARCH;
    Error::new(ErrorCode::Unsupported, format!("{ioctl} does not exist on {here}"))
}
