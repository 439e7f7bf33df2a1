//! Good images with random changes, and random bytes. The bodies are those of the fuzzer (crates/boot/fuzz), which
//! runs them for as long as one likes; here they run a bounded number of times from seeds that do not change.

use crate::support::*;
use std::cell::OnceCell;
use vmhatch_boot::Protocol;
use vmhatch_boot::x86_64::{Module, Plan, identify, load};

/// The machine's memory: large enough for every good image, small enough for a bad one to miss.
const RAM_MIB: u64 = 24;

thread_local! {
    static MEMORY: OnceCell<Memory> = const { OnceCell::new() };
    static SEEDS: Vec<Vec<u8>> = seeds();
}

/// Loads whatever it is, by the protocol and with the extras that the first byte chooses.
pub fn load_anything(choice: u8, image: &[u8]) {
    let protocol = [
        None,
        Some(Protocol::Linux64),
        Some(Protocol::Pvh),
        Some(Protocol::Elf64),
        Some(Protocol::Multiboot),
    ][usize::from(choice & 0x7) % 5];
    let modules = [Module { bytes: b"module", command_line: b"name" }];
    let plan = Plan {
        protocol,
        initrd: (choice & 0x8 != 0).then_some(b"initrd"),
        command_line: if choice & 0x10 != 0 { b"console=ttyS0" } else { b"" },
        modules: if choice & 0x20 != 0 { &modules } else { &[] },
        mp_table: choice & 0x40 != 0,
        ..Plan::new(image)
    };
    let identity = identify(image);
    MEMORY.with(|memory| {
        let memory = memory.get_or_init(|| ram(RAM_MIB));
        match load(memory, &plan) {
            Ok(loaded) => {
                assert!(identity.unwrap().protocols.contains(&loaded.protocol));
                check(memory, &plan, &loaded);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    });
}

/// Changes an image as the script says: pairs of an offset and a byte, then a new length. Headers are hit more often
/// than the rest, and one field of 32 or 64 bits may be replaced whole.
pub fn mutate(image: &mut Vec<u8>, script: &[u8]) {
    for step in script.chunks_exact(12) {
        let (kind, rest) = (step[0], &step[1..]);
        let offset = u16::from_le_bytes([rest[0], rest[1]]) as usize % image.len().clamp(1, 0x600);
        let value = &rest[3..];
        match kind % 8 {
            0 => image.truncate(image.len().saturating_sub(offset % 64)),
            1 => image.extend_from_slice(value),
            2 | 3 => set(image, offset, &value[..1]),
            4 => set(image, offset & !3, &value[..4]),
            5 => set(image, offset & !7, &value[..8]),
            // Small differences find the edges.
            6 => add(image, offset & !3, value[0] as i8),
            _ => {
                let any = (offset << 8 | usize::from(rest[2])) % image.len().max(1);
                set(image, any, &value[..1]);
            }
        }
    }
}

fn set(image: &mut [u8], at: usize, bytes: &[u8]) {
    for (target, byte) in image.iter_mut().skip(at).zip(bytes) {
        *target = *byte;
    }
}

fn add(image: &mut [u8], at: usize, difference: i8) {
    if let Some(field) = image.get_mut(at..at + 4) {
        let value = u32::from_le_bytes(field.try_into().unwrap());
        field.copy_from_slice(&value.wrapping_add_signed(difference.into()).to_le_bytes());
    }
}

/// A good image of each kind.
fn seeds() -> Vec<Vec<u8>> {
    let vmlinux = ElfBuilder::vmlinux(Some(0x100_0000)).build();
    let mut text = MultibootBuilder::header(3);
    text.resize(0x80, 0xf4);
    let segment = Segment { memory_size: Some(0x1000), ..Segment::load(0x10_0000, &text) };
    let multiboot = ElfBuilder { is_64: false, entry: 0x10_0010, segments: vec![segment] }.build();
    vec![
        BzImageBuilder::default().build(),
        vmlinux.clone(),
        multiboot,
        MultibootBuilder::default().build(),
        BzImageBuilder::with_payload(&vmlinux),
        BzImageBuilder::with_payload(include_bytes!("fixtures/vmlinux.gz.bin")),
        BzImageBuilder::with_payload(include_bytes!("fixtures/vmlinux.xz.bin")),
        BzImageBuilder::with_payload(include_bytes!("fixtures/vmlinux.lz4.bin")),
        BzImageBuilder::with_payload(include_bytes!("fixtures/vmlinux.zst.bin")),
    ]
}

/// Bodies of the fuzzer: one for all headers, one for payloads, one for bytes as they come.
pub fn headers(input: &[u8]) {
    let [choice, seed, script @ ..] = input else { return };
    let mut image = SEEDS.with(|seeds| seeds[usize::from(*seed) % seeds.len()].clone());
    mutate(&mut image, script);
    load_anything(*choice, &image);
}

pub fn payload(input: &[u8]) {
    load_anything(0x2, &BzImageBuilder::with_payload(input));
}

pub fn raw(input: &[u8]) {
    let [choice, image @ ..] = input else { return };
    load_anything(*choice, image);
}

/// xorshift64: all that is needed of randomness here, the same on every machine.
#[cfg(test)]
pub struct Random(u64);

#[cfg(test)]
impl Random {
    /// Other bytes for each case.
    pub fn of(seed: u64, case: u64) -> Self {
        let mut random = Self(seed ^ (case + 1));
        random.bytes(16);
        random
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        std::iter::repeat_with(|| {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 32) as u8
        })
        .take(length)
        .collect()
    }
}

/// The number of cases, more by VMHATCH_FUZZ_CASES.
#[cfg(test)]
pub fn cases(default: u64) -> u64 {
    std::env::var("VMHATCH_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(default)
}

#[cfg(test)]
mod bounded {
    use super::*;

    #[test]
    fn changed_headers() {
        for case in 0..cases(20_000) {
            let mut random = Random::of(0x9e37_79b9_7f4a_7c15, case);
            let steps = 1 + case as usize % 4;
            headers(&random.bytes(2 + steps * 12));
        }
    }

    #[test]
    fn changed_payloads() {
        let images: Vec<&[u8]> = vec![
            include_bytes!("fixtures/vmlinux.gz.bin"),
            include_bytes!("fixtures/vmlinux.xz.bin"),
            include_bytes!("fixtures/vmlinux.lz4.bin"),
            include_bytes!("fixtures/vmlinux.zst.bin"),
        ];
        for case in 0..cases(4_000) {
            let mut random = Random::of(0x2545_f491_4f6c_dd1d, case);
            let mut packed = images[case as usize % 4].to_vec();
            mutate(&mut packed, &random.bytes(12 * (1 + case as usize % 3)));
            payload(&packed);
        }
    }

    #[test]
    fn random_bytes() {
        let starts: [&[u8]; 6] = [
            b"",
            b"\x7fELF\x02\x01\x01",
            b"\x7fELF\x01\x01\x01",
            b"MZ",
            b"\x02\xb0\xad\x1b",
            b"\x1f\x8b\x08",
        ];
        for case in 0..cases(10_000) {
            let mut random = Random::of(0xda94_2042_e4dd_58b5, case);
            let mut image = starts[case as usize % 6].to_vec();
            image.extend(random.bytes(case as usize % 2048));
            payload(&image);
            image.insert(0, case as u8);
            raw(&image);
        }
    }
}
