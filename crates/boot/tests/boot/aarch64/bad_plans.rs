//! A good kernel, and everything else wrong.

use super::support::*;
use crate::support::*;
use vmhatch_boot::Protocol;
use vmhatch_boot::aarch64::fdt::{Device, FdtConfig, Gic, Interrupt, SerialPort};
use vmhatch_boot::aarch64::{Flat, Plan, load};

fn good() -> Vec<u8> {
    ImageBuilder::default().build()
}

/// What is wrong with a configuration, for a kernel and for a flat image.
fn wrong(config: &FdtConfig) -> (&'static str, String) {
    let (image, memory) = (good(), arm_ram(64));
    let found = refused(&memory, &Plan::new(&image, config));
    let flat = Plan { protocol: Some(Protocol::Flat), ..Plan::new(&image, config) };
    assert_eq!(refused(&memory, &flat), found);
    found
}

fn device(name: &str) -> Device {
    Device {
        name: name.to_owned(),
        compatible: vec!["vmhatch,test".to_owned()],
        reg: vec![(0xa00_0000, 0x1000)],
        interrupts: vec![Interrupt::edge(16)],
        is_dma_coherent: false,
    }
}

fn wrong_devices(devices: Vec<Device>) -> String {
    let (field, message) = wrong(&FdtConfig { devices, ..FdtConfig::new(1) });
    assert_eq!(field, "devices");
    message
}

#[test]
fn vcpus() {
    for (gic, max) in [(Gic::V2, 8), (Gic::V3 { has_its: true }, 512)] {
        let image = good();
        let config = |cpus| FdtConfig { gic, ..FdtConfig::new(cpus) };
        load(&arm_ram(64), &Plan::new(&image, &config(max))).unwrap();
        for cpus in [0, max + 1, 10_000] {
            let expected = format!("{cpus} vCPUs: a machine has 1 to {max}");
            assert_eq!(wrong(&config(cpus)), ("cpus", expected));
        }
    }
    let with = |cpus: &[u64]| wrong(&FdtConfig { cpus: cpus.to_vec(), ..FdtConfig::new(1) });
    assert_eq!(with(&[0, 1, 0]), ("devices", "two vCPUs have the affinity 0x0".to_owned()));
    // MPIDR_EL1 as it is read has bit 31 set, and maybe bits 30 and 24.
    for bits in [1 << 31, 1 << 30, 1 << 24, 1 << 40] {
        let (field, message) = with(&[0, bits | 1]);
        assert_eq!(field, "devices");
        assert!(message.contains("is no affinity of a vCPU"), "{message}");
    }
}

#[test]
fn command_lines() {
    let (image, config) = (good(), config(1));
    let longest = vec![b'x'; 65535];
    for (protocol, max) in [(None, 2047), (Some(Protocol::Image), 2047), (Some(Protocol::Flat), 65535)] {
        let plan = Plan { protocol, ..Plan::new(&image, &config) };
        loaded(&arm_ram(64), &Plan { command_line: &longest[..max], ..plan });
        for length in [max + 1, 1 << 20] {
            let command_line = vec![b'x'; length];
            let found = refused(&arm_ram(64), &Plan { command_line: &command_line, ..plan });
            assert_eq!(found, ("cmdline", format!("{length} bytes; this kernel takes {max}")));
        }
        for (command_line, at) in [(&b"\0"[..], 0), (b"quiet\0", 5), (b"a\0b\0", 1)] {
            let found = refused(&arm_ram(64), &Plan { command_line, ..plan });
            assert_eq!(found, ("cmdline", format!("NUL byte at {at}")));
        }
        // Bytes that are no text reach the kernel as they are.
        loaded(&arm_ram(64), &Plan { command_line: b"\xff\xfe=\x80", ..plan });
    }
}

#[test]
fn initrds() {
    let (image, config) = (good(), config(1));
    let plan = Plan::new(&image, &config);
    let empty = refused(&arm_ram(64), &Plan { initrd: Some(b""), ..plan });
    assert_eq!(empty, ("initrd", "the initrd is empty".to_owned()));
    let huge = vec![0; 64 << 20];
    let (field, message) = refused(&arm_ram(64), &Plan { initrd: Some(&huge), ..plan });
    assert_eq!(field, "initrd");
    assert!(message.starts_with("the initrd of 67108864 bytes does not fit"), "{message}");
    // The kernel takes 4 MiB, and the tree a page.
    loaded(&arm_ram(64), &Plan { initrd: Some(&huge[..(60 << 20) - 4096]), ..plan });
    // One that fits only above the window of 32 GiB around the kernel.
    let memory = memory_at(&[(RAM_START, 8 * MIB), (33 * GIB, 128 * MIB)]);
    let (field, message) = refused(&memory, &Plan { initrd: Some(&huge), ..plan });
    assert_eq!(field, "initrd");
    assert!(
        message.contains(
            "below 0x840000000 the largest free piece of memory beside the kernel has 4194304 bytes"
        ),
        "{message}"
    );
}

#[test]
fn protocols() {
    let (image, config) = (good(), config(1));
    for asked in Protocol::ALL {
        let plan = Plan { protocol: Some(asked), flat: Flat::default(), ..Plan::new(&image, &config) };
        if matches!(asked, Protocol::Image | Protocol::Flat) {
            assert_eq!(load(&arm_ram(64), &plan).unwrap().protocol, asked);
            continue;
        }
        let expected = format!(
            "a Linux Image for arm64 with pages of 4 KiB cannot be booted by {asked}; it can be by image"
        );
        assert_eq!(refused(&arm_ram(64), &plan), ("protocol", expected));
    }
    // Nor is a PC's machine one for an Image.
    let plan = vmhatch_boot::x86_64::Plan {
        protocol: Some(Protocol::Image),
        ..vmhatch_boot::x86_64::Plan::new(&image)
    };
    let message = vmhatch_boot::x86_64::load(&ram(8), &plan).unwrap_err().to_string();
    assert_eq!(message, "the image is a Linux Image for aarch64; this machine is x86_64");
    let bzimage = BzImageBuilder::default().build();
    let message =
        vmhatch_boot::x86_64::load(&ram(64), &vmhatch_boot::x86_64::Plan { kernel: &bzimage, ..plan })
            .unwrap_err();
    assert!(
        message.to_string().contains("cannot be booted by image; it can be by linux64, pvh, elf64"),
        "{message}"
    );
}

#[test]
fn serial_ports_and_seeds() {
    let config = FdtConfig { serial: vec![SerialPort::Pl011; 3], ..FdtConfig::new(1) };
    assert_eq!(wrong(&config).1, "3 serial ports: a machine has at most 2");
    let config = FdtConfig { rng_seed: vec![1; 4097], ..FdtConfig::new(1) };
    assert_eq!(wrong(&config).1, "a seed of 4097 bytes for random numbers: at most 4096");
}

#[test]
fn names_of_devices() {
    for name in ["", "1", "_x", "x@1", "a b", "a/b", "ä", "a\0", "a-name-that-has-32-characters-ok-"] {
        let message = wrong_devices(vec![device(name)]);
        assert!(
            message.ends_with("a name has 1 to 31 letters, digits and ',._+-', a letter first"),
            "{message}"
        );
    }
    assert!(wrong_devices(vec![device(&"x".repeat(1 << 20))]).len() < 200);
    // Without an address the name alone must do.
    let bare = |name: &str| Device { reg: vec![], interrupts: vec![], ..device(name) };
    for name in ["chosen", "aliases", "cpus", "psci", "timer", "pmu", "apb-pclk"] {
        assert_eq!(wrong_devices(vec![bare(name)]), format!("device {name}: the name is taken"));
    }
    assert_eq!(wrong_devices(vec![bare("x"), bare("x")]), "device x: the name is taken");
    let image = good();
    let devices = vec![
        bare("x"),
        device("x"),
        Device { reg: vec![(0xb00_0000, 1)], interrupts: vec![], ..device("x") },
    ];
    loaded(&arm_ram(64), &Plan::new(&image, &FdtConfig { devices, ..FdtConfig::new(1) }));
}

#[test]
fn what_devices_are_compatible_to() {
    let with = |compatible: Vec<String>| wrong_devices(vec![Device { compatible, ..device("x") }]);
    assert_eq!(with(vec![]), "device x: it is compatible to nothing, or to too much");
    assert_eq!(with(vec!["y".to_owned(); 256]), "device x: it is compatible to nothing, or to too much");
    for text in ["", "a b", "a\0b", "ä", "\n"] {
        let message = with(vec!["vmhatch,good".to_owned(), text.to_owned()]);
        assert!(message.ends_with("is not what it can be compatible to"), "{message}");
    }
}

#[test]
fn addresses_of_devices() {
    let with = |start, length| wrong_devices(vec![Device { reg: vec![(start, length)], ..device("x") }]);
    for (start, length) in [
        (0, 0x1000),
        (0xa00_0000, 0),
        (0x9ff_ffff, 1),
        (0x800_0000, 0x1000),
        (0x37ff_ffff, 2),
        (RAM_START, 0x1000),
        (0xa00_0000, u64::MAX),
        (u64::MAX, 2),
    ] {
        let expected =
            format!("device x: {length} bytes at {start:#x}: devices are at 0xa000000 to 0x38000000");
        assert_eq!(with(start, length), expected);
    }
    let two = |start| {
        let other = Device { reg: vec![(start, 0x1000)], interrupts: vec![], ..device("y") };
        wrong_devices(vec![device("x"), other])
    };
    assert_eq!(two(0xa00_0000), "device x and device y both have address 0xa000000");
    assert_eq!(two(0xa00_0fff), "device x and device y both have address 0xa000fff");
    let within = Device { reg: vec![(0xb00_0800, 1), (0xb00_0000, 0x1000)], ..device("x") };
    assert_eq!(wrong_devices(vec![within]), "device x and device x both have address 0xb000800");
}

#[test]
fn interrupts_of_devices() {
    let with = |spis: &[u32]| {
        let interrupts = spis.iter().copied().map(Interrupt::edge).collect();
        wrong_devices(vec![Device { interrupts, ..device("x") }])
    };
    for spi in [0, 1, 15, 256, u32::MAX] {
        assert_eq!(with(&[16, spi]), format!("device x: interrupt {spi}: those of devices are 16 to 255"));
    }
    assert_eq!(with(&[16, 17, 16]), "device x: interrupt 16 is that of device x");
    let other = Device { reg: vec![(0xb00_0000, 1)], ..device("y") };
    assert_eq!(wrong_devices(vec![device("x"), other]), "device y: interrupt 16 is that of device x");
}
