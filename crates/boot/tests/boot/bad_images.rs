//! Images of other kinds, and good ones cut off.

use crate::support::*;
use vmhatch_boot::x86_64::{Plan, identify};
use vmhatch_boot::{BootError, Protocol};

fn message(image: &[u8]) -> String {
    let error = identify(image).unwrap_err();
    assert_eq!(error.field(), "kernel");
    // What cannot be identified cannot be loaded either, and for the same reason.
    let (memory, loaded) = load_into(2, &Plan::new(image));
    assert_eq!(loaded.unwrap_err(), error);
    assert_untouched(&memory);
    error.to_string()
}

#[test]
fn bytes_that_are_no_kernel_are_named() {
    let cases: [(&[u8], &str); 12] = [
        (b"", "the image is empty"),
        (&[0; 4096], "4096 bytes of 0x00"),
        (b"hello, world\n", "13 bytes that start with 68 65 6c 6c 6f 2c 20 77"),
        (b"\x1f\x8b\x08\0", "a gzip file"),
        (b"\xfd7zXZ\0", "an xz file"),
        (b"\x28\xb5\x2f\xfd", "a zstd file"),
        (b"BZh9", "a bzip2 file"),
        (b"070701000", "a cpio archive"),
        (b"!<arch>\ndebian-binary", "a Debian package"),
        (b"QFI\xfb\0\0\0\x03", "a qcow2 disk image"),
        (b"#!/bin/sh\n", "a script"),
        (b"MZ\x90\0", "a PE file"),
    ];
    for (image, expected) in cases {
        let message = message(image);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn kernels_for_other_processors_are_named() {
    // arm64's and riscv's Image: a PE file too, with a magic number at 0x38.
    let mut image = vec![0; 0x1000];
    put(&mut image, 0, b"MZ");
    put(&mut image, 0x38, b"ARM\x64");
    assert_eq!(message(&image), "the image is a Linux Image for aarch64; this machine is x86_64");
    put(&mut image, 0x38, b"RSC\x05");
    assert_eq!(message(&image), "the image is a Linux Image for riscv64; this machine is x86_64");

    let mut elf = ElfBuilder::vmlinux(None).build();
    for (machine, name) in [
        (183u16, "ELF64 file for aarch64"),
        (243, "riscv"),
        (3, "i386"),
        (22, "s390"),
        (0xbeef, "machine number 48879"),
    ] {
        put(&mut elf, 18, &machine.to_le_bytes());
        assert!(message(&elf).contains(name), "{}", message(&elf));
    }
    // Big-endian: the machine's number is too.
    put(&mut elf, 5, &[2]);
    put(&mut elf, 18, &22u16.to_be_bytes());
    assert!(matches!(identify(&elf), Err(BootError::Header { .. } | BootError::Machine { .. })));
}

#[test]
fn elf_files_that_are_no_kernels() {
    let mut object = ElfBuilder::vmlinux(None).build();
    put(&mut object, 16, &1u16.to_le_bytes());
    assert!(message(&object).contains("e_type is 0x1"));
    let mut core = ElfBuilder::vmlinux(None).build();
    put(&mut core, 16, &4u16.to_le_bytes());
    assert!(message(&core).contains("e_type is 0x4"));
    let mut class = ElfBuilder::vmlinux(None).build();
    class[4] = 3;
    assert!(message(&class).contains("EI_CLASS is 0x3"));
    let nothing =
        ElfBuilder { is_64: true, entry: 0, segments: vec![Segment::note(&pvh_note(&[0; 4]))] }.build();
    assert!(message(&nothing).contains("nothing to load"));
    let no_headers = ElfBuilder { is_64: true, entry: 0, segments: vec![] }.build();
    assert!(message(&no_headers).contains("e_phnum is 0x0"));
    let i386 = ElfBuilder { is_64: false, ..ElfBuilder::vmlinux(None) };
    let mut i386 = i386;
    i386.segments[0].virtual_address = 0;
    assert!(message(&i386.build()).contains("an ELF32 file with neither a Multiboot header nor a PVH note"));
}

#[test]
fn bzimages_that_have_no_64_bit_entry() {
    let with = |at: usize, bytes: &[u8]| {
        let mut image = BzImageBuilder::default().build();
        put(&mut image, at, bytes);
        message(&image)
    };
    assert_eq!(
        with(0x236, &[0]),
        "xloadflags is 0x0; it must be one with bit 0 set (this is a 32-bit kernel)"
    );
    assert!(with(0x206, &0x020bu16.to_le_bytes()).starts_with("version is 0x20b; it must be at least 0x20c"));
    assert!(with(0x211, &[0]).contains("zImage"));
}

#[test]
fn an_image_may_start_anywhere_in_the_hosts_memory() {
    for image in [
        BzImageBuilder::default().build(),
        ElfBuilder::vmlinux(None).build(),
        ElfBuilder::vmlinux(Some(0x100_0000)).build(),
        MultibootBuilder::default().build(),
    ] {
        let identity = identify(&image).unwrap();
        for offset in 1..8 {
            let moved = [vec![0xee; offset], image.clone()].concat();
            assert_eq!(identify(&moved[offset..]), Ok(identity.clone()));
            load_into(32, &Plan::new(&moved[offset..])).1.unwrap();
        }
    }
}

/// Cuts an image off everywhere. Nothing panics, and nothing that misses a byte of what is loaded is loaded.
fn cut(image: &[u8], protocol: Option<Protocol>, whole: usize) {
    let memory = ram(32);
    for length in 0..image.len() {
        let plan = Plan { protocol, ..Plan::new(&image[..length]) };
        let loaded = vmhatch_boot::x86_64::load(&memory, &plan);
        assert_eq!(loaded.is_ok(), length >= whole, "cut off after {length} bytes: {loaded:?}");
        if let Err(error) = loaded {
            assert_eq!(error.field(), "kernel", "{length}: {error}");
        }
    }
    vmhatch_boot::x86_64::load(&memory, &Plan { protocol, ..Plan::new(image) }).unwrap();
}

#[test]
fn truncated_bzimage() {
    let image = BzImageBuilder::default().build();
    cut(&image, None, image.len());
    // What is not counted by syssize, as a signature, may be missing.
    let mut signed = image.clone();
    signed.extend([0xaa; 100]);
    cut(&signed, None, image.len());
}

#[test]
fn truncated_vmlinux() {
    let image = ElfBuilder::vmlinux(None).build();
    cut(&image, None, image.len());
    let mut with_note = ElfBuilder::vmlinux(Some(0x100_0000));
    with_note.segments.rotate_left(1);
    let image = with_note.build();
    cut(&image, Some(Protocol::Pvh), image.len());
}

#[test]
fn truncated_multiboot() {
    let builder = MultibootBuilder::default();
    let image = builder.build();
    // load_end_addr: the first 0x400 bytes of the file are needed.
    cut(&image, None, 0x400);
    let mut text = MultibootBuilder::header(3);
    text.resize(0x80, 0xf4);
    let elf = ElfBuilder { is_64: false, entry: 0x10_0010, segments: vec![Segment::load(0x10_0000, &text)] };
    let image = elf.build();
    cut(&image, None, image.len());
}
