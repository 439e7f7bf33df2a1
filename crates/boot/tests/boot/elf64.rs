//! A vmlinux by the 64-bit entry.

use crate::support::*;
use vm_memory::{Bytes, GuestAddress};
use vmhatch_boot::Protocol;
use vmhatch_boot::x86_64::{Entry, Plan, identify};

#[test]
fn without_a_note_it_is_entered_at_its_entry_with_a_zero_page() {
    let image = ElfBuilder::vmlinux(None).build();
    assert_eq!(identify(&image).unwrap().name, "an ELF64 file without a PVH note");
    assert_eq!(identify(&image).unwrap().protocols, [Protocol::Elf64]);
    let memory = ram(64);
    // What is there from before is no part of the kernel: the rest of the segment must be zero.
    memory.write_slice(&[0xff; 0x3000], GuestAddress(0x100_0000)).unwrap();
    let initrd = [3; 77];
    let plan = Plan { command_line: b"ro", initrd: Some(&initrd), ..Plan::new(&image) };
    let loaded = vmhatch_boot::x86_64::load(&memory, &plan).unwrap();
    assert_eq!(loaded.protocol, Protocol::Elf64);
    let Entry::Long { rip: 0x100_0000, rsi: 0x7000, .. } = loaded.entry else { panic!("{loaded:?}") };

    let text = &ElfBuilder::vmlinux(None).segments[0].bytes;
    assert_eq!(bytes(&memory, 0x100_0000, 0x300), *text);
    assert_eq!(bytes(&memory, 0x100_0300, 0x1d00), vec![0; 0x1d00], "p_memsz");
    assert_eq!(bytes(&memory, 0x100_2000, 0x1000), vec![0xff; 0x1000], "after the segment");

    assert_eq!(u16_at(&memory, 0x71fe), 0xaa55, "boot_flag");
    assert_eq!(bytes(&memory, 0x7202, 4), b"HdrS", "header");
    assert_eq!(u16_at(&memory, 0x7206), 0x20f, "version");
    assert_eq!(bytes(&memory, 0x7210, 2), [0xff, 1], "type_of_loader, loadflags");
    assert_eq!(u32_at(&memory, 0x7218), 0x3ff_f000, "ramdisk_image");
    assert_eq!(u32_at(&memory, 0x721c), 77, "ramdisk_size");
    assert_eq!(u32_at(&memory, 0x7228), 0x2_0000, "cmd_line_ptr");
    assert_eq!(u32_at(&memory, 0x7230), 0x20_0000, "kernel_alignment");
    assert_eq!(u32_at(&memory, 0x7238), 2047, "cmdline_size");
    assert_eq!(bytes(&memory, 0x71e8, 1), [5], "e820_entries");
    assert_eq!(text_at(&memory, 0x2_0000), b"ro");
}

#[test]
fn with_a_note_only_if_asked() {
    let image = ElfBuilder::vmlinux(Some(0x100_0100)).build();
    assert_eq!(identify(&image).unwrap().protocols, [Protocol::Pvh, Protocol::Elf64]);
    let (_, loaded) = load_into(64, &Plan { protocol: Some(Protocol::Elf64), ..Plan::new(&image) });
    assert!(matches!(loaded.unwrap().entry, Entry::Long { rip: 0x100_0000, .. }));
}

#[test]
fn a_virtual_entry_is_made_physical() {
    let mut elf = ElfBuilder::vmlinux(None);
    elf.entry = 0xffff_ffff_8100_01f0;
    let (_, loaded) = load_into(64, &Plan::new(&elf.build()));
    assert!(matches!(loaded.unwrap().entry, Entry::Long { rip: 0x100_01f0, .. }));
}

#[test]
fn every_segment_goes_to_its_physical_address() {
    let mut elf = ElfBuilder::vmlinux(None);
    // As the per-CPU area of a vmlinux: its virtual address is 0.
    let mut percpu = Segment::load(0x123_4567, b"per-CPU");
    percpu.virtual_address = 0;
    elf.segments.push(percpu);
    // Nothing at all, at an address that is no RAM: not loaded.
    elf.segments.push(Segment::load(0xdead_0000_0000, b""));
    // Only zeros.
    elf.segments.push(Segment { memory_size: Some(0x5000), ..Segment::load(0x200_0000, b"") });
    let image = elf.build();
    let memory = ram(64);
    memory.write_slice(&[0xff; 0x5000], GuestAddress(0x200_0000)).unwrap();
    let loaded = vmhatch_boot::x86_64::load(&memory, &Plan::new(&image)).unwrap();
    let kernel: Vec<_> = loaded.placed.iter().filter(|part| part.name == "kernel").collect();
    assert_eq!(
        kernel.iter().map(|part| (part.start, part.length)).collect::<Vec<_>>(),
        [(0x100_0000, 0x2000), (0x123_4567, 7), (0x200_0000, 0x5000)]
    );
    assert_eq!(bytes(&memory, 0x123_4567, 7), b"per-CPU");
    assert_eq!(bytes(&memory, 0x200_0000, 0x5000), vec![0; 0x5000]);
}

#[test]
fn a_segment_above_4_gib_is_loaded_there() {
    let mut elf = ElfBuilder::vmlinux(None);
    elf.segments.push(Segment::load(4 * GIB + 0x1000, b"high"));
    let memory = memory_at(&[(0, 64 * MIB), (4 * GIB, MIB)]);
    vmhatch_boot::x86_64::load(&memory, &Plan::new(&elf.build())).unwrap();
    assert_eq!(bytes(&memory, 4 * GIB + 0x1000, 4), b"high");
    // But it is not entered there: only 4 GiB are mapped.
    elf.entry = 4 * GIB + 0x1000;
    let (field, message) = error(vmhatch_boot::x86_64::load(&memory, &Plan::new(&elf.build())));
    assert_eq!(field, "kernel");
    assert!(message.contains("e_entry is 0x100001000"), "{message}");
}
