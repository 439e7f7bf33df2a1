//! Good images with random changes, random bytes, and random devices. The body is that of the fuzzer (crates/boot/fuzz)
//! too.

use super::support::*;
use crate::fuzz::mutate;
use crate::support::*;
use std::cell::OnceCell;
use vmhatch_boot::Protocol;
use vmhatch_boot::aarch64::fdt::{Device, FdtConfig, Gic, Interrupt, SerialPort, Trigger};
use vmhatch_boot::aarch64::{Flat, Plan, identify, load};

/// The machine's memory: large enough for every good image, small enough for a bad one to miss.
const RAM_MIB: u64 = 24;

thread_local! {
    static MEMORY: OnceCell<Memory> = const { OnceCell::new() };
    static SEEDS: Vec<Vec<u8>> = seeds();
}

/// Loads whatever it is, with the extras that the first byte chooses.
fn load_anything(choice: u8, image: &[u8], config: &FdtConfig) {
    let protocol = [None, Some(Protocol::Image), None, Some(Protocol::Flat)][usize::from(choice & 3)];
    let plan = Plan {
        protocol,
        initrd: (choice & 0x8 != 0).then_some(b"initrd"),
        command_line: if choice & 0x10 != 0 { b"console=ttyS0" } else { b"" },
        flat: Flat { address: RAM_START + 0x8_0000, entry: RAM_START + 0x8_0000 },
        ..Plan::new(image, config)
    };
    let identity = identify(image);
    MEMORY.with(|memory| {
        let memory = memory.get_or_init(|| arm_ram(RAM_MIB));
        match load(memory, &plan) {
            Ok(loaded) => {
                if loaded.protocol != Protocol::Flat {
                    assert!(identity.unwrap().protocols.contains(&loaded.protocol));
                }
                check_arm(memory, &plan, &loaded);
            }
            Err(error) => assert!(!error.to_string().is_empty() && error.to_string().len() < 1000),
        }
    });
}

/// A good image of each kind.
fn seeds() -> Vec<Vec<u8>> {
    let image = ImageBuilder::default().build();
    let old = ImageBuilder { image_size: 0, ..ImageBuilder::default() }.build();
    let packed = gzip(&image);
    vec![zboot(b"gzip", &packed), packed, image, old]
}

/// A configuration as the script says: a byte for the machine, then 16 for each device.
fn configuration(script: &[u8]) -> FdtConfig {
    let [machine, rest @ ..] = script else { return FdtConfig::new(1) };
    let bit = |number: u8| machine & 1 << number != 0;
    let devices = rest.chunks_exact(16).map(|bytes| {
        let address = u64::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3] & 0x3f, 0, 0, 0, 0]);
        let length = u64::from(u16::from_le_bytes([bytes[4], bytes[5]]));
        let trigger = if bytes[6] & 1 == 0 { Trigger::Edge } else { Trigger::Level };
        Device {
            name: String::from_utf8_lossy(&bytes[8..11]).into_owned(),
            compatible: vec![String::from_utf8_lossy(&bytes[11..15]).into_owned()],
            reg: if bytes[6] & 2 == 0 { vec![(address, length)] } else { vec![] },
            interrupts: if bytes[6] & 4 == 0 {
                vec![Interrupt { spi: bytes[7].into(), trigger }]
            } else {
                vec![]
            },
            is_dma_coherent: bytes[6] & 8 == 0,
        }
    });
    FdtConfig {
        gic: if bit(0) { Gic::V2 } else { Gic::V3 { has_its: bit(1) } },
        serial: if bit(2) {
            vec![SerialPort::Pl011, SerialPort::Ns16550a]
        } else {
            vec![SerialPort::Ns16550a]
        },
        has_rtc: bit(3),
        has_pvpanic: bit(4),
        has_boot_timer: bit(5),
        has_pmu: bit(5),
        devices: devices.collect(),
        ..FdtConfig::new(1 + u32::from(machine >> 6))
    }
}

/// The body of the fuzzer: a changed image, the input as an image, or a good one with devices.
pub fn aarch64(input: &[u8]) {
    let [kind, choice, script @ ..] = input else { return };
    let usual = FdtConfig::new(2);
    match kind % 8 {
        0..5 => {
            let mut image = SEEDS.with(|seeds| seeds[usize::from(*kind) % seeds.len()].clone());
            mutate(&mut image, script);
            load_anything(*choice, &image, &usual);
        }
        5 => load_anything(*choice, script, &usual),
        6 => load_anything(*choice, &zboot(b"gzip", script), &usual),
        _ => SEEDS.with(|seeds| load_anything(*choice, &seeds[2], &configuration(script))),
    }
}

#[cfg(test)]
mod bounded {
    use super::*;
    use crate::fuzz::{Random, cases};

    #[test]
    fn changed_images() {
        for case in 0..cases(20_000) {
            let mut random = Random::of(0x517c_c1b7_2722_0a95, case);
            let mut input = random.bytes(2 + (1 + case as usize % 4) * 12);
            input[0] = (case % 5) as u8;
            aarch64(&input);
        }
    }

    #[test]
    fn random_bytes() {
        for case in 0..cases(5_000) {
            let mut random = Random::of(0x2127_599b_f432_5c37, case);
            let mut input = random.bytes(2 + case as usize % 512);
            input[0] = 5 + (case % 2) as u8;
            aarch64(&input);
        }
    }

    /// Most names are none, so they are made good more often than not.
    #[test]
    fn random_devices() {
        let mut accepted = 0;
        for case in 0..cases(5_000) {
            let mut random = Random::of(0x880d_6b6d_4f1f_ae05, case);
            let mut script = random.bytes(1 + 16 * (case as usize % 4));
            for device in script[1..].chunks_exact_mut(16).filter(|device| device[15] % 8 != 0) {
                device[8..11].copy_from_slice(b"abc");
                device[11..15].copy_from_slice(b"x,yz");
                device[3] = 0x0a + device[3] % 8;
                device[7] |= 0x10;
            }
            let config = configuration(&script);
            let image = ImageBuilder { image_size: 0x1000, ..ImageBuilder::default() }.build();
            let memory = arm_ram(4);
            let plan = Plan::new(&image, &config);
            match load(&memory, &plan) {
                Ok(loaded) => {
                    accepted += 1;
                    let root = check_arm(&memory, &plan, &loaded);
                    assert!(root.children.len() >= 9 + config.devices.len());
                }
                Err(error) => assert_eq!(error.field(), "devices", "{error}"),
            }
        }
        assert!(accepted > cases(5_000) / 10, "{accepted}");
    }
}
