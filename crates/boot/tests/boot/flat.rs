//! Images without a header, and firmware.

use crate::support::*;
use vmhatch_boot::Protocol;
use vmhatch_boot::x86_64::{Entry, Flat, FlatMode, Plan, firmware_start, load};

fn flat(image: &[u8], address: u64, entry: u64, mode: FlatMode) -> Plan<'_> {
    Plan { protocol: Some(Protocol::Flat), flat: Flat { address, entry, mode }, ..Plan::new(image) }
}

#[test]
fn a_boot_sector_is_entered_in_real_mode() {
    let image: Vec<u8> = (0..512).map(|index| index as u8).collect();
    let memory = memory_at(&[(0, 0x8000)]);
    let loaded = load(&memory, &Plan { protocol: Some(Protocol::Flat), ..Plan::new(&image) }).unwrap();
    assert_eq!(loaded.entry, Entry::Real { selector: 0, offset: 0x7c00 });
    assert_eq!(bytes(&memory, 0x7c00, 512), image);
    assert_eq!(loaded.placed.len(), 1, "nothing else is written");
    assert_eq!(bytes(&memory, 0, 0x7c00), vec![0; 0x7c00]);
}

#[test]
fn real_mode_reaches_1_mib() {
    let image = [0xf4; 16];
    for (entry, selector, offset) in
        [(0x1_0000, 0x1000, 0), (0x9_fff0, 0x9000, 0xfff0), (0xf_ffff, 0xf000, 0xffff)]
    {
        let (_, loaded) = load_into(2, &flat(&image, entry, entry, FlatMode::Real));
        assert_eq!(loaded.unwrap().entry, Entry::Real { selector, offset });
    }
    let (field, _) = error(load_into(2, &flat(&image, 0x10_0000, 0x10_0000, FlatMode::Real)).1);
    assert_eq!(field, "kernel");
}

#[test]
fn protected_and_long_mode_bring_their_tables() {
    let image = [0xf4; 0x100];
    let (memory, loaded) = load_into(2, &flat(&image, 0x10_0000, 0x10_0010, FlatMode::Protected));
    assert!(matches!(loaded.unwrap().entry, Entry::Protected { eip: 0x10_0010, eax: 0, ebx: 0, .. }));
    assert_eq!(u64_at(&memory, 0x510), 0x00cf_9b00_0000_ffff);
    assert_eq!(u64_at(&memory, 0x9000), 0, "no page tables");

    let (memory, loaded) = load_into(2, &flat(&image, 0x10_0000, 0x10_00ff, FlatMode::Long));
    let entry = loaded.unwrap().entry;
    assert!(matches!(entry, Entry::Long { rip: 0x10_00ff, rsi: 0, rsp: 0x8ff0, cr3: 0x9000, .. }));
    assert_eq!(u64_at(&memory, 0x510), 0x00af_9b00_0000_ffff);
    assert_eq!(u64_at(&memory, 0x9000), 0xa003);
}

#[test]
fn bad_flat_images() {
    let image = [0xf4; 0x100];
    let cases = [
        ("kernel", flat(&[], 0x1000, 0x1000, FlatMode::Real)),
        ("kernel", flat(&image, 0x1000, 0xfff, FlatMode::Real)),
        ("kernel", flat(&image, 0x1000, 0x1100, FlatMode::Real)),
        ("kernel", flat(&image, 0x480, 0x480, FlatMode::Protected)),
        ("kernel", flat(&image, 0x9000, 0x9000, FlatMode::Long)),
        ("kernel", flat(&image, 4 * GIB, 4 * GIB, FlatMode::Long)),
        ("kernel", flat(&image, u64::MAX - 10, u64::MAX - 5, FlatMode::Long)),
        ("memory", flat(&image, 0x1f_ff01, 0x1f_ff01, FlatMode::Protected)),
        ("memory", flat(&image, 0xffff_ff00, 0xffff_ff00, FlatMode::Long)),
        ("initrd", Plan { initrd: Some(&image), ..flat(&image, 0x7c00, 0x7c00, FlatMode::Real) }),
        ("cmdline", Plan { command_line: b"x", ..flat(&image, 0x7c00, 0x7c00, FlatMode::Real) }),
    ];
    for (field, plan) in cases {
        let (memory, loaded) = load_into(2, &plan);
        let (found, message) = error(loaded);
        assert_eq!(found, field, "{message}");
        assert_untouched(&memory);
    }
}

#[test]
fn firmware_ends_at_4_gib_and_is_seen_below_1_mib() {
    let image: Vec<u8> = (0..512 * 1024u32).map(|index| (index / 4096) as u8 ^ index as u8).collect();
    let start = firmware_start(image.len() as u64).unwrap();
    assert_eq!(start, 0xfff8_0000);
    let memory = memory_at(&[(0, 2 * MIB), (start, 512 * 1024)]);
    let plan = Plan { protocol: Some(Protocol::Firmware), mp_table: true, ..Plan::new(&image) };
    let loaded = load(&memory, &plan).unwrap();
    assert_eq!(loaded.entry, Entry::Reset);
    assert_eq!(bytes(&memory, start, image.len()), image);
    assert_eq!(bytes(&memory, 0xc_0000, 256 * 1024), image[256 * 1024..]);
    assert_eq!(loaded.placed.len(), 2, "firmware makes its own tables");

    // One that is smaller than 256 KiB is there whole.
    let small = &image[..0x1_0000];
    let memory = memory_at(&[(0, 2 * MIB), (0xffff_0000, 0x1_0000)]);
    load(&memory, &Plan { kernel: small, ..plan }).unwrap();
    assert_eq!(bytes(&memory, 0xf_0000, 0x1_0000), small);
}

#[test]
fn bad_firmware() {
    fn plan(image: &[u8]) -> Plan<'_> {
        Plan { protocol: Some(Protocol::Firmware), ..Plan::new(image) }
    }
    for length in [0, 1, 4095, 4097, (16 << 20) + 4096] {
        assert_eq!(firmware_start(length).unwrap_err().field(), "kernel");
        assert_eq!(error(load_into(2, &plan(&vec![0; length as usize])).1).0, "kernel", "{length}");
    }
    // No memory is mapped below 4 GiB.
    let (memory, loaded) = load_into(2, &plan(&[0; 0x1_0000]));
    let (field, message) = error(loaded);
    assert_eq!(field, "memory");
    assert!(message.contains("firmware needs 65536 bytes at 0xffff0000"), "{message}");
    assert_untouched(&memory);
}
