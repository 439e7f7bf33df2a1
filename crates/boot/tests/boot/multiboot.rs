//! Multiboot 1: offsets are those of section 3.3 of its specification.

use crate::support::*;
use vmhatch_boot::Protocol;
use vmhatch_boot::x86_64::{Entry, Gdt, Module, Plan, identify, load};

const GDT: Gdt = Gdt { base: 0x500, limit: 0x2f, code: 0x10, data: 0x18, task: 0x20 };

/// An ELF32 kernel at 1 MiB whose text starts with a Multiboot header.
fn elf32() -> ElfBuilder {
    let mut text = MultibootBuilder::header(3);
    text.resize(0x100, 0xf4);
    let text = Segment { memory_size: Some(0x3000), ..Segment::load(0x10_0000, &text) };
    ElfBuilder { is_64: false, entry: 0x10_0010, segments: vec![text] }
}

#[test]
fn information_for_an_elf32_kernel() {
    let image = elf32().build();
    let identity = identify(&image).unwrap();
    assert_eq!(identity.name, "an ELF32 file with a Multiboot header");
    assert_eq!(identity.protocols, [Protocol::Multiboot]);

    let modules = [Module { bytes: b"module", command_line: b"/boot/module --flag" }];
    let memory = memory_at(&[(0, 64 * MIB), (4 * GIB, 16 * MIB)]);
    let plan = Plan {
        command_line: b"/boot/kernel x=y",
        initrd: Some(b"initrd"),
        modules: &modules,
        ..Plan::new(&image)
    };
    let loaded = load(&memory, &plan).unwrap();
    assert_eq!(loaded.protocol, Protocol::Multiboot);
    assert_eq!(loaded.entry, Entry::Protected { eip: 0x10_0010, eax: 0x2bad_b002, ebx: 0x1_0000, gdt: GDT });
    assert_eq!(bytes(&memory, 0x10_0000, 12), MultibootBuilder::header(3));

    let info = 0x1_0000;
    assert_eq!(u32_at(&memory, info), 0x24d, "flags: memory, command line, modules, map, loader name");
    assert_eq!(u32_at(&memory, info + 4), 639, "mem_lower");
    assert_eq!(u32_at(&memory, info + 8), 63 * 1024, "mem_upper");
    assert_eq!(u32_at(&memory, info + 12), 0, "boot_device");
    assert_eq!(text_at(&memory, u32_at(&memory, info + 16).into()), b"/boot/kernel x=y", "cmdline");
    assert_eq!(u32_at(&memory, info + 20), 2, "mods_count");
    assert_eq!(bytes(&memory, info + 28, 16), [0; 16], "syms");
    assert_eq!(u32_at(&memory, info + 44), 6 * 24, "mmap_length");
    assert_eq!(bytes(&memory, info + 52, 12), [0; 12], "drives, config_table");
    assert_eq!(text_at(&memory, u32_at(&memory, info + 64).into()), b"vmhatch", "boot_loader_name");
    assert_eq!(bytes(&memory, info + 68, 52), [0; 52], "apm_table, vbe, framebuffer");

    let mut at = u64::from(u32_at(&memory, info + 48));
    let end = at + 6 * 24;
    let mut map = Vec::new();
    while at < end {
        map.push((u64_at(&memory, at + 4), u64_at(&memory, at + 12), u32_at(&memory, at + 20)));
        // The field size does not count itself.
        at += u64::from(u32_at(&memory, at)) + 4;
    }
    assert_eq!(
        map,
        [
            (0, 0x9_fc00, 1),
            (0x9_fc00, 0x400, 2),
            (0xe_0000, 0x2_0000, 2),
            (MIB, 63 * MIB, 1),
            (0xfeff_c000, 0x100_4000, 2),
            (4 * GIB, 16 * MIB, 1),
        ]
    );

    let list = u64::from(u32_at(&memory, info + 24));
    let module = |index: u64| {
        let at = list + index * 16;
        let (start, end) = (u32_at(&memory, at), u32_at(&memory, at + 4));
        assert_eq!(start % 4096, 0);
        assert_eq!(u32_at(&memory, at + 12), 0, "reserved");
        let name = text_at(&memory, u32_at(&memory, at + 8).into());
        (bytes(&memory, start.into(), (end - start) as usize), name)
    };
    assert_eq!(module(0), (b"initrd".to_vec(), vec![]));
    assert_eq!(module(1), (b"module".to_vec(), b"/boot/module --flag".to_vec()));
}

#[test]
fn without_modules_the_flag_is_clear() {
    let (memory, loaded) = load_into(8, &Plan::new(&elf32().build()));
    loaded.unwrap();
    assert_eq!(u32_at(&memory, 0x1_0000), 0x245);
    assert_eq!(u64_at(&memory, 0x1_0014), 0, "mods_count, mods_addr");
    assert_eq!(text_at(&memory, u32_at(&memory, 0x1_0010).into()), b"", "cmdline");
}

#[test]
fn a_kernel_in_the_higher_half_is_entered_at_its_physical_address() {
    let mut elf = elf32();
    elf.segments[0].virtual_address = 0xc010_0000;
    elf.entry = 0xc010_0020;
    let (_, loaded) = load_into(8, &Plan::new(&elf.build()));
    assert!(matches!(loaded.unwrap().entry, Entry::Protected { eip: 0x10_0020, .. }));
}

#[test]
fn an_elf64_image_with_a_header_is_entered_as_it_asks() {
    let image = ElfBuilder { is_64: true, ..elf32() }.build();
    assert_eq!(identify(&image).unwrap().protocols, [Protocol::Multiboot, Protocol::Elf64]);
    let (_, loaded) = load_into(8, &Plan::new(&image));
    let loaded = loaded.unwrap();
    assert_eq!(loaded.protocol, Protocol::Multiboot);
    assert!(matches!(loaded.entry, Entry::Protected { eip: 0x10_0010, .. }));
}

#[test]
fn an_image_that_says_itself_where_it_goes() {
    let image = MultibootBuilder::default().build();
    assert_eq!(identify(&image).unwrap().name, "an image with a Multiboot header");
    let (memory, loaded) = load_into(8, &Plan::new(&image));
    let loaded = loaded.unwrap();
    assert!(matches!(loaded.entry, Entry::Protected { eip: 0x10_0080, .. }));
    assert_eq!(placed(&loaded, "kernel"), (0x10_0000, 0x2000));
    assert_eq!(bytes(&memory, 0x10_0000, 0x400), image[..0x400]);
    assert_eq!(bytes(&memory, 0x10_0400, 0x1c00), vec![0; 0x1c00], "up to bss_end_addr");

    // load_end_addr 0: all of the file; bss_end_addr 0: nothing after it.
    let image = MultibootBuilder { load_end_addr: 0, bss_end_addr: 0, ..Default::default() }.build();
    let (memory, loaded) = load_into(8, &Plan::new(&image));
    assert_eq!(placed(&loaded.unwrap(), "kernel"), (0x10_0000, image.len() as u64));
    assert_eq!(bytes(&memory, 0x10_0000, image.len()), image);

    // What is before load_addr in the file is not loaded.
    let mut image = MultibootBuilder::default().build();
    let (header, load) = (0x10_0040u32, 0x10_0020u32);
    put(&mut image, 0x40 + 12, &header.to_le_bytes());
    put(&mut image, 0x40 + 16, &load.to_le_bytes());
    let (memory, loaded) = load_into(8, &Plan::new(&image));
    assert_eq!(placed(&loaded.unwrap(), "kernel").0, 0x10_0020);
    assert_eq!(bytes(&memory, 0x10_0020, 0x3e0), image[0x20..0x400]);
}

#[test]
fn the_header_is_found_in_the_first_8_kib_at_multiples_of_4() {
    let build = |offset| {
        MultibootBuilder { offset, length: 0x3000, load_end_addr: 0, bss_end_addr: 0, ..Default::default() }
            .build()
    };
    // All eight fields of it must be there.
    for offset in [0, 4, 0x1000, 8192 - 32] {
        assert_eq!(identify(&build(offset)).unwrap().protocols, [Protocol::Multiboot], "{offset}");
    }
    for offset in [2, 0x1001, 8192 - 28, 8192, 0x2400] {
        assert_eq!(identify(&build(offset)).unwrap_err().field(), "kernel", "{offset}");
    }
    // A bad checksum is no header; one after it is.
    let mut image = build(0x100);
    put(&mut image, 0x40, &MultibootBuilder::header(3));
    put(&mut image, 0x48, &[0]);
    load_into(8, &Plan::new(&image)).1.unwrap();
}

#[test]
fn wants_that_cannot_be_granted_are_refused() {
    for (flags, word) in [(0x1_0007, "video mode"), (0x1_0008, "bits 2 to 15"), (0x1_8003, "bits 2 to 15")] {
        let image = MultibootBuilder { flags, ..Default::default() }.build();
        let (memory, loaded) = load_into(8, &Plan::new(&image));
        let (field, message) = error(loaded);
        assert_eq!(field, "kernel");
        assert!(message.contains(word), "{message}");
        assert_untouched(&memory);
    }
    // Bits 17 to 31 may be ignored.
    let image = MultibootBuilder { flags: 0xffff_0003, ..Default::default() }.build();
    load_into(8, &Plan::new(&image)).1.unwrap();
    // Without addresses it would have to be an ELF file.
    let image = MultibootBuilder { flags: 3, ..Default::default() }.build();
    let (_, message) = error(load_into(8, &Plan::new(&image)).1);
    assert!(message.contains("bit 16"), "{message}");
}

#[test]
fn addresses_that_cannot_be_are_refused() {
    let default = MultibootBuilder::default;
    let cases = [
        ("load_end_addr", MultibootBuilder { load_end_addr: 0x10_0000, ..default() }),
        ("load_end_addr", MultibootBuilder { load_end_addr: 1, ..default() }),
        ("truncated", MultibootBuilder { load_end_addr: 0x10_0501, ..default() }),
        ("truncated", MultibootBuilder { load_end_addr: u32::MAX, bss_end_addr: 0, ..default() }),
        ("bss_end_addr", MultibootBuilder { bss_end_addr: 0x10_03ff, ..default() }),
        ("entry_addr", MultibootBuilder { entry_addr: 0xf_ffff, ..default() }),
        ("entry_addr", MultibootBuilder { entry_addr: 0x10_2000, ..default() }),
        (
            "overlaps GDT",
            MultibootBuilder {
                load_addr: 0x400,
                load_end_addr: 0,
                bss_end_addr: 0,
                entry_addr: 0x400,
                ..default()
            },
        ),
        ("machine's memory", MultibootBuilder { bss_end_addr: 0x80_0001, ..default() }),
        (
            "machine's memory",
            MultibootBuilder {
                load_addr: 0xffff_ff00,
                load_end_addr: 0,
                bss_end_addr: 0,
                entry_addr: 0xffff_ff00,
                ..default()
            },
        ),
    ];
    for (word, builder) in cases {
        let (memory, loaded) = load_into(8, &Plan::new(&builder.build()));
        let (_, message) = error(loaded);
        assert!(message.contains(word), "{word}: {message}");
        assert_untouched(&memory);
    }
    // header_addr below load_addr; a load that starts before the file.
    for header_addr in [0x10_0000u32 - 1, 0x10_0041] {
        let mut image = default().build();
        put(&mut image, 0x40 + 12, &header_addr.to_le_bytes());
        let (_, message) = error(load_into(8, &Plan::new(&image)).1);
        assert!(message.contains("load_addr"), "{message}");
    }
}
