use super::{Memory, text_at, u32_at, u64_at};
use vm_memory::{GuestAddress, GuestMemoryBackend};
use vmhatch_boot::Protocol;
use vmhatch_boot::x86_64::{Entry, Loaded, Plan};

/// What must hold of whatever was loaded.
pub fn check(memory: &Memory, plan: &Plan<'_>, loaded: &Loaded) {
    for pair in loaded.placed.windows(2) {
        assert!(pair[0].start + pair[0].length <= pair[1].start, "{pair:x?} overlap");
    }
    for part in &loaded.placed {
        let range = memory.get_slice(GuestAddress(part.start), part.length as usize);
        assert!(range.is_ok(), "{part:x?} is not memory");
    }
    let inside = |address: u64| {
        loaded.placed.iter().any(|part| {
            part.name.contains("kernel") && (part.start..part.start + part.length).contains(&address)
        })
    };
    match loaded.entry {
        Entry::Long { rip, rsi, rsp, cr3, gdt } => {
            assert!(inside(rip), "{rip:#x} is outside of {:x?}", loaded.placed);
            assert_eq!((rsi, rsp, cr3, gdt.base), (0x7000, 0x8ff0, 0x9000, 0x500));
            assert_eq!(u64_at(memory, 0x9000), 0xa003, "the page tables are whole");
            assert_eq!(u32_at(memory, 0x7228), 0x2_0000, "the zero page is whole");
        }
        Entry::Protected { eip, ebx, .. } => {
            assert!(inside(eip.into()), "{eip:#x} is outside of {:x?}", loaded.placed);
            assert!(ebx == 0x6000 || ebx == 0x1_0000);
        }
        Entry::Real { .. } | Entry::Reset => panic!("{loaded:?} was not asked for"),
    }
    if loaded.protocol != Protocol::Multiboot {
        assert_eq!(text_at(memory, 0x2_0000), plan.command_line, "the command line is whole");
    }
}
