//! A good kernel, and everything else wrong.

use crate::support::*;
use vmhatch_boot::Protocol;
use vmhatch_boot::x86_64::{Module, Plan, load};

fn refused(memory: &Memory, plan: &Plan<'_>) -> (&'static str, String) {
    let error = error(load(memory, plan));
    assert_untouched(memory);
    error
}

fn images() -> [(Protocol, Vec<u8>); 4] {
    [
        (Protocol::Linux64, BzImageBuilder::default().build()),
        (Protocol::Elf64, ElfBuilder::vmlinux(None).build()),
        (Protocol::Pvh, ElfBuilder::vmlinux(Some(0x100_0000)).build()),
        (Protocol::Multiboot, MultibootBuilder::default().build()),
    ]
}

#[test]
fn vcpus() {
    let memory = ram(64);
    for (_, image) in images() {
        for cpus in [1, 32] {
            load(&ram(64), &Plan { cpus, ..Plan::new(&image) }).unwrap();
        }
        for cpus in [0, 33, 10_000, u32::MAX] {
            let (field, message) = refused(&memory, &Plan { cpus, ..Plan::new(&image) });
            assert_eq!((field, message), ("cpus", format!("{cpus} vCPUs: a machine has 1 to 32")));
        }
    }
}

#[test]
fn command_lines() {
    let memory = ram(64);
    for (protocol, image) in images() {
        let max = if protocol == Protocol::Multiboot { 32767 } else { 2047 };
        let longest = vec![b'x'; max];
        let used = ram(64);
        load(&used, &Plan { command_line: &longest, ..Plan::new(&image) }).unwrap();
        assert_eq!(text_at(&used, 0x2_0000), longest);
        for length in [max + 1, 1 << 20] {
            let command_line = vec![b'x'; length];
            let (field, message) =
                refused(&memory, &Plan { command_line: &command_line, ..Plan::new(&image) });
            assert_eq!((field, message), ("cmdline", format!("{length} bytes; this kernel takes {max}")));
        }
        for (command_line, at) in [(&b"\0"[..], 0), (b"quiet\0", 5), (b"a\0b\0", 1)] {
            let (field, message) = refused(&memory, &Plan { command_line, ..Plan::new(&image) });
            assert_eq!((field, message), ("cmdline", format!("NUL byte at {at}")));
        }
    }
}

#[test]
fn a_command_line_is_as_long_as_the_bzimage_says() {
    let mut image = BzImageBuilder::default().build();
    for (size, max) in [(0u32, 0), (10, 10), (30_000, 30_000), (u32::MAX, 32767)] {
        put(&mut image, 0x238, &size.to_le_bytes());
        let line = vec![b'y'; max + 1];
        load(&ram(64), &Plan { command_line: &line[..max], ..Plan::new(&image) }).unwrap();
        assert_eq!(refused(&ram(64), &Plan { command_line: &line, ..Plan::new(&image) }).0, "cmdline");
    }
}

#[test]
fn initrds() {
    let memory = ram(64);
    let huge = vec![0; 64 << 20];
    for (_, image) in images() {
        let (field, message) = refused(&memory, &Plan { initrd: Some(b""), ..Plan::new(&image) });
        assert_eq!((field, message.as_str()), ("initrd", "the initrd is empty"));
        let (field, message) = refused(&memory, &Plan { initrd: Some(&huge), ..Plan::new(&image) });
        assert_eq!(field, "initrd");
        assert!(message.starts_with("the initrd of 67108864 bytes does not fit"), "{message}");
    }
    // The kernel takes 16 to 20 MiB: 44 MiB are above it, and the message says so.
    let image = BzImageBuilder::default().build();
    let (_, message) = refused(&memory, &Plan { initrd: Some(&huge[..(44 << 20) + 1]), ..Plan::new(&image) });
    assert!(message.contains("has 46137344 bytes"), "{message}");
    load(&ram(64), &Plan { initrd: Some(&huge[..44 << 20]), ..Plan::new(&image) }).unwrap();
}

fn with<'a>(image: &'a [u8], modules: &'a [Module<'a>]) -> Plan<'a> {
    Plan { modules, ..Plan::new(image) }
}

#[test]
fn modules() {
    let memory = ram(64);
    let long = vec![b'm'; 0x1_0000];
    let huge = vec![0; 64 << 20];
    for (protocol, image) in images() {
        let small = Module { bytes: b"m", command_line: b"" };
        if matches!(protocol, Protocol::Linux64 | Protocol::Elf64) {
            let (field, message) = refused(&memory, &with(&image, &[small]));
            assert_eq!((field, message), ("modules", format!("the protocol {protocol} takes no modules")));
            continue;
        }
        let (field, message) =
            refused(&memory, &with(&image, &[small, Module { bytes: &huge, command_line: b"" }]));
        assert_eq!(field, "modules");
        assert!(message.starts_with("module 1 of 67108864 bytes does not fit"), "{message}");
        let (field, message) =
            refused(&memory, &with(&image, &[small, Module { command_line: b"a\0", ..small }]));
        assert_eq!(
            (field, message.as_str()),
            ("modules", "the command line of module 1 has a NUL byte at 1")
        );
        let (field, message) = refused(&memory, &with(&image, &[Module { command_line: &long, ..small }]));
        assert_eq!(field, "modules");
        assert!(
            message.starts_with("the command line of module 0 has 65536 bytes, there is room for"),
            "{message}"
        );
        let (field, message) = refused(&memory, &with(&image, &[small; 5000]));
        assert_eq!(field, "modules");
        assert!(message.starts_with("5000 modules; there is room for"), "{message}");
        load(&ram(64), &with(&image, &[small; 40])).unwrap();
    }
}

#[test]
fn the_last_byte_of_the_modules_command_lines() {
    let image = MultibootBuilder::default().build();
    // 64 KiB hold: the command line's NUL, "vmhatch" and its NUL, then those of the modules.
    let room = 0x1_0000 - 1 - 8;
    let text = vec![b'z'; room];
    let module = |length: usize| Module { bytes: b"m", command_line: &text[..length] };
    let (memory, loaded) =
        load_into(8, &Plan { modules: &[module(1000), module(room - 1002)], ..Plan::new(&image) });
    loaded.unwrap();
    assert_eq!(bytes(&memory, 0x2_fffe, 2), b"z\0");
    let plan = Plan { modules: &[module(1000), module(room - 1001)], ..Plan::new(&image) };
    let (_, message) = refused(&ram(8), &plan);
    assert!(message.ends_with(&format!("there is room for {}", room - 1002)), "{message}");
}

#[test]
fn protocols() {
    let memory = ram(64);
    let images = images();
    for (protocol, image) in &images {
        for asked in [Protocol::Linux64, Protocol::Elf64, Protocol::Pvh, Protocol::Multiboot] {
            if asked == *protocol || (*protocol == Protocol::Linux64 && asked != Protocol::Multiboot) {
                continue;
            }
            if *protocol == Protocol::Pvh && asked == Protocol::Elf64 {
                continue;
            }
            let (field, message) = refused(&memory, &Plan { protocol: Some(asked), ..Plan::new(image) });
            assert_eq!(field, "protocol");
            assert!(message.contains(&format!("cannot be booted by {asked}; it can be by ")), "{message}");
        }
    }
    assert_eq!(
        refused(&memory, &Plan { protocol: Some(Protocol::Multiboot), ..Plan::new(&images[0].1) }).1,
        "a Linux bzImage (6.12.0-test) cannot be booted by multiboot; it can be by linux64, pvh, elf64"
    );
}

#[test]
fn names_of_protocols() {
    for protocol in Protocol::ALL {
        assert_eq!(Protocol::from_name(protocol.name()), Some(protocol));
    }
    assert_eq!(Protocol::from_name("PVH"), None);
}
