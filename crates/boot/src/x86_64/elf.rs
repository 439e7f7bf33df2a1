//! ELF images: what is loaded where, the entry, and the notes.
//!
//! Read with the `object` crate, of either class. linux-loader's ELF loader knows 64-bit images only, writes to memory
//! while it still reads headers, takes the last segment of notes for the only one, and leaves what follows a
//! segment's bytes as it is.

use super::identify::MACHINE;
use crate::{BootError, foreign};
use object::Endianness;
use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{FileHeader, NoteIterator, ProgramHeader};

/// The most program headers of an image; a kernel has about ten.
const MAX_HEADERS: u32 = 256;
/// The most bytes of notes that are looked at.
const MAX_NOTES: usize = 64 * 1024;
/// Xen's `elfnote.h`: the note that holds the physical address of a 32-bit entry.
const XEN_ELFNOTE_PHYS32_ENTRY: u32 = 18;

/// A piece of the image that is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment<'a> {
    /// The bytes from the file.
    pub bytes: &'a [u8],
    /// Its physical address.
    pub address: u64,
    /// Its virtual address.
    pub virtual_address: u64,
    /// Its bytes in memory; those after the ones from the file are 0.
    pub length: u64,
}

/// An image for this machine, checked against itself; nothing is known yet of the machine's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Elf<'a> {
    /// Whether it is an ELF64 file for x86_64, and not an ELF32 file for i386.
    pub is_64: bool,
    /// The entry as the header has it.
    pub entry: u64,
    /// What is loaded.
    pub segments: Vec<Segment<'a>>,
    /// The entry of the PVH note, if there is one.
    pub pvh_entry: Option<u32>,
}

/// Whether bytes start as an ELF file does.
pub(crate) fn is_elf(image: &[u8]) -> bool {
    image.starts_with(&elf::ELFMAG)
}

impl<'a> Elf<'a> {
    /// Reads an image that starts as an ELF file does.
    pub fn parse(image: &'a [u8]) -> Result<Self, BootError> {
        // EI_CLASS: which of the two headers it has.
        match image.get(4) {
            Some(&1) => parse::<FileHeader32<Endianness>>(image, false),
            Some(&2) => parse::<FileHeader64<Endianness>>(image, true),
            Some(&class) => Err(BootError::Header {
                field: "EI_CLASS",
                found: class.into(),
                allowed: "1 (32-bit) or 2 (64-bit)",
            }),
            None => Err(truncated("the ELF header", 64, image)),
        }
    }

    /// The physical address of an address in the image: one that is physical already, or a virtual one of a segment.
    pub fn physical(&self, address: u64) -> Option<u64> {
        let inside = |start: u64, length: u64| address.checked_sub(start).filter(|offset| *offset < length);
        let is_physical =
            self.segments.iter().any(|segment| inside(segment.address, segment.length).is_some());
        if is_physical {
            return Some(address);
        }
        self.segments
            .iter()
            .find_map(|segment| Some(segment.address + inside(segment.virtual_address, segment.length)?))
    }
}

fn parse<'a, H: FileHeader<Endian = Endianness, Word: From<u32>>>(
    image: &'a [u8],
    is_64: bool,
) -> Result<Elf<'a>, BootError> {
    let header_size = size_of::<H>();
    let Ok(header) = H::parse(image) else {
        if image.len() < header_size {
            return Err(truncated("the ELF header", header_size as u64, image));
        }
        return Err(BootError::Image { found: "an ELF file of an unknown version or byte order".to_owned() });
    };
    let bad = |_| BootError::Image { found: "an ELF file of an unknown byte order".to_owned() };
    let endian = header.endian().map_err(bad)?;
    let machine = header.e_machine(endian);
    let expected = if is_64 { elf::EM_X86_64 } else { elf::EM_386 };
    if endian != Endianness::Little || machine != expected {
        return Err(BootError::Machine {
            found: foreign::elf_name(machine, is_64, endian),
            machine: MACHINE,
        });
    }
    let kind = header.e_type(endian);
    if kind != elf::ET_EXEC && kind != elf::ET_DYN {
        let found = u64::from(kind.0);
        return Err(BootError::Header {
            field: "e_type",
            found,
            allowed: "2 (executable) or 3 (relocatable as a whole)",
        });
    }
    let offset = header.e_phoff(endian).into();
    let count =
        header.phnum(endian, image).map_err(|_| truncated("the table of sections", u64::MAX, image))?;
    if !(1..=MAX_HEADERS).contains(&count) || offset == 0 {
        return Err(BootError::Header { field: "e_phnum", found: count.into(), allowed: "1 to 256" });
    }
    let entry_size = size_of::<H::ProgramHeader>();
    if usize::from(header.e_phentsize(endian)) != entry_size {
        let found = header.e_phentsize(endian).into();
        let allowed = "32 in ELF32, 56 in ELF64";
        return Err(BootError::Header { field: "e_phentsize", found, allowed });
    }
    let end = offset.saturating_add(u64::from(count) * entry_size as u64);
    let headers = header
        .program_headers(endian, image)
        .map_err(|_| truncated("the table of program headers", end, image))?;

    let mut segments = Vec::new();
    let mut pvh_entry = None;
    for program in headers {
        let kind = program.p_type(endian);
        let file_size = program.p_filesz(endian).into();
        let end = program.p_offset(endian).into().saturating_add(file_size);
        if kind == elf::PT_LOAD {
            let bytes =
                program.data(endian, image).map_err(|()| truncated("a loaded segment", end, image))?;
            let length = program.p_memsz(endian).into();
            if length < file_size {
                return Err(BootError::Header {
                    field: "p_memsz",
                    found: length,
                    allowed: "at least p_filesz",
                });
            }
            let address: u64 = program.p_paddr(endian).into();
            if address.checked_add(length).is_none() {
                return Err(BootError::Header {
                    field: "p_paddr",
                    found: address,
                    allowed: "at most 2^64 - p_memsz",
                });
            }
            if length > 0 {
                segments.push(Segment {
                    bytes,
                    address,
                    virtual_address: program.p_vaddr(endian).into(),
                    length,
                });
            }
        } else if kind == elf::PT_NOTE && pvh_entry.is_none() {
            let notes =
                program.data(endian, image).map_err(|()| truncated("a segment of notes", end, image))?;
            pvh_entry = find_pvh_entry::<H>(endian, &notes[..notes.len().min(MAX_NOTES)])?;
        }
    }
    if segments.is_empty() {
        return Err(BootError::Image { found: "an ELF file with nothing to load".to_owned() });
    }
    let entry = header.e_entry(endian).into();
    Ok(Elf { is_64, entry, segments, pvh_entry })
}

/// The entry in the PVH note. Notes that cannot be read end the search: they are no reason not to boot otherwise.
fn find_pvh_entry<H: FileHeader<Endian = Endianness, Word: From<u32>>>(
    endian: Endianness,
    notes: &[u8],
) -> Result<Option<u32>, BootError> {
    // All notes of a kernel are aligned to 4 bytes, whatever the segment says.
    let Ok(mut notes) = NoteIterator::<H>::new(endian, 4u32.into(), notes) else { return Ok(None) };
    while let Ok(Some(note)) = notes.next() {
        if note.name() == b"Xen" && note.n_type(endian).0 == XEN_ELFNOTE_PHYS32_ENTRY {
            return match *note.desc() {
                // 4 bytes, or 8 from a 64-bit assembler: the upper ones must be 0, as it is a 32-bit entry.
                [a, b, c, d] | [a, b, c, d, 0, 0, 0, 0] => Ok(Some(u32::from_le_bytes([a, b, c, d]))),
                _ => Err(BootError::Header {
                    field: "n_descsz of the PVH note",
                    found: note.desc().len() as u64,
                    allowed: "4, or 8 with an address below 4 GiB",
                }),
            };
        }
    }
    Ok(None)
}

fn truncated(what: &'static str, needed: u64, image: &[u8]) -> BootError {
    BootError::Truncated { what, needed, found: image.len() as u64 }
}
