//! The MP table: CPUs and interrupts for guests that do not know ACPI, or were told not to use it.
//!
//! The specification is Intel's MultiProcessor Specification 1.4, chapter 4. What Linux makes of it:
//! `arch/x86/kernel/mpparse.c`. Linux reads it only when it does not take the same from an ACPI MADT.

use super::layout;
use crate::{BootError, Placed, place};
use vm_memory::GuestMemoryBackend;

/// Version 1.4.
const SPECIFICATION: u8 = 4;

const FLOATING_POINTER_LENGTH: u64 = 16;
const HEADER_LENGTH: usize = 44;
const TABLE_LENGTH_AT: usize = 4;
const TABLE_CHECKSUM_AT: usize = 7;
const ENTRY_COUNT_AT: usize = 34;

/// Entry types (table 4-3).
const PROCESSOR: u8 = 0;
const BUS: u8 = 1;
const IO_APIC: u8 = 2;
const IO_INTERRUPT: u8 = 3;
const LOCAL_INTERRUPT: u8 = 4;

/// The version registers of the chips that KVM emulates (`APIC_VERSION` in its `lapic.c`, `IOAPIC_VERSION_ID` in its
/// `ioapic.h`).
const LOCAL_APIC_VERSION: u8 = 0x14;
const IO_APIC_VERSION: u8 = 0x11;

const PROCESSOR_ENABLED: u8 = 1 << 0;
const PROCESSOR_BOOTS: u8 = 1 << 1;
/// Family 6, as a guest that wants to know it better learns from CPUID.
const PROCESSOR_SIGNATURE: u32 = 0x600;
/// It has an FPU and a local APIC, as CPUID says it.
const PROCESSOR_FEATURES: u32 = 1 << 0 | 1 << 9;

const IO_APIC_USABLE: u8 = 1 << 0;
/// The IOAPIC's pins, all of which are interrupts of the ISA bus: it has 16, but a guest's drivers can be told of
/// the others too.
const PINS: u8 = 24;
/// The interrupt by which the second interrupt controller of a PC signals the first: no device can have it, and Linux
/// refuses it.
const CASCADE: u8 = 2;

/// Interrupt types (table 4-10).
const INT: u8 = 0;
const NMI: u8 = 1;
const EXT_INT: u8 = 3;
const ALL_LOCAL_APICS: u8 = 0xff;

const ISA_BUS: u8 = 0;

/// Writes the floating pointer and, right after it, the table of a machine with `cpus` CPUs to [`layout::EBDA`],
/// which is one of the places where guests look for it.
///
/// The interrupts are as KVM routes them without being told otherwise: interrupt n is pin n of the IOAPIC, the timer
/// at pin 0 included.
///
/// # Errors
///
/// [`BootError::Cpus`] for a number that no machine has, [`BootError::NotRam`] if there is no memory at that place.
pub fn write<M: GuestMemoryBackend>(memory: &M, cpus: u32) -> Result<Placed, BootError> {
    if !(1..=layout::MAX_CPUS).contains(&cpus) {
        return Err(BootError::Cpus { found: cpus, max: layout::MAX_CPUS });
    }
    // At most MAX_CPUS.
    let table = table(cpus as u8);
    let mut bytes = floating_pointer((layout::EBDA + FLOATING_POINTER_LENGTH) as u32);
    bytes.extend(table);
    let (needed, room) = (bytes.len() as u64, layout::BASE_MEMORY_END - layout::EBDA);
    if needed > room {
        return Err(BootError::TablesTooBig { what: "the MP tables", needed, room });
    }
    place::write(memory, "MP table", layout::EBDA, &bytes)
}

/// Section 4.1. No default configuration, and no PIC mode: the machine starts with the PIC's interrupts going through
/// the boot CPU's local APIC.
fn floating_pointer(table: u32) -> Vec<u8> {
    const CHECKSUM_AT: usize = 10;
    let mut bytes = b"_MP_".to_vec();
    bytes.extend(table.to_le_bytes());
    // The length in units of 16 bytes, then the checksum and five bytes of features.
    bytes.extend([(FLOATING_POINTER_LENGTH / 16) as u8, SPECIFICATION, 0, 0, 0, 0, 0, 0]);
    bytes[CHECKSUM_AT] = checksum(&bytes);
    bytes
}

/// Section 4.2. CPUs have the APIC ids 0 to `cpus` - 1, the IOAPIC has the first one after those.
fn table(cpus: u8) -> Vec<u8> {
    let io_apic = cpus;
    let mut entries = Entries::default();
    for cpu in 0..cpus {
        let boots = if cpu == 0 { PROCESSOR_BOOTS } else { 0 };
        let [s0, s1, s2, s3] = PROCESSOR_SIGNATURE.to_le_bytes();
        let [f0, f1, f2, f3] = PROCESSOR_FEATURES.to_le_bytes();
        let flags = PROCESSOR_ENABLED | boots;
        entries.push(&[PROCESSOR, cpu, LOCAL_APIC_VERSION, flags, s0, s1, s2, s3, f0, f1, f2, f3]);
        entries.bytes.extend([0; 8]);
    }
    let [b0, b1, b2, b3, b4, b5] = *b"ISA   ";
    entries.push(&[BUS, ISA_BUS, b0, b1, b2, b3, b4, b5]);
    let [a0, a1, a2, a3] = (layout::IO_APIC as u32).to_le_bytes();
    entries.push(&[IO_APIC, io_apic, IO_APIC_VERSION, IO_APIC_USABLE, a0, a1, a2, a3]);
    // Trigger and polarity, the two bytes after the type, are 0: as the bus has it, edge-triggered and active high.
    for pin in (0..PINS).filter(|&pin| pin != CASCADE) {
        entries.push(&[IO_INTERRUPT, INT, 0, 0, ISA_BUS, pin, io_apic, pin]);
    }
    entries.push(&[LOCAL_INTERRUPT, EXT_INT, 0, 0, ISA_BUS, 0, 0, 0]);
    entries.push(&[LOCAL_INTERRUPT, NMI, 0, 0, ISA_BUS, 0, ALL_LOCAL_APICS, 1]);

    let mut bytes = b"PCMP".to_vec();
    // Length and checksum come when all is known.
    bytes.extend([0, 0, SPECIFICATION, 0]);
    bytes.extend(b"VMHATCH MACHINE     ");
    // No table of the manufacturer (address and size), and the count.
    bytes.extend([0; 4 + 2 + 2]);
    bytes.extend((layout::LOCAL_APIC as u32).to_le_bytes());
    // No extended table: length, checksum, a reserved byte.
    bytes.extend([0; 4]);
    debug_assert_eq!(bytes.len(), HEADER_LENGTH);
    bytes.extend(entries.bytes);
    let length = bytes.len() as u16;
    bytes[TABLE_LENGTH_AT..][..2].copy_from_slice(&length.to_le_bytes());
    bytes[ENTRY_COUNT_AT..][..2].copy_from_slice(&entries.count.to_le_bytes());
    bytes[TABLE_CHECKSUM_AT] = checksum(&bytes);
    bytes
}

#[derive(Default)]
struct Entries {
    bytes: Vec<u8>,
    count: u16,
}

impl Entries {
    fn push(&mut self, entry: &[u8]) {
        self.bytes.extend(entry);
        self.count += 1;
    }
}

/// What makes the sum of all bytes 0.
fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

    fn memory() -> GuestMemoryMmap {
        GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 0x10_0000)]).unwrap()
    }

    /// What was written, and that nothing else was.
    fn written(cpus: u32) -> Vec<u8> {
        let memory = memory();
        let placed = write(&memory, cpus).unwrap();
        assert_eq!((placed.name, placed.start), ("MP table", 0x9_fc00));
        assert!(placed.length <= 1024);
        let mut all = vec![0; 0x10_0000];
        memory.read_slice(&mut all, GuestAddress(0)).unwrap();
        let written = all[0x9_fc00..][..placed.length as usize].to_vec();
        all[0x9_fc00..][..placed.length as usize].fill(0);
        assert!(all.iter().all(|byte| *byte == 0));
        written
    }

    fn sum(bytes: &[u8]) -> u8 {
        bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
    }

    /// The entries, split by the lengths that their types have.
    fn entries(table: &[u8]) -> Vec<&[u8]> {
        let mut rest = &table[44..];
        let mut entries = Vec::new();
        while let Some(kind) = rest.first() {
            let length = if *kind == 0 { 20 } else { 8 };
            let (entry, following) = rest.split_at(length);
            entries.push(entry);
            rest = following;
        }
        entries
    }

    #[test]
    fn the_floating_pointer() {
        let bytes = written(2);
        assert_eq!(sum(&bytes[..16]), 0);
        assert_eq!(&bytes[..4], b"_MP_");
        assert_eq!(bytes[4..8], 0x9_fc10_u32.to_le_bytes());
        assert_eq!(bytes[8..10], [1, 4], "16 bytes, version 1.4");
        assert_eq!(bytes[11..16], [0; 5], "a table, virtual wire mode");
    }

    #[test]
    fn the_table_byte_by_byte() {
        for cpus in [1, 2, 32] {
            let bytes = written(cpus);
            let table = &bytes[16..];
            assert_eq!(sum(table), 0);
            let mut expected = Vec::new();
            for cpu in 0..cpus as u8 {
                let flags = if cpu == 0 { 3 } else { 1 };
                expected.push([0, cpu, 0x14, flags, 0x00, 0x06, 0, 0, 0x01, 0x02, 0, 0].to_vec());
                expected.last_mut().unwrap().extend([0; 8]);
            }
            let io_apic = cpus as u8;
            expected.push(b"\x01\x00ISA   ".to_vec());
            expected.push(vec![2, io_apic, 0x11, 1, 0x00, 0x00, 0xc0, 0xfe]);
            let pins = (0..24).filter(|pin| *pin != 2);
            expected.extend(pins.map(|pin| vec![3, 0, 0, 0, 0, pin, io_apic, pin]));
            expected.push(vec![4, 3, 0, 0, 0, 0, 0, 0]);
            expected.push(vec![4, 1, 0, 0, 0, 0, 0xff, 1]);
            assert_eq!(entries(table), expected);

            let (length, count) = (table.len() as u16, expected.len() as u16);
            assert_eq!(table[..4], *b"PCMP");
            assert_eq!(table[4..6], length.to_le_bytes());
            assert_eq!(table[6], 4, "version 1.4");
            assert_eq!(table[8..28], *b"VMHATCH MACHINE     ");
            assert_eq!(table[28..34], [0; 6], "no table of the manufacturer");
            assert_eq!(table[34..36], count.to_le_bytes());
            assert_eq!(table[36..40], 0xfee0_0000_u32.to_le_bytes());
            assert_eq!(table[40..44], [0; 4], "no extended table");
        }
    }

    #[test]
    fn numbers_of_cpus() {
        for cpus in [0, 33, 256, u32::MAX] {
            let memory = memory();
            assert_eq!(write(&memory, cpus), Err(BootError::Cpus { found: cpus, max: 32 }));
            let mut room = [0; 1024];
            memory.read_slice(&mut room, GuestAddress(0x9_fc00)).unwrap();
            assert_eq!(room, [0; 1024]);
        }
    }

    #[test]
    fn a_machine_without_memory_there() {
        for length in [0x9_fc00, 0x9_fd00] {
            let memory = GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(0), length)]).unwrap();
            assert_eq!(write(&memory, 32).unwrap_err().field(), "memory");
        }
    }
}
