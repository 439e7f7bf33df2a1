//! What an image is, by its bytes.

use super::bzimage::{self, BzImage};
use super::elf::{self, Elf};
use super::multiboot::MultibootHeader;
use crate::{BootError, Identity, Protocol, foreign};

/// This machine, for messages.
pub(crate) const MACHINE: &str = "x86_64";

/// An image whose header is read and checked.
pub(crate) enum Image<'a> {
    BzImage(BzImage<'a>),
    Elf(Elf<'a>, Option<MultibootHeader>),
    /// No ELF file: a Multiboot header that says itself where the image is loaded.
    Multiboot(MultibootHeader),
}

/// Says what an image is and by which protocols it can be booted. Any image at all can be booted by
/// [`Protocol::Flat`] and [`Protocol::Firmware`] too, if they are asked for.
///
/// # Errors
///
/// An image that none of the others can boot: what it looks like, or what is wrong with its header.
pub fn identify(kernel: &[u8]) -> Result<Identity, BootError> {
    Image::read(kernel).map(|image| image.identity())
}

impl<'a> Image<'a> {
    pub fn read(kernel: &'a [u8]) -> Result<Self, BootError> {
        if bzimage::is_bzimage(kernel) {
            return BzImage::parse(kernel).map(Self::BzImage);
        }
        let multiboot = MultibootHeader::find(kernel);
        if elf::is_elf(kernel) {
            let elf = Elf::parse(kernel)?;
            if !elf.is_64 && multiboot.is_none() && elf.pvh_entry.is_none() {
                let found = "an ELF32 file with neither a Multiboot header nor a PVH note".to_owned();
                return Err(BootError::Image { found });
            }
            return Ok(Self::Elf(elf, multiboot));
        }
        match multiboot {
            Some(header) => Ok(Self::Multiboot(header)),
            None => Err(looks_like(kernel)),
        }
    }

    pub fn identity(&self) -> Identity {
        let (name, protocols) = match self {
            Self::BzImage(image) => {
                let version =
                    image.version.as_ref().map_or_else(String::new, |version| format!(" ({version})"));
                (format!("a Linux bzImage{version}"), vec![Protocol::Linux64, Protocol::Pvh, Protocol::Elf64])
            }
            Self::Elf(elf, multiboot) => {
                let mut protocols = Vec::new();
                if elf.pvh_entry.is_some() {
                    protocols.push(Protocol::Pvh);
                }
                if multiboot.is_some() {
                    protocols.push(Protocol::Multiboot);
                }
                // vmlinux has no Multiboot header: an ELF64 file with one and no PVH note is better entered as it asks.
                if elf.is_64 {
                    protocols.push(Protocol::Elf64);
                }
                let words = match (&elf.pvh_entry, multiboot) {
                    (Some(_), Some(_)) => " with a PVH note and a Multiboot header",
                    (Some(_), None) => " with a PVH note",
                    (None, Some(_)) => " with a Multiboot header",
                    (None, None) => " without a PVH note",
                };
                (format!("an ELF{} file{words}", if elf.is_64 { 64 } else { 32 }), protocols)
            }
            Self::Multiboot(_) => ("an image with a Multiboot header".to_owned(), vec![Protocol::Multiboot]),
        };
        Identity { name, protocols }
    }
}

/// The error for bytes that are no kernel.
fn looks_like(bytes: &[u8]) -> BootError {
    if let Some(machine) = foreign::linux_image_machine(bytes) {
        return BootError::Machine { found: format!("a Linux Image for {machine}"), machine: MACHINE };
    }
    foreign::no_kernel(
        bytes,
        "neither a bzImage nor an ELF file nor one with a Multiboot header (flat images and firmware must be asked for \
         by their protocol)",
    )
}
