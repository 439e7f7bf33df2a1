//! Every field of every header at 0, all ones, one off and more: an error or a machine that can start, never a panic,
//! and never anything outside of the machine's memory or over our own tables.

use crate::support::*;
use vmhatch_boot::Protocol;
use vmhatch_boot::x86_64::{Plan, load};

/// The values that a field of that width is set to.
fn values(original: u64, width: usize) -> Vec<u64> {
    let mask = u64::MAX >> (64 - width * 8);
    let mut values =
        vec![0, 1, mask, mask - 1, mask >> 1, (mask >> 1) + 1, original.wrapping_neg(), original << 1];
    values.extend([
        original.wrapping_add(1),
        original.wrapping_sub(1),
        original ^ 0x8000_0000,
        original + 0x1000,
    ]);
    values.extend((0..width * 8).map(|bit| 1 << bit));
    values.iter().map(|value| value & mask).collect()
}

/// Loads an image with each of its fields wrong; the number of times that this was an error.
fn lie(image: &[u8], protocol: Option<Protocol>, fields: &[(usize, usize)]) -> usize {
    let memory = ram(32);
    let mut errors = 0;
    for &(at, width) in fields {
        let mut original = [0; 8];
        original[..width].copy_from_slice(&image[at..at + width]);
        for value in values(u64::from_le_bytes(original), width) {
            let mut image = image.to_vec();
            put(&mut image, at, &value.to_le_bytes()[..width]);
            let plan =
                Plan { protocol, command_line: b"quiet", initrd: Some(b"initrd"), ..Plan::new(&image) };
            match load(&memory, &plan) {
                Ok(loaded) => check(&memory, &plan, &loaded),
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    errors += 1;
                }
            }
        }
    }
    errors
}

#[test]
fn bzimage() {
    let image = BzImageBuilder::default().build();
    // boot.rst, "The Real-Mode Kernel Header".
    let fields = [
        (0x1f1, 1),
        (0x1f2, 2),
        (0x1f4, 4),
        (0x1f8, 2),
        (0x1fa, 2),
        (0x1fc, 2),
        (0x1fe, 2),
        (0x200, 1),
        (0x201, 1),
        (0x202, 4),
        (0x206, 2),
        (0x208, 4),
        (0x20c, 2),
        (0x20e, 2),
        (0x210, 1),
        (0x211, 1),
        (0x212, 2),
        (0x214, 4),
        (0x218, 4),
        (0x21c, 4),
        (0x220, 4),
        (0x224, 2),
        (0x226, 1),
        (0x227, 1),
        (0x228, 4),
        (0x22c, 4),
        (0x230, 4),
        (0x234, 1),
        (0x235, 1),
        (0x236, 2),
        (0x238, 4),
        (0x23c, 4),
        (0x240, 8),
        (0x248, 4),
        (0x24c, 4),
        (0x250, 8),
        (0x258, 8),
        (0x260, 4),
        (0x264, 4),
        (0x268, 4),
    ];
    assert!(lie(&image, None, &fields) > 200);
}

#[test]
fn bzimage_whose_payload_is_booted() {
    let image = BzImageBuilder::with_payload(&ElfBuilder::vmlinux(Some(0x100_0000)).build());
    let fields = [
        (0x1f1, 1),
        (0x1f4, 4),
        (0x201, 1),
        (0x22c, 4),
        (0x238, 4),
        (0x248, 4),
        (0x24c, 4),
        (0x258, 8),
        (0x260, 4),
    ];
    for protocol in [Protocol::Pvh, Protocol::Elf64] {
        assert!(lie(&image, Some(protocol), &fields) > 50);
    }
}

#[test]
fn elf64() {
    let image = ElfBuilder::vmlinux(Some(0x100_0100)).build();
    // Elf64_Ehdr, then two Elf64_Phdr.
    let mut fields =
        vec![(4, 1), (5, 1), (6, 1), (16, 2), (18, 2), (20, 4), (24, 8), (32, 8), (40, 8), (48, 4)];
    fields.extend([(52, 2), (54, 2), (56, 2), (58, 2), (60, 2), (62, 2)]);
    for header in [64, 64 + 56] {
        fields.extend([(header, 4), (header + 4, 4)]);
        fields.extend((1..7).map(|index| (header + index * 8, 8)));
    }
    // The notes: every word.
    fields.extend((64 + 2 * 56 + 0x300..image.len() - 3).step_by(4).map(|at| (at, 4)));
    for protocol in [None, Some(Protocol::Elf64)] {
        assert!(lie(&image, protocol, &fields) > 200);
    }
}

#[test]
fn elf32_and_multiboot() {
    let mut text = MultibootBuilder::header(3);
    text.resize(0x80, 0xf4);
    let mut segment = Segment::load(0x10_0000, &text);
    segment.memory_size = Some(0x1000);
    let image = ElfBuilder { is_64: false, entry: 0x10_0010, segments: vec![segment] }.build();
    let mut fields =
        vec![(4, 1), (5, 1), (6, 1), (16, 2), (18, 2), (20, 4), (24, 4), (28, 4), (32, 4), (36, 4)];
    fields.extend([(40, 2), (42, 2), (44, 2), (46, 2), (48, 2), (50, 2)]);
    fields.extend((52..image.len().min(52 + 32 + 12)).step_by(4).map(|at| (at, 4)));
    assert!(lie(&image, None, &fields) > 200);

    let image = MultibootBuilder::default().build();
    let fields: Vec<_> = (0x40..0x60).step_by(4).map(|at| (at, 4)).collect();
    assert!(lie(&image, None, &fields) > 100);
}

#[test]
fn segments_over_our_tables_or_each_other() {
    // Our own: GDT, start info, zero page, stack, page tables, command line. The first byte and the last.
    for (start, end) in
        [(0x500, 0x530), (0x7000, 0x8000), (0x8000, 0x9000), (0x9000, 0xf000), (0x2_0000, 0x3_0000)]
    {
        for address in [start, end - 1, start.max(0x10) - 7] {
            let mut elf = ElfBuilder::vmlinux(None);
            elf.segments.push(Segment::load(address, b"intruder"));
            let (memory, loaded) = load_into(32, &Plan::new(&elf.build()));
            let (field, message) = error(loaded);
            assert_eq!(field, "kernel");
            assert!(message.contains("kernel at") && message.contains("overlaps"), "{message}");
            assert_untouched(&memory);
        }
        let mut elf = ElfBuilder::vmlinux(None);
        elf.segments.push(Segment::load(end, b"x"));
        // What is right behind one of them is free, but for the table that follows.
        let (_, loaded) = load_into(32, &Plan::new(&elf.build()));
        assert_eq!(loaded.is_ok(), matches!(end, 0x530 | 0xf000 | 0x3_0000));
    }
    let mut elf = ElfBuilder::vmlinux(None);
    elf.segments.push(Segment::load(0x100_1fff, b"xx"));
    let (_, message) = error(load_into(32, &Plan::new(&elf.build())).1);
    assert!(message.contains("overlaps kernel at 0x1000000..0x1002000"), "{message}");
}

#[test]
fn an_mp_table_keeps_its_place() {
    let mut elf = ElfBuilder::vmlinux(None);
    elf.segments.push(Segment::load(0x9_ffff, b"x"));
    let image = elf.build();
    load_into(32, &Plan::new(&image)).1.unwrap();
    let (_, message) = error(load_into(32, &Plan { mp_table: true, ..Plan::new(&image) }).1);
    assert!(message.contains("overlaps MP table"), "{message}");
}

#[test]
fn thousands_of_segments_are_refused() {
    let mut elf = ElfBuilder::vmlinux(None);
    elf.segments.extend((0..65_000).map(|_| Segment::note(&[])));
    let (_, message) = error(load_into(32, &Plan::new(&elf.build())).1);
    assert!(message.contains("e_phnum is 0xfde9"), "{message}");
}
