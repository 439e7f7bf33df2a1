//! The zero page and the rest of memory for a bzImage; offsets are those of zero-page.rst and boot.rst.

use crate::support::*;
use vm_memory::bitmap::Bitmap;
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryRegion};
use vmhatch_boot::Protocol;
use vmhatch_boot::x86_64::{Entry, Gdt, Loaded, Plan, identify, load};

const COMMAND_LINE: &[u8] = b"console=ttyS0 panic=-1";

fn loaded(memory: &Memory, plan: &Plan<'_>) -> Loaded {
    load(memory, plan).unwrap()
}

#[test]
fn an_image_is_known_and_entered_in_long_mode() {
    let image = BzImageBuilder::default().build();
    let identity = identify(&image).unwrap();
    assert_eq!(identity.name, "a Linux bzImage (6.12.0-test)");
    assert_eq!(identity.protocols, [Protocol::Linux64, Protocol::Pvh, Protocol::Elf64]);

    let memory = ram(64);
    let loaded = loaded(&memory, &Plan { command_line: COMMAND_LINE, ..Plan::new(&image) });
    assert_eq!(loaded.protocol, Protocol::Linux64);
    let gdt = Gdt { base: 0x500, limit: 0x2f, code: 0x10, data: 0x18, task: 0x20 };
    assert_eq!(loaded.entry, Entry::Long { rip: 0x100_0200, rsi: 0x7000, rsp: 0x8ff0, cr3: 0x9000, gdt });
    // The protected-mode part, at the address that the image prefers.
    assert_eq!(placed(&loaded, "kernel"), (0x100_0000, (image.len() - SETUP_SIZE) as u64));
    assert_eq!(bytes(&memory, 0x100_0000, image.len() - SETUP_SIZE), image[SETUP_SIZE..]);
    assert_eq!(bytes(&memory, 0x100_0200, 12), b"64-bit entry");
    assert_eq!(text_at(&memory, 0x2_0000), COMMAND_LINE);
}

#[test]
fn the_setup_header_is_that_of_the_image_with_what_a_loader_fills_in() {
    let mut image = BzImageBuilder::default().build();
    // loadflags: LOADED_HIGH with KASLR_FLAG, QUIET_FLAG and CAN_USE_HEAP; setup_data, which is the loader's.
    put(&mut image, 0x211, &[0xa3]);
    put(&mut image, 0x250, &0x1234_5678_9abc_def0u64.to_le_bytes());
    let memory = ram(64);
    loaded(&memory, &Plan { command_line: COMMAND_LINE, ..Plan::new(&image) });

    let mut expected = vec![0; 4096];
    expected[0x1f1..0x26c].copy_from_slice(&image[0x1f1..0x26c]);
    put(&mut expected, 0x1fa, &0xffffu16.to_le_bytes()); // vid_mode: normal
    put(&mut expected, 0x210, &[0xff]); // type_of_loader
    put(&mut expected, 0x211, &[0x21]); // loadflags
    put(&mut expected, 0x214, &0x100_0000u32.to_le_bytes()); // code32_start
    put(&mut expected, 0x228, &0x2_0000u32.to_le_bytes()); // cmd_line_ptr
    put(&mut expected, 0x250, &0u64.to_le_bytes()); // setup_data
    let map: [(u64, u64, u32); 5] = [
        (0, 0x9_fc00, 1),
        (0x9_fc00, 0x400, 2),
        (0xe_0000, 0x2_0000, 2),
        (0x10_0000, 63 * MIB, 1),
        (0xfeff_c000, 0x100_4000, 2),
    ];
    put(&mut expected, 0x1e8, &[map.len() as u8]); // e820_entries
    for (index, (start, length, kind)) in map.into_iter().enumerate() {
        let at = 0x2d0 + index * 20; // e820_table
        put(&mut expected, at, &start.to_le_bytes());
        put(&mut expected, at + 8, &length.to_le_bytes());
        put(&mut expected, at + 16, &kind.to_le_bytes());
    }
    let found = bytes(&memory, 0x7000, 4096);
    let differences: Vec<_> = (0..4096).filter(|at| found[*at] != expected[*at]).collect();
    assert_eq!(differences, [0usize; 0], "offsets in the zero page");
}

#[test]
fn a_short_header_leaves_the_rest_of_the_zero_page_alone() {
    let mut image = BzImageBuilder::default().build();
    // The header ends after init_size, as in protocol 2.12; what follows in the image is code.
    put(&mut image, 0x201, &[0x62]);
    put(&mut image, 0x206, &0x020cu16.to_le_bytes());
    put(&mut image, 0x264, &[0xcc; 64]);
    let memory = ram(64);
    loaded(&memory, &Plan::new(&image));
    assert_eq!(u32_at(&memory, 0x7000 + 0x260), 4 << 20);
    assert_eq!(bytes(&memory, 0x7000 + 0x264, 0x2d0 - 0x264), [0; 0x2d0 - 0x264]);
}

#[test]
fn tables_for_long_mode() {
    let image = BzImageBuilder::default().build();
    let memory = ram(64);
    loaded(&memory, &Plan::new(&image));
    assert_eq!(u64_at(&memory, 0x500), 0);
    assert_eq!(u64_at(&memory, 0x508), 0);
    assert_eq!(u64_at(&memory, 0x510), 0x00af_9b00_0000_ffff, "code, 64-bit");
    assert_eq!(u64_at(&memory, 0x518), 0x00cf_9300_0000_ffff, "data");
    assert_eq!(u64_at(&memory, 0x520), 0x0000_8b00_0000_0067, "task");
    assert_eq!(u64_at(&memory, 0x528), 0, "its upper half");

    // Every address below 4 GiB maps to itself, by a walk through all three levels.
    for address in [0, 0x7000, 0x20_0000, 0x100_0200, 0x3fff_ffff, 0x4000_0000, 0xfee0_0000, 0xffff_ffffu64] {
        let pml4e = u64_at(&memory, 0x9000 + (address >> 39) * 8);
        let pdpte = u64_at(&memory, (pml4e & !0xfff) + ((address >> 30) & 0x1ff) * 8);
        let pde = u64_at(&memory, (pdpte & !0xfff) + ((address >> 21) & 0x1ff) * 8);
        assert_eq!((pml4e & 0xfff, pdpte & 0xfff), (0x3, 0x3), "{address:#x}: present, writable tables");
        assert_eq!(pde & 0xfff, 0x83, "{address:#x}: a present, writable page of 2 MiB");
        assert_eq!((pde & !0xfff) + (address & 0x1f_ffff), address);
    }
    // Nothing else is mapped.
    assert_eq!(bytes(&memory, 0x9008, 4096 - 8), vec![0; 4096 - 8]);
    assert_eq!(bytes(&memory, 0xa020, 4096 - 32), vec![0; 4096 - 32]);
}

#[test]
fn the_initrd_is_at_the_top_of_low_memory() {
    let image = BzImageBuilder::default().build();
    let initrd = vec![0xd5; 0x2345];
    let memory = ram(64);
    let loaded = loaded(&memory, &Plan { initrd: Some(&initrd), ..Plan::new(&image) });
    let start = 64 * MIB - 0x3000;
    assert_eq!(placed(&loaded, "initrd"), (start, 0x2345));
    assert_eq!(bytes(&memory, start, 0x2345), initrd);
    assert_eq!(u32_at(&memory, 0x7218), start as u32, "ramdisk_image");
    assert_eq!(u32_at(&memory, 0x721c), 0x2345, "ramdisk_size");
    assert_eq!(u32_at(&memory, 0x70c0), 0, "ext_ramdisk_image");
    assert_eq!(u32_at(&memory, 0x70c4), 0, "ext_ramdisk_size");
}

#[test]
fn the_initrd_ends_where_the_kernel_wants_it() {
    let mut image = BzImageBuilder::default().build();
    let initrd = [1; 100];
    let plan_at = |image: &[u8], max: u32| {
        let mut image = image.to_vec();
        put(&mut image, 0x22c, &max.to_le_bytes());
        let (_, loaded) = load_into(64, &Plan { initrd: Some(&initrd), ..Plan::new(&image) });
        loaded.map(|loaded| placed(&loaded, "initrd").0)
    };
    // initrd_addr_max is the address of the last byte that it may have.
    assert_eq!(plan_at(&image, 0x2ff_ffff), Ok(0x2ff_f000));
    assert_eq!(plan_at(&image, 0x2ff_f063), Ok(0x2ff_f000));
    assert_eq!(plan_at(&image, 0x2ff_f062), Ok(0x2ff_e000));
    assert_eq!(plan_at(&image, u32::MAX), Ok(0x3ff_f000));
    // Below the kernel if it must be, but never below 1 MiB, where our tables are.
    assert_eq!(plan_at(&image, 0x13f_ffff), Ok(0xff_f000));
    assert_eq!(plan_at(&image, 0x10_0063), Ok(0x10_0000));
    put(&mut image, 0x236, &1u16.to_le_bytes());
    for max in [0x10_0062, 0xf_ffff, 0] {
        let message = plan_at(&image, max).unwrap_err();
        assert_eq!(message.field(), "initrd", "{message}");
    }
}

#[test]
fn memory_above_4_gib_is_in_the_map_and_takes_an_initrd_that_does_not_fit_below() {
    let image = BzImageBuilder::default().build();
    let memory = memory_at(&[(0, 3 * GIB), (4 * GIB, 2 * GIB)]);
    let initrd = [7; 0x1800];
    loaded(&memory, &Plan { initrd: Some(&initrd), ..Plan::new(&image) });
    assert_eq!(bytes(&memory, 0x71e8, 1), [6], "e820_entries");
    let last = 0x7000 + 0x2d0 + 5 * 20;
    assert_eq!(
        (u64_at(&memory, last), u64_at(&memory, last + 8), u32_at(&memory, last + 16)),
        (4 * GIB, 2 * GIB, 1)
    );
    let low = 0x7000 + 0x2d0 + 3 * 20;
    assert_eq!((u64_at(&memory, low), u64_at(&memory, low + 8)), (MIB, 3 * GIB - MIB));
    // initrd_addr_max is 2 GiB.
    assert_eq!(u32_at(&memory, 0x7218), 0x7fff_e000);

    // 24 MiB below: too few beside the kernel's 4 MiB at 16 MiB.
    let memory = memory_at(&[(0, 24 * MIB), (4 * GIB, 64 * MIB)]);
    let initrd = vec![9; 17 << 20];
    let plan = Plan { initrd: Some(&initrd), ..Plan::new(&image) };
    let loaded = loaded(&memory, &plan);
    let start = 4 * GIB + 47 * MIB;
    assert_eq!(placed(&loaded, "initrd"), (start, 17 << 20));
    assert_eq!(u32_at(&memory, 0x7218), start as u32, "ramdisk_image");
    assert_eq!(u32_at(&memory, 0x70c0), 1, "ext_ramdisk_image");
    assert_eq!(u32_at(&memory, 0x721c), 17 << 20, "ramdisk_size");
    assert_eq!(bytes(&memory, start + (17 << 20) - 1, 1), [9]);

    // Not if the kernel does not say that it can do that (XLF_CAN_BE_LOADED_ABOVE_4G).
    let mut old = image.clone();
    put(&mut old, 0x236, &1u16.to_le_bytes());
    assert_eq!(load(&memory, &Plan { kernel: &old, ..plan }).unwrap_err().field(), "initrd");
}

#[test]
fn what_is_written_is_marked_dirty_and_nothing_else() {
    let image = BzImageBuilder::default().build();
    let memory = ram(64);
    let loaded = loaded(&memory, &Plan { initrd: Some(&[1]), command_line: b"x", ..Plan::new(&image) });
    let region = memory.find_region(GuestAddress(0)).unwrap();
    for page in 0..(64 * MIB / 4096) {
        let (start, end) = (page * 4096, (page + 1) * 4096);
        let written = loaded.placed.iter().any(|part| part.start < end && start < part.start + part.length);
        assert_eq!(region.bitmap().dirty_at(start as usize), written, "page at {start:#x}");
    }
}

#[test]
fn memory_that_a_guest_used_before_does_not_matter() {
    let image = BzImageBuilder::default().build();
    let plan = Plan { initrd: Some(&[1; 5000]), command_line: b"again", ..Plan::new(&image) };
    let (fresh, used) = (ram(64), ram(64));
    used.write_slice(&vec![0xff; 64 << 20], GuestAddress(0)).unwrap();
    let loaded = loaded(&fresh, &plan);
    assert_eq!(load(&used, &plan).unwrap(), loaded);
    for part in &loaded.placed {
        let length = part.length as usize;
        assert_eq!(bytes(&used, part.start, length), bytes(&fresh, part.start, length), "{}", part.name);
    }
}
