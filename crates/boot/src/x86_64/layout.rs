//! Where things are in guest memory on x86_64. docs/boot.md draws it.

/// The global descriptor table of a CPU that starts in protected or long mode.
pub const GDT: u64 = 0x500;
/// PVH: `hvm_start_info`, then its memory map and list of modules.
pub const START_INFO: u64 = 0x6000;
/// Linux: `boot_params`, one page.
pub const ZERO_PAGE: u64 = 0x7000;
/// The first address above the boot stack.
pub const BOOT_STACK_TOP: u64 = 0x8ff0;
/// PML4, then one PDPT, then four page directories.
pub const PAGE_TABLES: u64 = 0x9000;
/// Multiboot: the information structure, its memory map, modules and strings.
pub const MULTIBOOT_INFO: u64 = 0x1_0000;
/// The kernel's command line.
pub const COMMAND_LINE: u64 = 0x2_0000;
/// The room for the command line, with its NUL, in bytes.
pub const COMMAND_LINE_ROOM: u64 = 0x1_0000;
/// The extended BIOS data area: the last KiB of base memory. Holds the MP table's floating pointer and the MP table.
pub const EBDA: u64 = 0x9_fc00;
/// The end of base memory; video memory and ROMs are between it and [`HIGH_MEMORY`].
pub const BASE_MEMORY_END: u64 = 0xa_0000;
/// The RSDP, and the ACPI tables after it.
pub const ACPI: u64 = 0xe_0000;
/// Where the room for ACPI tables, and for the reset vector after them, ends.
pub const ACPI_END: u64 = 0x10_0000;
/// Where a guest in real mode jumps to for a reset, at f000:fff0: the last 16 bytes of the first MiB.
pub const RESET_VECTOR: u64 = 0xf_fff0;
/// The first byte above the first MiB: kernels go here.
pub const HIGH_MEMORY: u64 = 0x10_0000;
/// The end of RAM below 4 GiB at most; devices are between it and [`RAM_ABOVE_HOLE`].
pub const LOW_RAM_END: u64 = 0xc000_0000;
/// The first byte of RAM above the hole for devices.
pub const RAM_ABOVE_HOLE: u64 = 0x1_0000_0000;
/// The registers of the IOAPIC.
pub const IO_APIC: u64 = 0xfec0_0000;
/// The registers of each CPU's local APIC.
pub const LOCAL_APIC: u64 = 0xfee0_0000;
/// Pages that KVM keeps for itself on some processors: the identity map, then three for a task state segment. Firmware
/// may be above them; from here to 4 GiB nothing is the guest's to use.
pub const KVM_PRIVATE: u64 = 0xfeff_c000;
/// The address that KVM's identity map is set to.
pub const KVM_IDENTITY_MAP: u64 = KVM_PRIVATE;
/// The address that KVM's task state segment is set to.
pub const KVM_TSS: u64 = 0xfeff_d000;
/// The most vCPUs of a machine.
pub const MAX_CPUS: u32 = 32;
/// The size of a page, in bytes.
pub const PAGE_SIZE: u64 = 4096;
