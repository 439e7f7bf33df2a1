//! What is RAM, and what the guest is told of it.

use crate::support::*;
use vmhatch_boot::x86_64::{Plan, load};

/// The e820 map of a machine with that memory.
fn map(ranges: &[(u64, u64)]) -> Vec<(u64, u64, u32)> {
    let memory = memory_at(ranges);
    load(&memory, &Plan::new(&BzImageBuilder::default().build())).unwrap();
    let count = u64::from(bytes(&memory, 0x71e8, 1)[0]);
    (0..count)
        .map(|index| 0x72d0 + index * 20)
        .map(|at| (u64_at(&memory, at), u64_at(&memory, at + 8), u32_at(&memory, at + 16)))
        .collect()
}

const RESERVED: [(u64, u64, u32); 3] =
    [(0x9_fc00, 0x400, 2), (0xe_0000, 0x2_0000, 2), (0xfeff_c000, 0x100_4000, 2)];

fn usable(ranges: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let map = map(ranges);
    assert!(
        map.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0),
        "sorted, without overlaps: {map:x?}"
    );
    let (ram, reserved): (Vec<_>, Vec<_>) = map.into_iter().partition(|entry| entry.2 == 1);
    assert_eq!(reserved, RESERVED);
    ram.into_iter().map(|entry| (entry.0, entry.1)).collect()
}

#[test]
fn regions_that_touch_are_one_piece() {
    let expected = [(0, 0x9_fc00), (MIB, 63 * MIB)];
    assert_eq!(usable(&[(0, 64 * MIB)]), expected);
    assert_eq!(usable(&[(0, MIB), (MIB, 31 * MIB), (32 * MIB, 32 * MIB)]), expected);
}

#[test]
fn memory_between_3_and_4_gib_is_no_ram() {
    let low = [(0, 0x9_fc00), (MIB, 3 * GIB - MIB)];
    assert_eq!(usable(&[(0, 3 * GIB + 64 * MIB)]), low);
    assert_eq!(usable(&[(0, 3 * GIB), (0xffff_0000, 0x1_0000)]), low, "a region for firmware");
    assert_eq!(usable(&[(0, 3 * GIB), (0xffff_0000, 0x1_0000 + MIB)]), [low[0], low[1], (4 * GIB, MIB)]);
}

#[test]
fn holes_are_left_out() {
    assert_eq!(
        usable(&[(0, 64 * MIB), (128 * MIB, 64 * MIB), (GIB, 0x1000), (6 * GIB, GIB)]),
        [(0, 0x9_fc00), (MIB, 63 * MIB), (128 * MIB, 64 * MIB), (GIB, 0x1000), (6 * GIB, GIB)]
    );
}

#[test]
fn more_pieces_than_e820_has_room_for_are_refused() {
    let image = BzImageBuilder::default().build();
    let ranges = |pieces: u64| {
        let more = (0..pieces).map(|index| (65 * MIB + index * 0x2000, 0x1000));
        [(0, 64 * MIB)].into_iter().chain(more).collect::<Vec<_>>()
    };
    // Two pieces are the first 64 MiB, three are reserved: 128 in all.
    load(&memory_at(&ranges(123)), &Plan::new(&image)).unwrap();
    let memory = memory_at(&ranges(124));
    let (field, message) = error(load(&memory, &Plan::new(&image)));
    assert_eq!(field, "memory");
    assert!(message.contains("129 pieces") && message.contains("128"), "{message}");
    assert_untouched(&memory);
}

#[test]
fn a_kernel_across_a_hole_is_refused() {
    let image = BzImageBuilder::default().build();
    // The kernel wants 4 MiB at 16 MiB.
    load(&memory_at(&[(0, 20 * MIB)]), &Plan::new(&image)).unwrap();
    for ranges in
        [&[(0, 20 * MIB - 1)][..], &[(0, 18 * MIB), (19 * MIB, 20 * MIB)], &[(0, MIB), (17 * MIB, 9 * MIB)]]
    {
        let memory = memory_at(ranges);
        let (field, message) = error(load(&memory, &Plan::new(&image)));
        assert_eq!(field, "memory");
        assert!(message.starts_with("kernel needs 4194304 bytes at 0x1000000"), "{message}");
        assert_untouched(&memory);
    }
}

#[test]
fn there_must_be_memory_from_0_to_1_mib() {
    let bzimage = BzImageBuilder::default().build();
    let (elf, pvh) = (ElfBuilder::vmlinux(None).build(), ElfBuilder::vmlinux(Some(0x100_0000)).build());
    let multiboot = MultibootBuilder::default().build();
    for image in [&bzimage, &elf, &pvh, &multiboot] {
        for ranges in [&[(0, 4096)][..], &[(0, MIB - 1)], &[(4096, 64 * MIB)], &[(4 * GIB, 64 * MIB)]] {
            let memory = memory_at(ranges);
            let (field, message) = error(load(&memory, &Plan::new(image)));
            assert_eq!(field, "memory");
            assert!(message.contains("needs 1048576"), "{message}");
            assert_untouched(&memory);
        }
    }
}
