//! Images of other kinds, headers that lie, and good ones cut off.

use super::support::*;
use crate::support::*;
use vmhatch_boot::Protocol;
use vmhatch_boot::aarch64::{Flat, Plan, identify, load};

fn message(image: &[u8]) -> String {
    let error = identify(image).unwrap_err();
    assert_eq!(error.field(), "kernel");
    // What cannot be identified cannot be loaded either, and for the same reason.
    let config = config(1);
    let (field, message) = refused(&arm_ram(8), &Plan::new(image, &config));
    assert_eq!((field, &message), ("kernel", &error.to_string()));
    message
}

#[test]
fn bytes_that_are_no_kernel_are_named() {
    let cases: [(&[u8], &str); 10] = [
        (b"", "the image is empty"),
        (&[0; 4096], "4096 bytes of 0x00: neither an arm64 Image nor a packed one"),
        (b"hello, world\n", "13 bytes that start with 68 65 6c 6c 6f 2c 20 77"),
        (b"BZh9", "a bzip2 file; unpack it first"),
        (b"\x04\x22\x4d\x18", "an lz4 file; unpack it first"),
        (b"070701000", "a cpio archive"),
        (b"\xd0\x0d\xfe\xed", "a device tree"),
        (b"#!/bin/sh\n", "a script"),
        (b"MZ\x90\0", "a PE file"),
        (b"MZ\0\0zimg", "the zboot header needs 56 bytes, the image has 8"),
    ];
    for (image, expected) in cases {
        let message = message(image);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn kernels_for_other_processors_are_named() {
    let mut image = ImageBuilder::default().build();
    put(&mut image, 0x38, b"RSC\x05");
    assert_eq!(message(&image), "the image is a Linux Image for riscv64; this machine is aarch64");
    assert_eq!(
        message(&BzImageBuilder::default().build()),
        "the image is a Linux bzImage for x86; this machine is aarch64"
    );
    let mut elf = ElfBuilder::vmlinux(None).build();
    assert_eq!(message(&elf), "the image is an ELF64 file for x86_64; this machine is aarch64");
    put(&mut elf, 18, &183u16.to_le_bytes());
    assert_eq!(
        message(&elf),
        "the image is an ELF64 file for aarch64; a kernel is booted from its Image, and a program from its bytes as a flat image"
    );
    put(&mut elf, 5, &[2]);
    put(&mut elf, 18, &22u16.to_be_bytes());
    assert_eq!(message(&elf), "the image is an ELF64 file for s390, big-endian; this machine is aarch64");
    // Too short to say.
    assert!(message(b"\x7fELF\x02\x01").contains("6 bytes that start with"));
}

#[test]
fn headers_that_lie() {
    let with = |change: fn(&mut ImageBuilder)| {
        let mut builder = ImageBuilder::default();
        change(&mut builder);
        message(&builder.build())
    };
    assert_eq!(
        with(|image| image.flags = 0xb),
        "flags is 0xb; it must be one with bit 0 clear (this is a big-endian kernel)"
    );
    assert_eq!(
        with(|image| image.text_offset = 0x20_0000),
        "text_offset is 0x200000; it must be a multiple of 4096 below 2 MiB"
    );
    assert_eq!(
        with(|image| image.text_offset = 0x8),
        "text_offset is 0x8; it must be a multiple of 4096 below 2 MiB"
    );
    assert!(with(|image| image.text_offset = u64::MAX).starts_with("text_offset is 0xffffffffffffffff"));
    assert_eq!(
        with(|image| image.image_size = 63),
        "image_size is 0x3f; it must be at least the size of the header, or 0"
    );
    // Bits that are not known yet do no harm.
    let image = ImageBuilder { flags: !1, ..ImageBuilder::default() }.build();
    assert_eq!(identify(&image).unwrap().name, "a Linux Image for arm64 with pages of 64 KiB");
}

#[test]
fn images_that_the_memory_does_not_hold() {
    let config = config(1);
    for image_size in [64 * MIB + 1, 32 * GIB, u64::MAX] {
        let image = ImageBuilder { image_size, ..ImageBuilder::default() }.build();
        let expected = format!(
            "the kernel needs {image_size} bytes of memory in one piece from 0x40000000 on; the largest free piece has 67108864"
        );
        assert_eq!(refused(&arm_ram(64), &Plan::new(&image, &config)), ("memory", expected));
    }
    let image = ImageBuilder { image_size: 64 * MIB, text_offset: 0x1000, ..ImageBuilder::default() }.build();
    assert_eq!(refused(&arm_ram(64), &Plan::new(&image, &config)).0, "memory");
    // Nor if the pieces together are enough.
    let memory = memory_at(&[(RAM_START, 40 * MIB), (RAM_START + 41 * MIB, 40 * MIB)]);
    assert_eq!(refused(&memory, &Plan::new(&image, &config)).0, "memory");
    // It is aligned to 2 MiB: here none is left.
    let small = ImageBuilder { image_size: 0x1000, ..ImageBuilder::default() }.build();
    let memory = memory_at(&[(RAM_START + 0x1000, MIB)]);
    let (_, message) = refused(&memory, &Plan::new(&small, &config));
    assert!(message.ends_with("the largest free piece has 0"), "{message}");
    // No 32 GiB fit into a window, though the machine has more.
    let huge = ImageBuilder { image_size: 33 * GIB, ..ImageBuilder::default() }.build();
    let memory = memory_at(&[(RAM_START, 40 * GIB)]);
    let (_, message) = refused(&memory, &Plan::new(&huge, &config));
    assert!(message.ends_with(&format!("the largest free piece has {}", 32 * GIB)), "{message}");
}

#[test]
fn truncated_images() {
    let image = ImageBuilder::default().build();
    let config = config(1);
    let memory = arm_ram(8);
    for length in 0..0x40 {
        let error = load(&memory, &Plan::new(&image[..length], &config)).unwrap_err();
        assert_eq!(error.field(), "kernel", "{length}: {error}");
    }
    assert_untouched(&memory);
    // Whatever follows the header: only the kernel knows how long its file is.
    load(&memory, &Plan::new(&image[..0x40], &config)).unwrap();
}

#[test]
fn an_image_may_start_anywhere_in_the_hosts_memory() {
    let image = ImageBuilder::default().build();
    let config = config(1);
    for image in [image.clone(), gzip(&image), zboot(b"gzip", &gzip(&image))] {
        let identity = identify(&image).unwrap();
        for offset in 1..8 {
            let moved = [vec![0xee; offset], image.clone()].concat();
            assert_eq!(identify(&moved[offset..]), Ok(identity.clone()));
            load(&arm_ram(8), &Plan::new(&moved[offset..], &config)).unwrap();
        }
    }
}

#[test]
fn flat_images() {
    let image = [0x1f; 0x100];
    let config = config(1);
    let flat = |image, address, entry| {
        let flat = Flat { address, entry };
        refused(&arm_ram(2), &Plan { protocol: Some(Protocol::Flat), flat, ..Plan::new(image, &config) })
    };
    assert_eq!(flat(&[], RAM_START, RAM_START), ("kernel", "the image is empty".to_owned()));
    for entry in [RAM_START - 4, RAM_START + 0x100, RAM_START + 1, RAM_START + 2, 0, u64::MAX] {
        let expected = format!(
            "the entry of the flat image is {entry:#x}; it must be inside of the image, a multiple of 4"
        );
        assert_eq!(flat(&image, RAM_START, entry), ("kernel", expected));
    }
    for address in [0, RAM_START - 0x80, RAM_START + 2 * MIB - 0x80, 1 << 40, u64::MAX - 0x103] {
        let (field, message) = flat(&image, address, address);
        assert_eq!(field, "memory", "{message}");
        assert!(message.starts_with("flat image needs 256 bytes at"), "{message}");
    }
    // All of the memory is the image's: no room for a tree.
    let all = vec![0; 2 << 20];
    let (field, message) = flat(&all, RAM_START, RAM_START);
    assert_eq!(field, "memory");
    assert!(message.starts_with("the device tree needs"), "{message}");
}
