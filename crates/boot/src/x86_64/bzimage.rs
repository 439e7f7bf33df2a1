//! The header of a bzImage, checked. Linux's Documentation/arch/x86/boot.rst names the fields.

use super::bootparam::{LOADED_HIGH, SetupHeader, XLF_CAN_BE_LOADED_ABOVE_4G, XLF_KERNEL_64};
use super::layout::{HIGH_MEMORY, LOW_RAM_END};
use crate::BootError;
use std::ops::Range;
use zerocopy::IntoBytes;

/// Where the header is in the image, and in the zero page.
pub(crate) const HEADER_OFFSET: usize = 0x1f1;
/// Where the zero page has something else again: what follows `edd_mbr_sig_buffer`.
const HEADER_MAX_END: usize = 0x290;
/// `boot_flag`, at 0x1fe.
const BOOT_FLAG: u16 = 0xaa55;
/// `header`: "HdrS", at 0x202.
const MAGIC: u32 = 0x5372_6448;
/// The protocol that has `xloadflags`, and with it 64-bit kernels: Linux 3.8.
const MIN_VERSION: u16 = 0x020c;
/// The offset after `init_size`, the last field that must be there.
const MIN_HEADER_END: usize = 0x264;
/// The unit of `setup_sects`.
const SECTOR: usize = 512;
/// `setup_sects` is 0 in images that mean 4.
const DEFAULT_SETUP_SECTORS: usize = 4;
/// The entry of 64-bit code, from the start of the protected-mode part.
const ENTRY_64: u64 = 0x200;

/// A bzImage that a 64-bit machine can boot.
#[derive(Debug, Clone)]
pub(crate) struct BzImage<'a> {
    /// All fields that the image has; the others are 0.
    pub header: SetupHeader,
    /// The part after the setup code: the decompressor and the compressed kernel.
    pub protected: &'a [u8],
    /// The text that `kernel_version` points to.
    pub version: Option<String>,
}

/// Whether bytes look like a bzImage.
pub(crate) fn is_bzimage(image: &[u8]) -> bool {
    read_u32(image, 0x202) == Some(MAGIC)
}

fn read_u16(image: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(image.get(at..at + 2)?.try_into().ok()?))
}

fn read_u32(image: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(image.get(at..at + 4)?.try_into().ok()?))
}

impl<'a> BzImage<'a> {
    /// Checks an image that looks like one.
    pub fn parse(image: &'a [u8]) -> Result<Self, BootError> {
        let truncated = |what, needed: usize| BootError::Truncated {
            what,
            needed: needed as u64,
            found: image.len() as u64,
        };
        let wrong = |field, found: u64, allowed| Err(BootError::Header { field, found, allowed });
        let (Some(boot_flag), Some(version)) = (read_u16(image, 0x1fe), read_u16(image, 0x206)) else {
            return Err(truncated("the setup header", MIN_HEADER_END));
        };
        if boot_flag != BOOT_FLAG {
            return wrong("boot_flag", boot_flag.into(), "0xaa55");
        }
        if version < MIN_VERSION {
            return wrong(
                "version",
                version.into(),
                "at least 0x20c (Linux 3.8; the header of older kernels says nothing of a 64-bit entry)",
            );
        }
        // The jump at 0x200 is two bytes: its distance says where the header ends.
        let end = 0x202 + usize::from(image[0x201]);
        if end < MIN_HEADER_END {
            return wrong(
                "jump",
                image[0x201].into(),
                "at least 0x62, so that the header ends after init_size",
            );
        }
        let end = end.min(HEADER_MAX_END);
        let mut header = SetupHeader::default();
        let known = (end - HEADER_OFFSET).min(size_of::<SetupHeader>());
        let bytes = image
            .get(HEADER_OFFSET..HEADER_OFFSET + known)
            .ok_or_else(|| truncated("the setup header", HEADER_OFFSET + known))?;
        header.as_mut_bytes()[..known].copy_from_slice(bytes);

        let sectors = match header.setup_sects {
            0 => DEFAULT_SETUP_SECTORS,
            sectors => sectors.into(),
        };
        let setup_size = (sectors + 1) * SECTOR;
        if setup_size < end {
            return wrong("setup_sects", header.setup_sects.into(), "large enough to hold the setup header");
        }
        let protected = image.get(setup_size..).unwrap_or_default();
        // In paragraphs of 16 bytes. What follows it, as a signature, is not counted.
        let size = header.syssize.get() as usize * 16;
        let least = size.max(ENTRY_64 as usize + 1);
        if protected.len() < least {
            return Err(truncated("the protected-mode code", setup_size + least));
        }
        if header.loadflags & LOADED_HIGH == 0 {
            return wrong(
                "loadflags",
                header.loadflags.into(),
                "one with bit 0 set (a zImage, which is loaded below 1 MiB, is not booted)",
            );
        }
        if header.xloadflags.get() & XLF_KERNEL_64 == 0 {
            return wrong(
                "xloadflags",
                header.xloadflags.get().into(),
                "one with bit 0 set (this is a 32-bit kernel)",
            );
        }
        let alignment = header.kernel_alignment.get();
        if header.relocatable_kernel != 0 && !alignment.is_power_of_two() {
            return wrong("kernel_alignment", alignment.into(), "a power of two");
        }
        if !(HIGH_MEMORY..LOW_RAM_END).contains(&header.pref_address.get()) {
            return wrong("pref_address", header.pref_address.get(), "at least 1 MiB and below 3 GiB");
        }
        let text = 0x200 + usize::from(header.kernel_version.get());
        let version = (header.kernel_version.get() != 0)
            .then(|| image.get(text..setup_size.min(image.len())))
            .flatten()
            .and_then(|text| text.split(|byte| *byte == 0 || *byte == b' ').next())
            .and_then(|text| std::str::from_utf8(text).ok())
            .filter(|text| (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic()))
            .map(str::to_owned);
        Ok(Self { header, protected, version })
    }

    /// Where the protected-mode part is loaded.
    pub fn load_address(&self) -> u64 {
        self.header.pref_address.get()
    }

    /// The memory that the kernel uses before it knows what else is in memory. Loaded at the address it prefers, it
    /// unpacks itself in place, so this is where it is loaded and `init_size` bytes from there.
    pub fn run_range(&self) -> Range<u64> {
        let start = self.load_address();
        let length = u64::from(self.header.init_size.get()).max(self.protected.len() as u64);
        start..start + length
    }

    /// The first 64-bit instruction.
    pub fn entry(&self) -> u64 {
        self.load_address() + ENTRY_64
    }

    /// Whether initrd and command line may be above 4 GiB.
    pub fn takes_high_addresses(&self) -> bool {
        self.header.xloadflags.get() & XLF_CAN_BE_LOADED_ABOVE_4G != 0
    }

    /// The most bytes of the command line, without NUL.
    pub fn command_line_max(&self) -> u64 {
        u64::from(self.header.cmdline_size.get())
    }

    /// The compressed kernel, with the four bytes after it that hold its size.
    pub fn payload(&self) -> Result<&'a [u8], BootError> {
        let (offset, length) =
            (self.header.payload_offset.get() as usize, self.header.payload_length.get() as usize);
        if length == 0 {
            return Err(BootError::Header { field: "payload_length", found: 0, allowed: "at least 1" });
        }
        self.protected.get(offset..offset.saturating_add(length)).ok_or(BootError::Truncated {
            what: "the payload, counted from the protected-mode code on,",
            needed: offset.saturating_add(length) as u64,
            found: self.protected.len() as u64,
        })
    }
}
