//! Compressed kernels: files that are packed as a whole, and EFI zboot images.

use super::support::*;
use crate::support::*;
use std::io::Write;
use vmhatch_boot::Protocol;
use vmhatch_boot::aarch64::{Plan, identify};

/// With the filter for arm64 code, as the kernel's build has it.
fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut options = lzma_rust2::XzOptions::with_preset(0);
    options.prepend_pre_filter(lzma_rust2::FilterType::BcjArm64, 0);
    let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut packed = 0x184c_2102u32.to_le_bytes().to_vec();
    for block in bytes.chunks(8 << 20) {
        let block = lz4_flex::block::compress(block);
        packed.extend((block.len() as u32).to_le_bytes());
        packed.extend(block);
    }
    packed
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// Each compression by the names that `Makefile.zboot` has for it, and that of messages.
type Pack = fn(&[u8]) -> Vec<u8>;
const PACKERS: [(&[u8], &str, Pack); 5] = [
    (b"gzip", "gzip", gzip),
    (b"xzkern", "xz", xz),
    (b"lz4", "lz4", lz4),
    (b"zstd22", "zstd", zstd),
    (b"zstd", "zstd", zstd),
];

#[test]
fn each_compression_is_unpacked_and_booted() {
    let text: Vec<u8> =
        (0..50_000u32).flat_map(|number| (number.wrapping_mul(2_654_435_761) >> 12).to_le_bytes()).collect();
    let image = ImageBuilder { text, image_size: 4 * MIB, ..ImageBuilder::default() }.build();
    let config = config(1);
    for (name, word, pack) in PACKERS {
        let packed = pack(&image);
        for (file, words) in [
            (zboot(name, &packed), format!("an EFI zboot image ({word})")),
            (packed, format!("a file packed by {word}")),
        ] {
            let identity = identify(&file).unwrap();
            assert_eq!((identity.name, identity.protocols), (words.clone(), vec![Protocol::Image]));
            let memory = arm_ram(32);
            let (loaded, _) = loaded(&memory, &Plan::new(&file, &config));
            assert_eq!(loaded.entry.pc, RAM_START);
            assert_eq!(bytes(&memory, RAM_START, image.len()), image, "{words}");
        }
    }
}

#[test]
fn a_zboot_payload_is_as_long_as_the_image_in_memory() {
    // vmlinux.bin is padded to image_size.
    let mut image = ImageBuilder { image_size: 0x8000, ..ImageBuilder::default() }.build();
    image.resize(0x8000, 0);
    let (config, memory) = (config(1), arm_ram(2));
    let file = zboot(b"gzip", &gzip(&image));
    let (loaded, _) = loaded(&memory, &Plan::new(&file, &config));
    assert_eq!(placed_at(&loaded, "kernel"), (RAM_START, 0x8000));
}

fn failure(file: &[u8]) -> String {
    let config = config(1);
    let (field, message) = refused(&arm_ram(8), &Plan::new(file, &config));
    assert_eq!(field, "kernel", "{message}");
    message
}

#[test]
fn headers_that_lie() {
    let packed = gzip(&ImageBuilder::default().build());
    let good = zboot(b"gzip", &packed);
    let with = |at: usize, value: u32| {
        let mut file = good.clone();
        put(&mut file, at, &value.to_le_bytes());
        failure(&file)
    };
    assert_eq!(with(8, 0), "the payload offset is 0x0; it must be at least 0x38, behind the header");
    assert_eq!(with(8, 0x37), "the payload offset is 0x37; it must be at least 0x38, behind the header");
    assert_eq!(with(8, 0x38), "the image's gzip payload: it does not begin as the header says");
    assert!(with(8, u32::MAX).starts_with("the image is truncated: the payload of the zboot image needs"));
    assert_eq!(with(12, 0), "the payload size is 0x0; it must be at least 1");
    assert!(
        with(12, u32::MAX)
            .starts_with("the image is truncated: the payload of the zboot image needs 4294971391 bytes")
    );
    assert_eq!(with(12, 1), "the image's gzip payload: it does not begin as the header says");
    assert_eq!(with(12, packed.len() as u32 - 9), "the image's gzip payload: it ends too early");
    for (name, format) in [
        (&b"lzma\0\0\0"[..], "lzma"),
        (b"lzo\0\0\0\0", "lzo"),
        (b"brotli\0", "unknown"),
        (b"\0\0\0\0\0\0\0", "unknown"),
    ] {
        let message = failure(&zboot(name, &packed));
        assert_eq!(
            message,
            format!(
                "the image's {format} payload: this compression is not known; gzip, xz, lz4 and zstd are"
            )
        );
    }
    assert_eq!(
        failure(&zboot(b"lz4", &packed)),
        "the image's lz4 payload: it does not begin as the header says"
    );
    // No end of the name: what follows the header is not read.
    assert!(failure(&zboot(&[b'z'; 0x20], &packed)).contains("unknown"));
}

#[test]
fn payloads_that_are_no_image() {
    let other = |bytes: &[u8]| (failure(&gzip(bytes)), failure(&zboot(b"gzip", &gzip(bytes))));
    let expected = "the image's payload unpacks to something that is no arm64 Image, which cannot be booted by image; an Image has \"ARM\\x64\" at 0x38";
    for bytes in [&b""[..], b"hello", &[0; 4096], &gzip(&ImageBuilder::default().build())] {
        assert_eq!(other(bytes), (expected.to_owned(), expected.to_owned()));
    }
    let mut riscv = ImageBuilder::default().build();
    put(&mut riscv, 0x38, b"RSC\x05");
    assert!(other(&riscv).0.contains("a Linux Image for riscv64"));
    let big_endian = ImageBuilder { flags: 1, ..ImageBuilder::default() }.build();
    assert!(other(&big_endian).1.contains("big-endian"));
    for bad in [
        &b"\x1f\x8b"[..],
        b"\x1f\x8b\x08\0\0\0\0\0\0\0",
        b"\xfd7zXZ\0",
        b"\x28\xb5\x2f\xfd",
        b"\x02\x21\x4c\x18\x01",
    ] {
        assert!(failure(bad).contains("payload: "), "{}", failure(bad));
    }
    assert!(failure(b"\x5d\0\0\0").contains("the image's lzma payload"));
}

#[test]
fn bombs_are_bounded() {
    // Zeros, and more than there is memory.
    let bomb = vec![0; 10 << 20];
    for (name, word, pack) in PACKERS {
        let packed = pack(&bomb);
        for file in [zboot(name, &packed), packed] {
            let message = failure(&file);
            assert!(
                message
                    .starts_with(&format!("the image's {word} payload unpacks to more than 8388608 bytes")),
                "{message}"
            );
        }
    }
}

#[test]
fn a_packed_kernel_that_is_cut_off_is_an_error() {
    let image = ImageBuilder { image_size: 0x2000, ..ImageBuilder::default() }.build();
    let config = config(1);
    let memory = arm_ram(2);
    for (name, _, pack) in PACKERS {
        let packed = pack(&image);
        for length in 0..packed.len() {
            let whole = zboot(name, &packed[..length]);
            for file in [&whole[..], &packed[..length]] {
                // What misses only its checksum, or the end of a frame, may still be whole.
                if let Ok(loaded) = vmhatch_boot::aarch64::load(&memory, &Plan::new(file, &config)) {
                    check_arm(&memory, &Plan::new(file, &config), &loaded);
                    assert_eq!(bytes(&memory, RAM_START, image.len()), image, "{length} of {}", packed.len());
                }
            }
        }
    }
}
