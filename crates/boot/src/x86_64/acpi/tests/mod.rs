//! The tables read back as a guest does: from the RSDP on, byte by byte, and the AML by a walker.

mod devices;
mod refused;
mod walker;

use super::*;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

const OEM: Oem = Oem { id: *b"ABCDEF", table_id: *b"GHIJKLMN" };

fn memory() -> GuestMemoryMmap {
    GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 0x10_0000)]).unwrap()
}

/// What a machine has: two serial ports, a clock, virtio devices, and the power registers.
fn usual() -> AcpiConfig {
    let device = |name: &[u8; 4], hid: &str, uid: u32| Device {
        name: *name,
        hid: hid.into(),
        uid,
        mmio: Vec::new(),
        io: Vec::new(),
        interrupts: Vec::new(),
    };
    let serial = |name, uid, port, gsi| Device {
        io: vec![(port, 8)],
        interrupts: vec![Interrupt::edge(gsi)],
        ..device(name, "PNP0501", uid)
    };
    let virtio = |name, uid| Device {
        mmio: vec![(0xd000_1000 + u64::from(uid) * 0x1000, 0x1000)],
        interrupts: vec![Interrupt::edge(5 + uid)],
        ..device(name, "LNRO0005", uid)
    };
    AcpiConfig {
        devices: vec![
            serial(b"COM1", 0, 0x3f8, 4),
            serial(b"COM2", 1, 0x2f8, 3),
            Device {
                io: vec![(0x70, 2)],
                interrupts: vec![Interrupt::edge(8)],
                ..device(b"RTC0", "PNP0B00", 0)
            },
            Device { io: vec![(0x505, 1)], ..device(b"PEVT", "QEMU0001", 0) },
            virtio(b"VR00", 0),
            virtio(b"VR01", 1),
        ],
        reset: Some(Reset { port: 0x602, value: 0x42 }),
        sleep: Some(Sleep { port: 0x600, s5: 5 }),
        has_i8042: true,
        has_cmos_rtc: true,
        oem: OEM,
    }
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}

fn number(bytes: &[u8], at: usize, width: usize) -> u64 {
    bytes[at..at + width].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn bytes_at(memory: &GuestMemoryMmap, start: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    memory.read_slice(&mut bytes, GuestAddress(start)).unwrap();
    bytes
}

/// A table by its address: of the length that it says, with a good checksum.
fn table_at(memory: &GuestMemoryMmap, start: u64, signature: &[u8; 4]) -> Vec<u8> {
    let head = bytes_at(memory, start, 36);
    assert_eq!(&head[..4], signature);
    let table = bytes_at(memory, start, number(&head, 4, 4) as usize);
    assert_eq!(sum(&table), 0, "{}", signature.escape_ascii());
    table
}

/// The tables as a guest finds them.
struct Found {
    rsdp: Vec<u8>,
    xsdt: Vec<u8>,
    fadt: Vec<u8>,
    madt: Vec<u8>,
    dsdt: Vec<u8>,
}

fn find(memory: &GuestMemoryMmap, rsdp: u64) -> Found {
    let rsdp = bytes_at(memory, rsdp, 36);
    let xsdt = table_at(memory, number(&rsdp, 24, 8), b"XSDT");
    let fadt = table_at(memory, number(&xsdt, 36, 8), b"FACP");
    let madt = table_at(memory, number(&xsdt, 44, 8), b"APIC");
    let dsdt = table_at(memory, number(&fadt, 140, 8), b"DSDT");
    Found { rsdp, xsdt, fadt, madt, dsdt }
}

fn built(config: &AcpiConfig, cpus: u32) -> Found {
    let memory = memory();
    let tables = build(&memory, config, cpus).unwrap();
    find(&memory, tables.rsdp)
}

/// A whole table from its fields, which are named by their offset, with the head that all tables have.
fn expected(signature: &[u8; 4], length: usize, revision: u8, fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let length = (length as u32).to_le_bytes();
    let head: [(usize, &[u8]); 8] = [
        (0, signature),
        (4, &length),
        (8, &[revision]),
        (10, &OEM.id),
        (16, &OEM.table_id),
        (24, &[1, 0, 0, 0]),
        (28, b"RVAT"),
        (32, &[0, 0, 0, 1]),
    ];
    for (at, field) in head.iter().chain(fields) {
        bytes[*at..][..field.len()].copy_from_slice(field);
    }
    bytes[9] = 0_u8.wrapping_sub(sum(&bytes));
    bytes
}

#[test]
fn the_rsdp_is_where_guests_search_and_leads_to_all_tables() {
    let memory = memory();
    let tables = build(&memory, &usual(), 2).unwrap();
    assert_eq!(tables.rsdp, 0xe_0000);
    let found = find(&memory, tables.rsdp);
    assert_eq!(found.rsdp[..8], *b"RSD PTR ");
    assert_eq!(found.rsdp[9..15], OEM.id);
    assert_eq!(found.rsdp[15], 2, "revision");
    assert_eq!(number(&found.rsdp, 16, 4), 0, "no RSDT");
    assert_eq!(number(&found.rsdp, 20, 4), 36, "length");
    assert_eq!(sum(&found.rsdp[..20]), 0, "checksum of ACPI 1.0");
    assert_eq!(sum(&found.rsdp), 0, "extended checksum");

    let fadt = number(&found.xsdt, 36, 8).to_le_bytes();
    let madt = number(&found.xsdt, 44, 8).to_le_bytes();
    assert_eq!(found.xsdt, expected(b"XSDT", 36 + 2 * 8, 1, &[(36, &fadt), (44, &madt)]));
}

#[test]
fn what_is_placed_is_what_was_written() {
    let memory = memory();
    let tables = build(&memory, &usual(), 32).unwrap();
    let names: Vec<&str> = tables.placed.iter().map(|placed| placed.name).collect();
    assert_eq!(names, ["ACPI RSDP", "ACPI DSDT", "ACPI FADT", "ACPI MADT", "ACPI XSDT", "reset vector"]);
    let mut end = layout::ACPI;
    let mut room = bytes_at(&memory, layout::ACPI, (layout::ACPI_END - layout::ACPI) as usize);
    for placed in &tables.placed {
        assert!(placed.start >= end && placed.start.is_multiple_of(16), "{placed:?}");
        end = placed.start + placed.length;
        room[(placed.start - layout::ACPI) as usize..][..placed.length as usize].fill(0);
    }
    assert!(end <= layout::ACPI_END);
    assert!(room.iter().all(|byte| *byte == 0), "written beyond what is placed");
    assert!(bytes_at(&memory, 0, layout::ACPI as usize).iter().all(|byte| *byte == 0));
}

#[test]
fn a_jump_to_the_bios_is_a_write_to_the_reset_register() {
    let vector = |config: &AcpiConfig| {
        let memory = memory();
        build(&memory, config, 1).unwrap();
        bytes_at(&memory, 0xf_fff0, 16)
    };
    let code = [0xfa, 0xba, 0x02, 0x06, 0xb0, 0x42, 0xee, 0xf4, 0xeb, 0xfd, 0, 0, 0, 0, 0, 0];
    assert_eq!(vector(&usual()), code);
    assert_eq!(vector(&AcpiConfig { reset: None, ..usual() }), [0; 16]);
}

#[test]
fn the_fadt_byte_by_byte() {
    let found = built(&usual(), 1);
    let dsdt = number(&found.fadt, 140, 8);
    let port = |port: u8, page: u8| [1, 8, 0, 1, port, page, 0, 0, 0, 0, 0, 0];
    // WBINVD, PWR_BUTTON, SLP_BUTTON, FIX_RTC, RESET_REG_SUP, HW_REDUCED_ACPI.
    let flags = (1_u32 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 10 | 1 << 20).to_le_bytes();
    let fields: [(usize, &[u8]); 9] = [
        // An 8042, no VGA, a CMOS clock.
        (109, &[0b00_0110]),
        (112, &flags),
        (116, &port(0x02, 0x06)),
        (128, &[0x42]),
        (131, &[5]),
        (140, &dsdt.to_le_bytes()),
        (244, &port(0x00, 0x06)),
        (256, &port(0x01, 0x06)),
        (268, b"VMHATCH\0"),
    ];
    assert_eq!(found.fadt, expected(b"FACP", 276, 6, &fields));
}

#[test]
fn the_fadt_of_a_machine_without_anything() {
    let found = built(&AcpiConfig { oem: OEM, ..AcpiConfig::default() }, 1);
    let dsdt = number(&found.fadt, 140, 8);
    let flags = (1_u32 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 20).to_le_bytes();
    let fields: [(usize, &[u8]); 5] = [
        // No 8042, no VGA, no CMOS clock.
        (109, &[0b10_0100]),
        (112, &flags),
        (131, &[5]),
        (140, &dsdt.to_le_bytes()),
        (268, b"VMHATCH\0"),
    ];
    assert_eq!(found.fadt, expected(b"FACP", 276, 6, &fields));
}

#[test]
fn the_madt_byte_by_byte() {
    for cpus in [1, 2, 32] {
        let found = built(&usual(), cpus);
        let mut structures = Vec::new();
        for cpu in 0..cpus as u8 {
            // Processor local APIC: uid, APIC id, enabled.
            structures.extend([0, 8, cpu, cpu, 1, 0, 0, 0]);
        }
        // The IOAPIC: id, reserved, address, GSI base. Then NMI at LINT1 of all.
        structures.extend([1, 12, cpus as u8, 0, 0x00, 0x00, 0xc0, 0xfe, 0, 0, 0, 0]);
        structures.extend([4, 6, 0xff, 0, 0, 1]);
        let length = 44 + structures.len();
        assert_eq!(length, 44 + 8 * cpus as usize + 12 + 6);
        let local_apic = 0xfee0_0000_u32.to_le_bytes();
        assert_eq!(found.madt, expected(b"APIC", length, 1, &[(36, &local_apic), (44, &structures)]));
    }
}

#[test]
fn the_default_manufacturer() {
    let found = built(&AcpiConfig::default(), 1);
    for table in [&found.xsdt, &found.fadt, &found.madt, &found.dsdt] {
        assert_eq!(&table[10..24], b"VMHTCHVMHATCH ");
    }
}
