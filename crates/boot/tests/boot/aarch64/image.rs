//! Where a kernel and what it is handed come to lie; offsets are those of booting.rst.

use super::support::*;
use crate::support::*;
use vm_memory::bitmap::Bitmap;
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryRegion};
use vmhatch_boot::Protocol;
use vmhatch_boot::aarch64::{Entry, Flat, Plan, identify, load};

#[test]
fn an_image_is_known_and_entered_at_its_first_byte() {
    let image = ImageBuilder::default().build();
    let identity = identify(&image).unwrap();
    assert_eq!(identity.name, "a Linux Image for arm64 with pages of 4 KiB");
    assert_eq!(identity.protocols, [Protocol::Image]);
    let (config, memory) = (config(2), arm_ram(64));
    let plan = Plan { command_line: b"console=ttyS0", ..Plan::new(&image, &config) };
    let (loaded, root) = loaded(&memory, &plan);
    assert_eq!(loaded.protocol, Protocol::Image);
    assert_eq!(placed_at(&loaded, "kernel"), (RAM_START, image.len() as u64));
    assert_eq!(bytes(&memory, RAM_START, image.len()), image);
    let (tree, length) = placed_at(&loaded, "device tree");
    assert_eq!(loaded.entry, Entry { pc: RAM_START, x0: tree });
    // The highest page from which it fits.
    assert_eq!(tree, (RAM_START + 64 * MIB - length) & !0xfff);
    assert_eq!(root.child("chosen").text("bootargs"), "console=ttyS0");
    assert_eq!(Entry::PSTATE, 0b1111 << 6 | 0b0101, "DAIF masked, EL1 with SP_EL1");
}

#[test]
fn the_text_offset_is_kept() {
    for (text_offset, flags, words) in [
        (0, 2, " with pages of 4 KiB"),
        (0x8_0000, 4, " with pages of 16 KiB"),
        (0x1f_f000, 6, " with pages of 64 KiB"),
        (0x1000, 0, ""),
    ] {
        let image = ImageBuilder { text_offset, flags, ..ImageBuilder::default() }.build();
        assert_eq!(identify(&image).unwrap().name, format!("a Linux Image for arm64{words}"));
        let (config, memory) = (config(1), arm_ram(64));
        let (loaded, _) = loaded(&memory, &Plan::new(&image, &config));
        assert_eq!(loaded.entry.pc, RAM_START + text_offset);
        assert_eq!(bytes(&memory, RAM_START + text_offset, image.len()), image);
    }
}

#[test]
fn kernels_before_3_17_have_neither_size_nor_flags() {
    // Their text_offset is in their own byte order: here that of a big-endian kernel. The flags say nothing.
    let old = ImageBuilder {
        text_offset: 0x8_0000u64.swap_bytes(),
        image_size: 0,
        flags: 1,
        ..ImageBuilder::default()
    };
    let image = old.build();
    let (config, memory) = (config(1), arm_ram(64));
    let (loaded, _) = loaded(&memory, &Plan { initrd: Some(b"initrd"), ..Plan::new(&image, &config) });
    assert_eq!(loaded.entry.pc, RAM_START + 0x8_0000);
    // As much as possible is free behind it.
    assert_eq!(placed_at(&loaded, "initrd").0, RAM_START + 64 * MIB - 0x1000);
    assert!(placed_at(&loaded, "device tree").0 > RAM_START + 63 * MIB);
}

#[test]
fn memory_of_the_size_that_the_image_says_is_kept_free() {
    let image = ImageBuilder { image_size: 60 * MIB, ..ImageBuilder::default() }.build();
    let config = config(1);
    let memory = arm_ram(64);
    let initrd = vec![0xd5; 3 << 20];
    let plan = Plan { initrd: Some(&initrd), ..Plan::new(&image, &config) };
    let (loaded, _) = loaded(&memory, &plan);
    assert_eq!(placed_at(&loaded, "initrd"), (RAM_START + 61 * MIB, 3 * MIB));
    assert!(placed_at(&loaded, "device tree").0 >= RAM_START + 60 * MIB);
    // What is behind it is not the kernel's: a signature.
    let signed =
        [ImageBuilder { image_size: 0x1000, ..ImageBuilder::default() }.build(), vec![7; 0x1000]].concat();
    let (loaded, _) = super::support::loaded(&arm_ram(64), &Plan::new(&signed, &config));
    assert_eq!(placed_at(&loaded, "kernel"), (RAM_START, 0x1000));
    // Too little for all three.
    let larger = vec![0; 4 << 20];
    let (field, message) = refused(&arm_ram(64), &Plan { initrd: Some(&larger), ..plan });
    assert_eq!(field, "memory");
    assert!(
        message.starts_with("the device tree needs") && message.ends_with("the largest free piece has 0"),
        "{message}"
    );
    let larger = vec![0; (4 << 20) + 1];
    let (field, message) = refused(&arm_ram(64), &Plan { initrd: Some(&larger), ..plan });
    assert_eq!(field, "initrd");
    assert!(message.contains("has 4194304 bytes"), "{message}");
}

#[test]
fn the_initrd_is_in_the_window_of_32_gib_and_the_tree_near_the_kernel() {
    let image = ImageBuilder::default().build();
    let config = config(1);
    let initrd = [9; 0x1800];
    let plan = Plan { initrd: Some(&initrd), ..Plan::new(&image, &config) };
    let memory = memory_at(&[(RAM_START, 2 * GIB), (4 * GIB, 40 * GIB)]);
    let (near, root) = loaded(&memory, &plan);
    assert_eq!(placed_at(&near, "initrd"), (33 * GIB - 0x2000, 0x1800));
    // Kernels before 4.2 want the tree in the 512 MiB from text_offset below them on.
    let (tree, length) = placed_at(&near, "device tree");
    assert_eq!(tree, (RAM_START + 512 * MIB - length) & !0xfff);
    assert_eq!(root.child("memory@40000000").numbers("reg"), [RAM_START, 2 * GIB, 4 * GIB, 40 * GIB]);

    // If there is no room there, it is somewhere else.
    let image = ImageBuilder { image_size: 513 * MIB, ..ImageBuilder::default() }.build();
    let memory = memory_at(&[(RAM_START, 2 * GIB)]);
    let (far, _) = loaded(&memory, &Plan { kernel: &image, ..plan });
    assert!(placed_at(&far, "device tree").0 > RAM_START + 2 * GIB - MIB);

    // A kernel in another piece of memory has another window.
    let memory = memory_at(&[(RAM_START, MIB), (0x8_0000_0000, GIB)]);
    let (high, _) = loaded(&memory, &Plan { kernel: &image, ..plan });
    assert_eq!(high.entry.pc, 0x8_0000_0000);
    assert_eq!(placed_at(&high, "initrd").0, 0x8_3fff_e000);
}

#[test]
fn memory_below_the_start_of_ram_is_none() {
    let image = ImageBuilder::default().build();
    let config = config(1);
    let memory = memory_at(&[(0, 64 * MIB), (RAM_START - 64 * MIB, 128 * MIB)]);
    let loaded = load(&memory, &Plan::new(&image, &config)).unwrap();
    assert_eq!(loaded.entry.pc, RAM_START);
    let (start, length) = placed_at(&loaded, "device tree");
    let root = super::fdt::read(&bytes(&memory, start, length as usize));
    assert_eq!(root.child("memory@40000000").numbers("reg"), [RAM_START, 64 * MIB]);
    let (field, message) = refused(&memory_at(&[(0, 64 * MIB)]), &Plan::new(&image, &config));
    assert_eq!(
        (field, message.as_str()),
        (
            "memory",
            "a machine needs 4096 bytes of memory in one piece from 0x40000000 on; the largest free piece has 0"
        )
    );
}

#[test]
fn a_flat_image_is_entered_where_it_says() {
    let program = [0xd5, 0x03, 0x20, 0x1f].repeat(64);
    let config = config(1);
    let memory = arm_ram(1);
    let flat = Flat { address: RAM_START + 0x8_0004, entry: RAM_START + 0x8_0010 };
    let plan = Plan {
        protocol: Some(Protocol::Flat),
        flat,
        command_line: b"for the program",
        initrd: Some(b"data"),
        ..Plan::new(&program, &config)
    };
    let (loaded, _) = loaded(&memory, &plan);
    assert_eq!((loaded.protocol, loaded.entry.pc), (Protocol::Flat, flat.entry));
    assert_eq!(bytes(&memory, flat.address, program.len()), program);
    // By default it is at the start of RAM.
    let plan = Plan { protocol: Some(Protocol::Flat), ..Plan::new(&program, &config) };
    assert_eq!(super::support::loaded(&arm_ram(1), &plan).0.entry.pc, RAM_START);
}

#[test]
fn what_is_written_is_marked_dirty_and_nothing_else() {
    let image = ImageBuilder::default().build();
    let config = config(1);
    let memory = arm_ram(64);
    let (loaded, _) =
        loaded(&memory, &Plan { initrd: Some(&[1]), command_line: b"x", ..Plan::new(&image, &config) });
    let region = memory.find_region(GuestAddress(RAM_START)).unwrap();
    for page in 0..(64 * MIB / 4096) {
        let (start, end) = (RAM_START + page * 4096, RAM_START + (page + 1) * 4096);
        let written = loaded.placed.iter().any(|part| part.start < end && start < part.start + part.length);
        assert_eq!(region.bitmap().dirty_at((page * 4096) as usize), written, "page at {start:#x}");
    }
}

#[test]
fn memory_that_a_guest_used_before_does_not_matter() {
    let image = ImageBuilder::default().build();
    let config = config(3);
    let plan = Plan { initrd: Some(&[1; 5000]), command_line: b"again", ..Plan::new(&image, &config) };
    let (fresh, used) = (arm_ram(64), arm_ram(64));
    used.write_slice(&vec![0xff; 64 << 20], GuestAddress(RAM_START)).unwrap();
    assert_eq!(loaded(&used, &plan), loaded(&fresh, &plan));
}
