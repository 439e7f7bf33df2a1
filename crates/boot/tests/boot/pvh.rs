//! PVH: the start info and what it points to; offsets are those of Xen's start_info.h.

use crate::support::*;
use vmhatch_boot::Protocol;
use vmhatch_boot::x86_64::{Entry, Gdt, Module, Plan, identify, load};

const GDT: Gdt = Gdt { base: 0x500, limit: 0x2f, code: 0x10, data: 0x18, task: 0x20 };

#[test]
fn start_info_memory_map_and_entry() {
    let image = ElfBuilder::vmlinux(Some(0x100_0100)).build();
    assert_eq!(identify(&image).unwrap().name, "an ELF64 file with a PVH note");
    let memory = memory_at(&[(0, 3 * GIB), (4 * GIB, 2 * GIB)]);
    let loaded = load(&memory, &Plan { command_line: b"console=hvc0", ..Plan::new(&image) }).unwrap();
    assert_eq!(loaded.protocol, Protocol::Pvh);
    assert_eq!(loaded.entry, Entry::Protected { eip: 0x100_0100, eax: 0, ebx: 0x6000, gdt: GDT });

    assert_eq!(u32_at(&memory, 0x6000), 0x336e_c578, "magic");
    assert_eq!(u32_at(&memory, 0x6004), 1, "version");
    assert_eq!(u32_at(&memory, 0x6008), 0, "flags");
    assert_eq!(u32_at(&memory, 0x600c), 0, "nr_modules");
    assert_eq!(u64_at(&memory, 0x6010), 0, "modlist_paddr");
    assert_eq!(u64_at(&memory, 0x6018), 0x2_0000, "cmdline_paddr");
    assert_eq!(u64_at(&memory, 0x6020), 0, "rsdp_paddr");
    assert_eq!(u64_at(&memory, 0x6028), 0x6038, "memmap_paddr");
    assert_eq!(u32_at(&memory, 0x6030), 6, "memmap_entries");
    assert_eq!(u32_at(&memory, 0x6034), 0, "reserved");
    let entries: Vec<_> = (0..6)
        .map(|index| 0x6038 + index * 24)
        .map(|at| {
            (u64_at(&memory, at), u64_at(&memory, at + 8), u32_at(&memory, at + 16), u32_at(&memory, at + 20))
        })
        .collect();
    assert_eq!(
        entries,
        [
            (0, 0x9_fc00, 1, 0),
            (0x9_fc00, 0x400, 2, 0),
            (0xe_0000, 0x2_0000, 2, 0),
            (MIB, 3 * GIB - MIB, 1, 0),
            (0xfeff_c000, 0x100_4000, 2, 0),
            (4 * GIB, 2 * GIB, 1, 0),
        ]
    );
    assert_eq!(text_at(&memory, 0x2_0000), b"console=hvc0");
    assert_eq!(u64_at(&memory, 0x510), 0x00cf_9b00_0000_ffff, "code, 32-bit");
    assert_eq!(u64_at(&memory, 0x518), 0x00cf_9300_0000_ffff, "data");
    assert_eq!(u64_at(&memory, 0x520), 0x0000_8b00_0000_0067, "task");
}

#[test]
fn the_initrd_and_the_modules_are_listed() {
    let image = ElfBuilder::vmlinux(Some(0x100_0100)).build();
    let modules = [
        Module { bytes: &[2; 0x1001], command_line: b"second a=b" },
        Module { bytes: &[3; 1], command_line: b"" },
    ];
    let plan = Plan { initrd: Some(&[1; 10]), modules: &modules, command_line: b"x", ..Plan::new(&image) };
    let (memory, loaded) = load_into(64, &plan);
    loaded.unwrap();
    assert_eq!(u32_at(&memory, 0x600c), 3, "nr_modules");
    let list = 0x6038 + 5 * 24;
    assert_eq!(u64_at(&memory, 0x6010), list, "modlist_paddr");
    let entry = |index: u64| {
        let at = list + index * 32;
        assert_eq!(u64_at(&memory, at + 24), 0, "reserved");
        (u64_at(&memory, at), u64_at(&memory, at + 8), u64_at(&memory, at + 16))
    };
    assert_eq!(entry(0), (0x3ff_f000, 10, 0));
    let (start, length, name) = entry(1);
    assert_eq!((start, length), (0x3ff_d000, 0x1001));
    assert_eq!(bytes(&memory, start, 0x1001), [2; 0x1001]);
    assert_eq!(text_at(&memory, name), b"second a=b");
    assert_eq!(entry(2), (0x3ff_c000, 1, 0));
    assert_eq!(text_at(&memory, 0x2_0000), b"x");
}

#[test]
fn a_note_in_any_segment_of_notes_counts() {
    let mut elf = ElfBuilder::vmlinux(Some(0x100_0100));
    let other = Segment::note(&{
        let mut notes = pvh_note(&[0; 4]);
        // Not Xen's.
        let name = notes.windows(4).rposition(|bytes| bytes == b"Xen\0").unwrap();
        notes[name] = b'Y';
        notes
    });
    elf.segments.insert(1, other.clone());
    elf.segments.push(other);
    let (_, loaded) = load_into(64, &Plan::new(&elf.build()));
    assert!(matches!(loaded.unwrap().entry, Entry::Protected { eip: 0x100_0100, .. }));
}

#[test]
fn the_entry_may_have_8_bytes_or_be_in_a_32_bit_image() {
    let mut elf = ElfBuilder::vmlinux(None);
    elf.segments.push(Segment::note(&pvh_note(&0x100_0040u64.to_le_bytes())));
    let (_, loaded) = load_into(64, &Plan::new(&elf.build()));
    assert!(matches!(loaded.unwrap().entry, Entry::Protected { eip: 0x100_0040, .. }));

    elf.is_64 = false;
    elf.segments[0].virtual_address = 0xc100_0000;
    let image = elf.build();
    assert_eq!(identify(&image).unwrap().protocols, [Protocol::Pvh]);
    let (_, loaded) = load_into(64, &Plan::new(&image));
    assert!(matches!(loaded.unwrap().entry, Entry::Protected { eip: 0x100_0040, .. }));
}

#[test]
fn a_bad_note_is_an_error_and_not_a_vmlinux_without_one() {
    for descriptor in [&[][..], &[1], &[1, 2, 3], &[1, 2, 3, 4, 5], &[0, 0, 0, 1, 1, 0, 0, 0], &[0; 12]] {
        let mut elf = ElfBuilder::vmlinux(None);
        elf.segments.push(Segment::note(&pvh_note(descriptor)));
        let (memory, loaded) = load_into(64, &Plan::new(&elf.build()));
        let (field, message) = error(loaded);
        assert_eq!(field, "kernel");
        assert!(message.contains("PVH note"), "{message}");
        assert_untouched(&memory);
    }
}

#[test]
fn the_entry_must_be_in_the_kernel() {
    // One before, one after, our own tables, the end of the address space.
    for entry in [0xff_ffff, 0x100_2000, 0x500, u32::MAX] {
        let (memory, loaded) = load_into(64, &Plan::new(&ElfBuilder::vmlinux(Some(entry)).build()));
        let (field, message) = error(loaded);
        assert_eq!(field, "kernel");
        assert!(message.contains(&format!("the entry in the PVH note is {entry:#x}")), "{message}");
        assert_untouched(&memory);
    }
    let (_, loaded) = load_into(64, &Plan::new(&ElfBuilder::vmlinux(Some(0x100_1fff)).build()));
    loaded.unwrap();
}
