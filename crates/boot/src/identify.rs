//! What an image is, by its bytes.

use crate::bzimage::{self, BzImage};
use crate::elf::{self, Elf};
use crate::multiboot::MultibootHeader;
use crate::{BootError, Protocol};

/// What an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// A few words for messages, as "a Linux bzImage (6.12.0)".
    pub name: String,
    /// The protocols that can boot it; the first is the one that is taken if none is asked for.
    pub protocols: Vec<Protocol>,
}

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
    /// arm64's Documentation/arch/arm64/booting.rst and riscv's boot-image-header.rst: a magic at 0x38 of the header.
    const OTHER_IMAGES: [(&[u8], &str); 2] =
        [(b"ARM\x64", "a Linux Image for aarch64"), (b"RSC\x05", "a Linux Image for riscv64")];
    if bytes.is_empty() {
        return BootError::Image { found: "the image is empty".to_owned() };
    }
    let magic = bytes.get(0x38..0x3c).unwrap_or_default();
    if let Some((_, name)) = OTHER_IMAGES.iter().find(|(other, _)| *other == magic) {
        return BootError::Machine { found: (*name).to_owned() };
    }
    let known: [(&[u8], &str); 14] = [
        (b"\x1f\x8b", "a gzip file; unpack it first"),
        (b"\xfd7zXZ\0", "an xz file; unpack it first"),
        (b"\x28\xb5\x2f\xfd", "a zstd file; unpack it first"),
        (b"\x02\x21\x4c\x18", "an lz4 file; unpack it first"),
        (b"\x04\x22\x4d\x18", "an lz4 file; unpack it first"),
        (b"BZh", "a bzip2 file; unpack it first"),
        (b"070701", "a cpio archive, as an initrd is"),
        (b"!<arch>\n", "an archive, as a Debian package is; unpack it first"),
        (b"\xed\xab\xee\xdb", "an RPM package; unpack it first"),
        (b"QFI\xfb", "a qcow2 disk image"),
        (b"\xd0\x0d\xfe\xed", "a device tree"),
        (b"\xca\xfe\xba\xbe", "a Mach-O file"),
        (b"#!", "a script"),
        (b"MZ", "a PE file, as EFI programs are"),
    ];
    let found = match known.iter().find(|(start, _)| bytes.starts_with(start)) {
        Some((_, name)) => format!("the image is {name}"),
        None => format!(
            "the image is {}: neither a bzImage nor an ELF file nor one with a Multiboot header (flat images and firmware \
             must be asked for by their protocol)",
            if bytes.iter().all(|byte| *byte == bytes[0]) {
                format!("{} bytes of {:#04x}", bytes.len(), bytes[0])
            } else {
                let start: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
                format!("{} bytes that start with {}", bytes.len(), start.join(" "))
            }
        ),
    };
    BootError::Image { found }
}
