use super::fdt::{self, Node};
use crate::support::*;
use std::io::Write;
use vm_memory::{GuestAddress, GuestMemoryBackend, GuestMemoryRegion};
use vmhatch_boot::aarch64::{FdtConfig, Loaded, Plan, load};
use vmhatch_boot::{BootError, Protocol};

pub const RAM_START: u64 = 0x4000_0000;

/// An arm64 Image with a good header.
pub struct ImageBuilder {
    pub text_offset: u64,
    pub image_size: u64,
    pub flags: u64,
    pub text: Vec<u8>,
}

impl Default for ImageBuilder {
    /// As a kernel of today is: pages of 4 KiB, anywhere in memory.
    fn default() -> Self {
        let text = b"text, and what follows it ".repeat(100);
        Self { text_offset: 0, image_size: 4 * MIB, flags: 0xa, text }
    }
}

impl ImageBuilder {
    pub fn build(&self) -> Vec<u8> {
        let mut image = vec![0; 64];
        // add x13, x18, #0x16: "MZ" for EFI; b #0x40
        put(&mut image, 0, &[0x4d, 0x5a, 0x00, 0x91, 0x0f, 0x00, 0x00, 0x14]);
        put(&mut image, 8, &self.text_offset.to_le_bytes());
        put(&mut image, 16, &self.image_size.to_le_bytes());
        put(&mut image, 24, &self.flags.to_le_bytes());
        put(&mut image, 0x38, b"ARM\x64");
        put(&mut image, 0x3c, &0x40u32.to_le_bytes());
        image.extend(&self.text);
        image
    }
}

/// An EFI zboot image.
pub fn zboot(name: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut image = vec![0; 0x1000];
    put(&mut image, 0, b"MZ\0\0zimg");
    put(&mut image, 8, &0x1000u32.to_le_bytes());
    put(&mut image, 12, &(payload.len() as u32).to_le_bytes());
    put(&mut image, 24, name);
    put(&mut image, 0x38, &0x8182_23cdu32.to_le_bytes());
    put(&mut image, 0x3c, &0x40u32.to_le_bytes());
    image.extend(payload);
    // The size that the kernel's build appends, which the header does not count; then other sections.
    image.extend([0xa5; 32]);
    image
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// RAM from where it starts.
pub fn arm_ram(mib: u64) -> Memory {
    memory_at(&[(RAM_START, mib * MIB)])
}

/// What must hold of whatever was loaded. The tree.
pub fn check_arm(memory: &Memory, plan: &Plan<'_>, loaded: &Loaded) -> Node {
    for pair in loaded.placed.windows(2) {
        assert!(pair[0].start + pair[0].length <= pair[1].start, "{pair:x?} overlap");
    }
    for part in &loaded.placed {
        let range = memory.get_slice(GuestAddress(part.start), part.length as usize);
        assert!(range.is_ok() && part.start >= RAM_START, "{part:x?} is not memory");
    }
    let part = |name: &str| loaded.placed.iter().find(|part| part.name == name);
    let kernel = part(if loaded.protocol == Protocol::Flat { "flat image" } else { "kernel" }).unwrap();
    let pc = loaded.entry.pc;
    assert!((kernel.start..kernel.start + kernel.length).contains(&pc), "{pc:#x} is outside of {kernel:x?}");
    if loaded.protocol == Protocol::Image {
        assert_eq!(pc, kernel.start);
    }
    assert!(pc.is_multiple_of(4));

    let tree = part("device tree").unwrap();
    assert_eq!(loaded.entry.x0, tree.start);
    assert!(tree.start.is_multiple_of(8) && tree.length <= 2 * MIB);
    let root = fdt::read(&bytes(memory, tree.start, tree.length as usize));
    let mut ram: Vec<u64> = memory
        .iter()
        .filter(|region| region.start_addr().0 >= RAM_START)
        .flat_map(|region| [region.start_addr().0, region.len()])
        .collect();
    // Neighbours are one range.
    let mut at = 2;
    while at < ram.len() {
        if ram[at - 2] + ram[at - 1] == ram[at] {
            ram[at - 1] += ram[at + 1];
            ram.drain(at..at + 2);
        } else {
            at += 2;
        }
    }
    assert_eq!(root.child(&format!("memory@{:x}", ram[0])).numbers("reg"), ram);
    let chosen = root.child("chosen");
    let line = chosen.find("bootargs").map_or(&b""[..], |line| &line[..line.len() - 1]);
    assert_eq!(line, plan.command_line);
    match plan.initrd {
        None => assert!(part("initrd").is_none() && chosen.find("linux,initrd-start").is_none()),
        Some(initrd) => {
            let (start, end) =
                (chosen.numbers("linux,initrd-start")[0], chosen.numbers("linux,initrd-end")[0]);
            assert_eq!((start, end - start), placed_at(loaded, "initrd"));
            assert_eq!(bytes(memory, start, initrd.len()), initrd, "the initrd is whole");
        }
    }
    assert_eq!(root.child("cpus").children.len(), plan.fdt.cpus.len());
    root
}

/// Where the part of that name was placed: start and length.
pub fn placed_at(loaded: &Loaded, name: &str) -> (u64, u64) {
    let part = loaded.placed.iter().find(|part| part.name == name);
    part.map(|part| (part.start, part.length))
        .unwrap_or_else(|| panic!("{name} is not in {:?}", loaded.placed))
}

/// Loads, checks what must hold of it, and gives the tree.
pub fn loaded(memory: &Memory, plan: &Plan<'_>) -> (Loaded, Node) {
    let loaded = load(memory, plan).unwrap();
    let root = check_arm(memory, plan, &loaded);
    (loaded, root)
}

/// The field and the message of what is wrong with a plan; nothing was written.
pub fn refused(memory: &Memory, plan: &Plan<'_>) -> (&'static str, String) {
    let error: BootError = load(memory, plan).expect_err("this must not load");
    assert_untouched(memory);
    (error.field(), error.to_string())
}

/// A machine with that many vCPUs.
pub fn config(cpus: u32) -> FdtConfig {
    FdtConfig::new(cpus)
}
