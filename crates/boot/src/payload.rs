//! Compressed kernels, those inside of a bzImage too, unpacked with a bound.

use crate::BootError;
use ruzstd::decoding::StreamingDecoder;
use std::borrow::Cow;
use std::io::{self, Read};

/// The most memory that a decoder may take for what it looks back on. Linux's own `xz` and `zstd` settings take
/// 128 MiB at most.
const MAX_WINDOW: u64 = 128 << 20;
/// lzma-rust2 counts the decoder's other buffers too.
const XZ_MEMORY_KIB: u32 = (MAX_WINDOW >> 10) as u32 + 1024;
/// `lz4 -l` packs blocks of this many bytes.
const LZ4_BLOCK: usize = 8 << 20;
/// The most bytes that a compressed kernel may unpack to, whatever the machine's memory: no kernel is larger.
pub(crate) const UNPACKED_MAX: u64 = 512 << 20;
/// The size that the kernel's build puts after the payload, little-endian.
const TRAILER: usize = 4;

/// How a payload is compressed; the magic numbers are those of Linux's lib/decompress.c.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Gzip,
    Xz,
    Lz4,
    Zstd,
    None,
}

const LZ4_LEGACY_MAGIC: u32 = 0x184c_2102;

impl Format {
    /// The format; or else the name of one that is not unpacked here, or `unknown`.
    pub fn of(payload: &[u8]) -> Result<Self, &'static str> {
        Err(match payload {
            [0x1f, 0x8b, ..] => return Ok(Self::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => return Ok(Self::Xz),
            [0x02, 0x21, 0x4c, 0x18, ..] => return Ok(Self::Lz4),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => return Ok(Self::Zstd),
            [0x7f, b'E', b'L', b'F', ..] => return Ok(Self::None),
            [b'B', b'Z', b'h', ..] => "bzip2",
            [0x5d, 0, 0, ..] => "lzma",
            [0x89, b'L', b'Z', b'O', ..] => "lzo",
            _ => "unknown",
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
            Self::None => "uncompressed",
        }
    }
}

/// Unpacks a payload to at most `limit` bytes. With `has_size` the four bytes that the kernel's build appends are there.
pub(crate) fn unpack(
    format: Format,
    payload: &[u8],
    has_size: bool,
    limit: u64,
) -> Result<Cow<'_, [u8]>, BootError> {
    let name = format.name();
    // The build's word for the size, which gzip has of its own, is only a hint of how much memory to ask for.
    let size = payload.last_chunk::<TRAILER>().filter(|_| has_size || format == Format::Gzip);
    let hint = size.map_or(0, |bytes| u32::from_le_bytes(*bytes));
    let capacity = u64::from(hint).min(limit) as usize;
    let trailer = if has_size { TRAILER } else { 0 };
    let unpacked = match format {
        Format::Gzip => read(name, flate2::read::GzDecoder::new(payload), capacity, limit)?,
        Format::Xz => {
            read(name, lzma_rust2::XzReader::new_mem_limit(payload, false, XZ_MEMORY_KIB), capacity, limit)?
        }
        Format::Zstd => zstd(name, payload, capacity, limit)?,
        Format::Lz4 => {
            let blocks = payload.get(4..payload.len().saturating_sub(trailer)).unwrap_or_default();
            lz4_legacy(name, blocks, capacity, limit)?
        }
        Format::None => return Ok(payload.into()),
    };
    Ok(unpacked.into())
}

fn failed(format: &'static str, error: &dyn std::fmt::Display) -> BootError {
    BootError::Payload { format, reason: error.to_string() }
}

fn read(format: &'static str, decoder: impl Read, capacity: usize, limit: u64) -> Result<Vec<u8>, BootError> {
    let mut unpacked = Vec::with_capacity(capacity);
    let result = decoder.take(limit.saturating_add(1)).read_to_end(&mut unpacked);
    if unpacked.len() as u64 > limit {
        return Err(BootError::PayloadTooBig { format, limit });
    }
    match result {
        Ok(_) => Ok(unpacked),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(BootError::Payload { format, reason: "it ends too early".to_owned() })
        }
        Err(error) => Err(failed(format, &error)),
    }
}

fn zstd(format: &'static str, payload: &[u8], capacity: usize, limit: u64) -> Result<Vec<u8>, BootError> {
    let mut decoder = StreamingDecoder::new_with_max_window_size(payload, MAX_WINDOW)
        .map_err(|error| failed(format, &error))?;
    let unpacked = read(format, &mut decoder, capacity, limit)?;
    let frame = decoder.into_frame_decoder();
    // Reading compares them not. A frame without a checksum has none to compare.
    let expected = frame.get_checksum_from_data();
    if expected.is_some() && expected != frame.get_calculated_checksum() {
        return Err(BootError::Payload { format, reason: "its checksum is wrong".to_owned() });
    }
    Ok(unpacked)
}

/// The format of `lz4 -l`: a magic number, then blocks of a length and as many bytes, each unpacked on its own. It
/// has no end, so that a frame reader would take the trailing size for the length of a block.
fn lz4_legacy(
    format: &'static str,
    mut rest: &[u8],
    capacity: usize,
    limit: u64,
) -> Result<Vec<u8>, BootError> {
    let mut unpacked = Vec::with_capacity(capacity);
    let mut block = vec![0; LZ4_BLOCK];
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length);
        rest = after;
        // Frames may follow each other.
        if length == LZ4_LEGACY_MAGIC {
            continue;
        }
        let Some((packed, after)) = rest.split_at_checked(length as usize) else {
            return Err(BootError::Payload { format, reason: "it ends too early".to_owned() });
        };
        rest = after;
        let length =
            lz4_flex::block::decompress_into(packed, &mut block).map_err(|error| failed(format, &error))?;
        if unpacked.len() as u64 + length as u64 > limit {
            return Err(BootError::PayloadTooBig { format, limit });
        }
        unpacked.extend_from_slice(&block[..length]);
    }
    if !rest.is_empty() {
        return Err(BootError::Payload { format, reason: "it ends too early".to_owned() });
    }
    Ok(unpacked)
}
