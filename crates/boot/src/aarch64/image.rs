//! The header of a Linux `Image`, checked: Linux's Documentation/arch/arm64/booting.rst names the fields.

use super::zboot::Zboot;
use crate::payload::{self, Format};
use crate::{BootError, Identity, Protocol, foreign};
use object::Endianness;
use object::elf;
use std::borrow::Cow;

/// This machine, for messages.
const MACHINE: &str = "aarch64";
/// `magic`, at 0x38.
const MAGIC: &[u8] = b"ARM\x64";
const MAGIC_OFFSET: usize = 0x38;
const HEADER_LENGTH: usize = 0x40;
/// What `text_offset` is counted from is aligned to this.
pub(crate) const BASE_ALIGNMENT: u64 = 2 << 20;
/// `text_offset` of kernels before 3.17, whose `image_size` is 0.
const OLD_TEXT_OFFSET: u64 = 0x8_0000;
/// Kernels had random offsets once (`CONFIG_ARM64_RANDOMIZE_TEXT_OFFSET`): whole pages of 4 KiB.
const TEXT_OFFSET_ALIGNMENT: u64 = 0x1000;
/// `flags`: the kernel is big-endian.
const FLAG_BIG_ENDIAN: u64 = 1 << 0;
/// `flags`: the size of its pages.
const PAGE_SIZES: [&str; 4] = ["", " with pages of 4 KiB", " with pages of 16 KiB", " with pages of 64 KiB"];

/// A kernel that the machine can boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image<'a> {
    /// All bytes of the file.
    pub bytes: Cow<'a, [u8]>,
    /// From an address that is a multiple of [`BASE_ALIGNMENT`] to the first byte.
    pub text_offset: u64,
    /// The memory that the kernel uses before it knows what else is in memory, from its first byte on.
    pub length: u64,
    page_size: &'static str,
}

/// What a file is, before it is unpacked.
pub(crate) enum File<'a> {
    Image(Image<'a>),
    Zboot(Zboot<'a>),
    /// A file that is compressed as a whole, as `Image.gz` is.
    Packed(Format, &'a [u8]),
}

/// Says what an image is and by which protocols it can be booted, without unpacking it. Any image at all can be booted by
/// [`Protocol::Flat`] too, if it is asked for.
///
/// # Errors
///
/// An image that is no Linux `Image`: what it looks like, or what is wrong with its header.
pub fn identify(kernel: &[u8]) -> Result<Identity, BootError> {
    File::read(kernel).map(|file| file.identity())
}

impl<'a> File<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Self, BootError> {
        if is_image(bytes) {
            return Image::parse(bytes.into()).map(Self::Image);
        }
        if Zboot::is_zboot(bytes) {
            return Zboot::parse(bytes).map(Self::Zboot);
        }
        match Format::of(bytes) {
            Ok(format) if format != Format::None => Ok(Self::Packed(format, bytes)),
            _ => Err(looks_like(bytes)),
        }
    }

    pub fn identity(&self) -> Identity {
        let name = match self {
            Self::Image(image) => image.name(),
            Self::Zboot(zboot) => format!("an EFI zboot image ({})", zboot.format.name()),
            Self::Packed(format, _) => format!("a file packed by {}", format.name()),
        };
        Identity { name, protocols: vec![Protocol::Image] }
    }

    /// The kernel, unpacked to at most `limit` bytes if it is packed.
    pub fn unpack(self, limit: u64) -> Result<Image<'a>, BootError> {
        let unpacked = match self {
            Self::Image(image) => return Ok(image),
            // The size that the build appends is not counted by the header.
            Self::Zboot(zboot) => payload::unpack(zboot.format, zboot.payload, false, limit)?,
            Self::Packed(format, bytes) => payload::unpack(format, bytes, false, limit)?,
        };
        if is_image(&unpacked) {
            return Image::parse(unpacked);
        }
        let found = match foreign::linux_image_machine(&unpacked) {
            Some(machine) => format!("a Linux Image for {machine}"),
            None => "something that is no arm64 Image".to_owned(),
        };
        let instead = "an Image has \"ARM\\x64\" at 0x38";
        Err(BootError::PayloadContent { found, asked: Protocol::Image, instead })
    }
}

/// Whether bytes look like an `Image`.
fn is_image(bytes: &[u8]) -> bool {
    bytes.get(MAGIC_OFFSET..MAGIC_OFFSET + MAGIC.len()) == Some(MAGIC)
}

impl<'a> Image<'a> {
    fn parse(bytes: Cow<'a, [u8]>) -> Result<Self, BootError> {
        let found = bytes.len() as u64;
        let field = |at: usize| {
            let field = bytes.get(at..at + 8).and_then(|field| field.try_into().ok());
            let what = "the header";
            let needed = HEADER_LENGTH as u64;
            field.map(u64::from_le_bytes).ok_or(BootError::Truncated { what, needed, found })
        };
        let wrong = |field, found, allowed| Err(BootError::Header { field, found, allowed });
        let (text_offset, image_size, flags) = (field(8)?, field(16)?, field(24)?);
        // The last field of the header: it is whole.
        field(HEADER_LENGTH - 8)?;
        if image_size == 0 {
            // Neither field was of a known byte order then, and there were no flags.
            return Ok(Self { text_offset: OLD_TEXT_OFFSET, length: found, page_size: PAGE_SIZES[0], bytes });
        }
        if flags & FLAG_BIG_ENDIAN != 0 {
            return wrong("flags", flags, "one with bit 0 clear (this is a big-endian kernel)");
        }
        if text_offset >= BASE_ALIGNMENT || !text_offset.is_multiple_of(TEXT_OFFSET_ALIGNMENT) {
            return wrong("text_offset", text_offset, "a multiple of 4096 below 2 MiB");
        }
        if image_size < HEADER_LENGTH as u64 {
            return wrong("image_size", image_size, "at least the size of the header, or 0");
        }
        let page_size = PAGE_SIZES[(flags >> 1 & 3) as usize];
        // What follows image_size, as a signature, is not the kernel's.
        let kept = found.min(image_size) as usize;
        let bytes = match bytes {
            Cow::Borrowed(bytes) => bytes[..kept].into(),
            Cow::Owned(mut bytes) => {
                bytes.truncate(kept);
                bytes.into()
            }
        };
        Ok(Self { text_offset, length: image_size, page_size, bytes })
    }

    fn name(&self) -> String {
        format!("a Linux Image for arm64{}", self.page_size)
    }
}

/// The error for bytes that are no kernel for this machine.
fn looks_like(bytes: &[u8]) -> BootError {
    let machine = |found: String| BootError::Machine { found, machine: MACHINE };
    if let Some(other) = foreign::linux_image_machine(bytes) {
        return machine(format!("a Linux Image for {other}"));
    }
    // boot.rst of x86: "HdrS" at 0x202.
    if bytes.get(0x202..0x206) == Some(b"HdrS") {
        return machine("a Linux bzImage for x86".to_owned());
    }
    if let [0x7f, b'E', b'L', b'F', class @ (1 | 2), order @ (1 | 2), ..] = *bytes
        && let Some(number) = bytes.get(18..20)
    {
        let number = [number[0], number[1]];
        let (number, order) = match order {
            1 => (u16::from_le_bytes(number), Endianness::Little),
            _ => (u16::from_be_bytes(number), Endianness::Big),
        };
        let name = foreign::elf_name(elf::Machine(number), class == 2, order);
        if elf::Machine(number) != elf::EM_AARCH64 {
            return machine(name);
        }
        let found = format!(
            "the image is {name}; a kernel is booted from its Image, and a program from its bytes as a flat image"
        );
        return BootError::Image { found };
    }
    let neither = "neither an arm64 Image nor a packed one (flat images must be asked for by their protocol)";
    match Format::of(bytes) {
        // The message for others says that they are to be unpacked first.
        Err(format @ ("lzma" | "lzo")) => packed_otherwise(format),
        _ => foreign::no_kernel(bytes, neither),
    }
}

/// The error for a kernel that is packed in a way that is not known here.
pub(crate) fn packed_otherwise(format: &'static str) -> BootError {
    let reason = "this compression is not known; gzip, xz, lz4 and zstd are".to_owned();
    BootError::Payload { format, reason }
}
