//! An EFI zboot image, `vmlinuz.efi`: an EFI program that unpacks the `Image` in it. Linux's
//! drivers/firmware/efi/libstub/zboot-header.S has the fields, Makefile.zboot the names of the compressions.

use super::image::packed_otherwise;
use crate::BootError;
use crate::payload::Format;

/// What the header holds up to the name's end.
const HEADER_LENGTH: usize = 0x38;
/// The offset of the name of the compression.
const NAME_OFFSET: usize = 24;

/// The compressed kernel in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Zboot<'a> {
    pub format: Format,
    pub payload: &'a [u8],
}

impl<'a> Zboot<'a> {
    /// Whether bytes look like such an image.
    pub fn is_zboot(image: &[u8]) -> bool {
        image.starts_with(b"MZ\0\0zimg")
    }

    /// Checks an image that looks like one.
    pub fn parse(image: &'a [u8]) -> Result<Self, BootError> {
        let truncated = |what, needed: usize| BootError::Truncated {
            what,
            needed: needed as u64,
            found: image.len() as u64,
        };
        let header = image.get(..HEADER_LENGTH).ok_or(truncated("the zboot header", HEADER_LENGTH))?;
        let field = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]) as usize
        };
        let (offset, length) = (field(8), field(12));
        if offset < HEADER_LENGTH {
            let allowed = "at least 0x38, behind the header";
            return Err(BootError::Header { field: "the payload offset", found: offset as u64, allowed });
        }
        if length == 0 {
            return Err(BootError::Header { field: "the payload size", found: 0, allowed: "at least 1" });
        }
        let end = offset.saturating_add(length);
        let payload = image.get(offset..end).ok_or(truncated("the payload of the zboot image", end))?;
        let name = header[NAME_OFFSET..].split(|byte| *byte == 0).next().unwrap_or_default();
        let format = match name {
            b"gzip" => Format::Gzip,
            b"xzkern" => Format::Xz,
            b"lz4" => Format::Lz4,
            b"zstd" | b"zstd22" => Format::Zstd,
            b"lzma" => return Err(packed_otherwise("lzma")),
            b"lzo" => return Err(packed_otherwise("lzo")),
            _ => return Err(packed_otherwise("unknown")),
        };
        if Format::of(payload) != Ok(format) {
            let reason = "it does not begin as the header says".to_owned();
            return Err(BootError::Payload { format: format.name(), reason });
        }
        Ok(Self { format, payload })
    }
}
