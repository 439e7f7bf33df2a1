//! The firmware tables: where the guest is told of them. What is in them is tested beside the code that makes them.

use crate::support::*;
use vmhatch_boot::Protocol;
use vmhatch_boot::x86_64::acpi::{AcpiConfig, Reset};
use vmhatch_boot::x86_64::{Entry, Flat, FlatMode, Plan, load};

fn config() -> AcpiConfig {
    AcpiConfig { reset: Some(Reset { port: 0x604, value: 1 }), ..AcpiConfig::default() }
}

/// Loads with all tables.
fn loaded(image: &[u8], protocol: Option<Protocol>) -> Memory {
    let config = config();
    let plan = Plan { protocol, acpi: Some(&config), mp_table: true, cpus: 4, ..Plan::new(image) };
    let (memory, loaded) = load_into(64, &plan);
    let loaded = loaded.unwrap();
    for pair in loaded.placed.windows(2) {
        assert!(pair[0].start + pair[0].length <= pair[1].start, "{pair:x?} overlap");
    }
    assert_eq!(placed(&loaded, "MP table").0, 0x9_fc00);
    assert_eq!(bytes(&memory, 0x9_fc00, 4), b"_MP_");
    memory
}

/// The address at which the RSDP is found by searching.
fn rsdp(memory: &Memory) -> u64 {
    (0xe_0000..0x10_0000).step_by(16).find(|at| bytes(memory, *at, 8) == b"RSD PTR ").expect("an RSDP")
}

#[test]
fn linux_finds_the_rsdp_in_the_zero_page() {
    for (image, protocol) in [
        (BzImageBuilder::default().build(), Protocol::Linux64),
        (ElfBuilder::vmlinux(None).build(), Protocol::Elf64),
    ] {
        let memory = loaded(&image, Some(protocol));
        assert_eq!(u64_at(&memory, 0x7070), rsdp(&memory), "acpi_rsdp_addr");
    }
}

#[test]
fn pvh_finds_the_rsdp_in_the_start_info() {
    let memory = loaded(&ElfBuilder::vmlinux(Some(0x100_0000)).build(), None);
    assert_eq!(u64_at(&memory, 0x6020), rsdp(&memory), "rsdp_paddr");
}

#[test]
fn others_find_it_by_searching() {
    rsdp(&loaded(&MultibootBuilder::default().build(), None));
    rsdp(&loaded(&[0xf4; 16], Some(Protocol::Flat)));
}

#[test]
fn an_image_over_the_tables_is_refused() {
    let config = config();
    let flat = Flat { address: 0xe_0000, entry: 0xe_0000, mode: FlatMode::Real };
    let plan = Plan { protocol: Some(Protocol::Flat), flat, ..Plan::new(&[0xf4]) };
    let (_, free) = load_into(2, &plan);
    assert_eq!(free.unwrap().entry, Entry::Real { selector: 0xe000, offset: 0 });
    let (memory, taken) = load_into(2, &Plan { acpi: Some(&config), ..plan });
    let (field, message) = error(taken);
    assert_eq!(field, "kernel");
    assert!(message.contains("overlaps ACPI tables"), "{message}");
    assert_untouched(&memory);
    // No memory where they go.
    let memory = memory_at(&[(0, 0x9_0000)]);
    let low = Flat { address: 0x7c00, entry: 0x7c00, mode: FlatMode::Real };
    assert_eq!(
        load(&memory, &Plan { acpi: Some(&config), flat: low, ..plan }).unwrap_err().field(),
        "memory"
    );
    assert_eq!(load(&memory, &Plan { mp_table: true, flat: low, ..plan }).unwrap_err().field(), "memory");
    assert_untouched(&memory);
}

#[test]
fn a_device_that_cannot_be_described_is_refused_before_anything_is_written() {
    let config = AcpiConfig { reset: Some(Reset { port: 0, value: 1 }), ..AcpiConfig::default() };
    let image = BzImageBuilder::default().build();
    let (memory, loaded) = load_into(64, &Plan { acpi: Some(&config), mp_table: true, ..Plan::new(&image) });
    assert_eq!(error(loaded).0, "devices");
    assert_untouched(&memory);
}
