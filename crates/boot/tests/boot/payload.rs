//! A bzImage by its payload: each compression, and payloads that lie.

use crate::support::*;
use std::io::Write;
use vmhatch_boot::Protocol;
use vmhatch_boot::x86_64::{Entry, Plan, load};

const VMLINUX: &[u8] = include_bytes!("fixtures/vmlinux.bin");
/// Made by the programs that Linux's build uses, see fixtures/README.md.
const PACKED: [(&str, &[u8]); 4] = [
    ("gzip", include_bytes!("fixtures/vmlinux.gz.bin")),
    ("xz", include_bytes!("fixtures/vmlinux.xz.bin")),
    ("lz4", include_bytes!("fixtures/vmlinux.lz4.bin")),
    ("zstd", include_bytes!("fixtures/vmlinux.zst.bin")),
];

fn plan(image: &[u8], protocol: Protocol) -> Plan<'_> {
    Plan { protocol: Some(protocol), ..Plan::new(image) }
}

/// What loading a bzImage with that payload by PVH fails with.
fn failure(payload: &[u8], mib: u64) -> (&'static str, String) {
    let image = BzImageBuilder::with_payload(payload);
    let (memory, loaded) = load_into(mib, &plan(&image, Protocol::Pvh));
    let error = error(loaded);
    assert_untouched(&memory);
    error
}

/// The four bytes that the build puts after a payload.
fn with_size(mut packed: Vec<u8>, size: u32) -> Vec<u8> {
    packed.extend(size.to_le_bytes());
    packed
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(0)).unwrap();
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

#[test]
fn each_compression_is_unpacked_and_booted() {
    for (name, packed) in PACKED.into_iter().chain([("uncompressed", VMLINUX)]) {
        let image = BzImageBuilder::with_payload(packed);
        let (memory, loaded) = load_into(32, &plan(&image, Protocol::Pvh));
        let loaded = loaded.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(loaded.protocol, Protocol::Pvh);
        assert!(matches!(loaded.entry, Entry::Protected { eip: 0x100_00c5, ebx: 0x6000, .. }), "{loaded:x?}");
        // One segment, 0xb0 bytes into the file.
        let (start, length) = placed(&loaded, "kernel");
        assert_eq!(start, 0x100_00b0);
        assert_eq!(bytes(&memory, start, length as usize), VMLINUX[0xb0..0xb0 + length as usize], "{name}");
        assert_eq!(u32_at(&memory, 0x6000), 0x336e_c578);

        let (memory, loaded) = load_into(32, &plan(&image, Protocol::Elf64));
        assert!(matches!(loaded.unwrap().entry, Entry::Long { rip: 0x100_00c4, rsi: 0x7000, .. }));
        assert_eq!(bytes(&memory, start, length as usize), VMLINUX[0xb0..0xb0 + length as usize], "{name}");
        // The zero page has the setup header of the bzImage.
        assert_eq!(u32_at(&memory, 0x7260), 4 << 20, "init_size");
    }
}

#[test]
fn every_byte_of_a_large_payload_is_unpacked() {
    // 9 MiB, hard to compress and more than one block of each format.
    let mut state = 0x1234_5678u32;
    let mut text: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 28) as u8
    })
    .take(9 << 20)
    .collect();
    text[0] = 0xf4;
    let mut elf = ElfBuilder::vmlinux(Some(0x100_0000));
    elf.segments[0].bytes = text.clone();
    elf.segments[0].memory_size = None;
    let elf = elf.build();
    for packed in [gzip(&elf), xz(&elf), lz4(&elf), zstd(&elf)] {
        let payload = with_size(packed, elf.len() as u32);
        let image = BzImageBuilder { payload, init_size: 16 << 20 }.build();
        let (memory, loaded) = load_into(32, &plan(&image, Protocol::Pvh));
        assert_eq!(placed(&loaded.unwrap(), "kernel"), (0x100_0000, 9 << 20));
        assert!(bytes(&memory, 0x100_0000, 9 << 20) == text);
    }
}

#[test]
fn the_size_after_the_payload_is_only_a_hint() {
    for (name, packed) in PACKED.into_iter().filter(|(name, _)| *name != "gzip") {
        for size in [0, 1, VMLINUX.len() as u32 - 1, VMLINUX.len() as u32 + 1, 0x7fff_ffff, u32::MAX] {
            let payload = with_size(packed[..packed.len() - 4].to_vec(), size);
            let image = BzImageBuilder::with_payload(&payload);
            let (_, loaded) = load_into(32, &plan(&image, Protocol::Pvh));
            assert!(loaded.is_ok(), "{name}, {size}: {loaded:?}");
        }
    }
}

#[test]
fn a_payload_that_is_cut_off_is_an_error() {
    for (name, packed) in PACKED {
        for length in (0..packed.len() - 4).step_by(3) {
            // As the build would have made it of these bytes.
            let payload = with_size(packed[..length].to_vec(), VMLINUX.len() as u32);
            let (field, message) = failure(&payload, 32);
            assert_eq!(field, "kernel", "{name}, {length}: {message}");
        }
    }
}

#[test]
fn a_payload_with_a_byte_changed_loads_only_what_can_start() {
    let memory = ram(32);
    for (name, packed) in PACKED {
        let checked = name == "gzip" || name == "xz" || name == "zstd";
        for at in 0..packed.len() - 4 {
            let mut payload = packed.to_vec();
            payload[at] ^= 0x11;
            let image = BzImageBuilder::with_payload(&payload);
            let plan = plan(&image, Protocol::Pvh);
            match load(&memory, &plan) {
                Ok(loaded) => {
                    check(&memory, &plan, &loaded);
                    // All but lz4 carry a checksum: only bytes that mean nothing may differ, as the time in gzip's header.
                    if checked {
                        assert_eq!(
                            bytes(&memory, 0x100_00b0, 0xbce),
                            VMLINUX[0xb0..0xb0 + 0xbce],
                            "{name}, {at}"
                        );
                    }
                }
                Err(error) => assert!(["kernel", "memory"].contains(&error.field()), "{name}, {at}: {error}"),
            }
        }
    }
}

#[test]
fn bombs_are_bounded() {
    // 64 MiB of zeros; the header claims 16 MiB, the machine has 32.
    let zeros = vec![0; 64 << 20];
    // By hand: frames of blocks of one byte repeated 128 KiB long, 16 GiB in all.
    let mut endless = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
    for _ in 0..1 << 17 {
        endless.extend([0x02, 0x00, 0x10, 0x00]);
    }
    let bombs = [
        ("gzip", with_size(gzip(&zeros), 64 << 20)),
        ("xz", with_size(xz(&zeros), 64 << 20)),
        ("lz4", with_size(lz4(&zeros), 64 << 20)),
        ("zstd", with_size(endless, u32::MAX)),
    ];
    drop(zeros);
    for (name, payload) in bombs {
        for (init_size, limit) in [(16u32 << 20, 16u64 << 20), (u32::MAX, 32 << 20)] {
            let image = BzImageBuilder { payload: payload.clone(), init_size }.build();
            let (memory, loaded) = load_into(32, &plan(&image, Protocol::Pvh));
            let (field, message) = error(loaded);
            assert_eq!(field, "kernel");
            assert!(
                message.contains(&format!("{name} payload unpacks to more than {limit} bytes")),
                "{message}"
            );
            assert_untouched(&memory);
        }
    }
}

#[test]
fn windows_that_take_too_much_memory_are_refused() {
    // zstd: a window of 2^41 bytes.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8, 0x01, 0x00, 0x00, 0, 0, 0, 0];
    let (_, message) = failure(&frame, 32);
    assert!(message.contains("zstd payload") && message.contains("indow"), "{message}");
    // xz: a dictionary of 4 GiB - 1, with the checksum of the block header mended.
    let (_, packed) = PACKED[1];
    let mut payload = packed.to_vec();
    let header = 12..12 + (usize::from(payload[12]) + 1) * 4;
    // The LZMA2 filter is 0x21, then the size of its properties, then the dictionary.
    let dictionary =
        header.start + payload[header.clone()].windows(2).position(|pair| pair == [0x21, 1]).unwrap() + 2;
    payload[dictionary] = 40;
    let checksum = crc32(&payload[header.start..header.end - 4]);
    put(&mut payload, header.end - 4, &checksum.to_le_bytes());
    let (_, message) = failure(&payload, 32);
    assert!(message.contains("xz payload") && message.contains("mem"), "{message}");
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[test]
fn other_compressions_and_contents_are_named() {
    for (start, name) in
        [(&b"BZh9"[..], "bzip2"), (&[0x5d, 0, 0, 0x80], "lzma"), (b"\x89LZO", "lzo"), (b"????", "unknown")]
    {
        let (field, message) = failure(start, 32);
        assert_eq!(field, "kernel");
        assert!(message.contains(&format!("{name} payload")) && message.contains("linux64"), "{message}");
    }
    let (_, message) = failure(&gzip(b"no kernel"), 32);
    assert!(message.contains("no ELF file"), "{message}");
    let (_, message) = failure(&gzip(&ElfBuilder::vmlinux(None).build()), 32);
    assert!(message.contains("without a PVH note") && message.contains("elf64"), "{message}");
    let i386 = ElfBuilder { is_64: false, ..ElfBuilder::vmlinux(Some(0x100_0000)) };
    let (_, message) = failure(&gzip(&i386.build()), 32);
    assert!(message.contains("i386"), "{message}");
    let mut aarch64 = ElfBuilder::vmlinux(None).build();
    put(&mut aarch64, 18, &183u16.to_le_bytes());
    assert!(failure(&gzip(&aarch64), 32).1.contains("aarch64"));
}

#[test]
fn a_payload_outside_of_the_image() {
    for (at, value) in [(0x248, u32::MAX), (0x248, 1 << 20), (0x24c, u32::MAX), (0x24c, 1 << 20), (0x24c, 0)]
    {
        let mut image = BzImageBuilder::with_payload(PACKED[0].1);
        put(&mut image, at, &value.to_le_bytes());
        let (memory, loaded) = load_into(32, &plan(&image, Protocol::Pvh));
        let (field, message) = error(loaded);
        assert_eq!(field, "kernel");
        assert!(message.contains("payload"), "{message}");
        assert_untouched(&memory);
    }
}
