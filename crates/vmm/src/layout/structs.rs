//! Layout tables of the structures that KVM's ioctls take and give.

use super::ArmVcpuEvents;
use kvm_bindings::{
    kvm_clock_data, kvm_cpuid_entry2, kvm_debugregs, kvm_dtable, kvm_fpu, kvm_guest_debug,
    kvm_guest_debug_arch, kvm_mp_state, kvm_msr_entry, kvm_pit_channel_state, kvm_pit_state2, kvm_regs,
    kvm_segment, kvm_sregs, kvm_sregs2, kvm_vcpu_events, kvm_vcpu_events__bindgen_ty_1,
    kvm_vcpu_events__bindgen_ty_2, kvm_vcpu_events__bindgen_ty_3, kvm_vcpu_events__bindgen_ty_4,
    kvm_vcpu_events__bindgen_ty_5, kvm_xcr, kvm_xcrs,
};

/// How the bytes of one field, or of one element of an array field, are read.
#[derive(Clone, Copy)]
pub enum FieldType {
    /// An integer: `u8`, `u16`, `u32`, `u64` or `i64`.
    Integer(&'static str),
    /// So many bytes that have no number of their own.
    Bytes(usize),
    /// Another structure.
    Struct(&'static StructLayout),
}

/// One field of a structure.
pub struct Field {
    /// Name in the bindings.
    pub name: &'static str,
    /// Bytes from the start of the structure.
    pub offset: usize,
    /// What lies there.
    pub kind: FieldType,
    /// How many of it, if the field is an array.
    pub length: Option<usize>,
    /// Meaning, as a sentence without its full stop; empty where the name says it.
    pub doc: &'static str,
}

/// One structure: its fields in order, padding left out.
pub struct StructLayout {
    /// Name in the kernel; the unnamed ones of `kvm_vcpu_events` have their field's name added.
    pub name: &'static str,
    /// Bytes.
    pub size: usize,
    /// The fields that carry something.
    pub fields: &'static [Field],
    /// What it is, as a sentence without its full stop.
    pub doc: &'static str,
}

/// What a Rust type of the bindings is in a layout.
trait Described {
    const KIND: FieldType;
    const LENGTH: Option<usize> = None;
}

macro_rules! integers {
    ($($type:ident)*) => {
        $(impl Described for $type {
            const KIND: FieldType = FieldType::Integer(stringify!($type));
        })*
    };
}

integers! { u8 u16 u32 u64 i64 }

impl<const N: usize> Described for [u8; N] {
    const KIND: FieldType = FieldType::Bytes(N);
}

macro_rules! arrays {
    ($($element:ty),*) => {
        $(impl<const N: usize> Described for [$element; N] {
            const KIND: FieldType = <$element>::KIND;
            const LENGTH: Option<usize> = Some(N);
        })*
    };
}

arrays! { u64, [u8; 16], kvm_pit_channel_state, kvm_xcr }

/// Reads the type of a field off a function that borrows it.
const fn field<S, T: Described>(
    name: &'static str,
    offset: usize,
    doc: &'static str,
    _: fn(&S) -> &T,
) -> Field {
    Field { name, offset, kind: T::KIND, length: T::LENGTH, doc }
}

/// Describes a structure. Every field must be named, before the semicolon if it carries something, after it if it is
/// padding: the destructuring below does not compile otherwise.
macro_rules! layouts {
    ($($(#[doc = $doc:literal])+ $constant:ident: $type:ident as $name:literal {
        $($field:ident $(= $fielddoc:literal)?),* $(; $($padding:ident),*)?
    })*) => {
        $(
            const _: fn($type) = |$type { $($field: _,)* $($($padding: _,)*)? }| {};

            const $constant: StructLayout = StructLayout {
                name: $name,
                size: size_of::<$type>(),
                fields: &[$(field(
                    stringify!($field),
                    std::mem::offset_of!($type, $field),
                    concat!($($fielddoc)?),
                    |whole: &$type| &whole.$field,
                )),*],
                doc: concat!($($doc),+),
            };

            impl Described for $type {
                const KIND: FieldType = FieldType::Struct(&$constant);
            }
        )*

        /// Every structure, those that others hold before the others.
        pub const STRUCTS: &[&StructLayout] = &[$(&$constant),*];
    };
}

layouts! {
    #[doc = "General-purpose registers"]
    REGS: kvm_regs as "kvm_regs" {
        rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8, r9, r10, r11, r12, r13, r14, r15,
        rip = "Address of the next instruction, relative to the base of `cs`",
        rflags = "Flags; bit 1 is always set on hardware"
    }

    #[doc = "A segment register with its hidden part"]
    SEGMENT: kvm_segment as "kvm_segment" {
        base = "Linear address of the first byte",
        limit = "Offset of the last byte, in bytes whatever `g` says",
        selector = "The visible part",
        type_ = "Type field of the descriptor, 0 to 15",
        present = "1: the segment is present",
        dpl = "Privilege level, 0 to 3",
        db = "1: 32-bit default operand size",
        s = "1: code or data, 0: system",
        l = "1: 64-bit code",
        g = "1: the descriptor counted its limit in pages",
        avl = "Free for software",
        unusable = "1: using it is a fault";
        padding
    }

    #[doc = "A descriptor-table register"]
    DTABLE: kvm_dtable as "kvm_dtable" {
        base = "Linear address of the table",
        limit = "Offset of its last byte";
        padding
    }

    #[doc = "Segment, control and other system registers"]
    SREGS: kvm_sregs as "kvm_sregs" {
        cs, ds, es, fs, gs, ss,
        tr = "Task register",
        ldt = "Local descriptor table",
        gdt = "Global descriptor table",
        idt = "Interrupt descriptor table",
        cr0, cr2 = "Address of the last page fault", cr3 = "Guest-physical address of the page tables", cr4,
        cr8 = "Task priority",
        efer = "The MSR `EFER`: long mode, no-execute",
        apic_base = "The MSR `IA32_APIC_BASE`",
        interrupt_bitmap = "One bit for each vector that waits to be injected"
    }

    #[doc = "Special registers, with the page-directory pointers of PAE paging instead of the interrupt bitmap"]
    SREGS2: kvm_sregs2 as "kvm_sregs2" {
        cs, ds, es, fs, gs, ss,
        tr = "Task register",
        ldt = "Local descriptor table",
        gdt = "Global descriptor table",
        idt = "Interrupt descriptor table",
        cr0, cr2 = "Address of the last page fault", cr3 = "Guest-physical address of the page tables", cr4,
        cr8 = "Task priority",
        efer = "The MSR `EFER`: long mode, no-execute",
        apic_base = "The MSR `IA32_APIC_BASE`",
        flags = "1: `pdptrs` is valid",
        pdptrs = "The four page-directory pointers of PAE paging"
    }

    #[doc = "One CPUID leaf or sub-leaf"]
    CPUID_ENTRY2: kvm_cpuid_entry2 as "kvm_cpuid_entry2" {
        function = "Leaf: `eax` of the request",
        index = "Sub-leaf: `ecx` of the request, if flag 1 is set",
        flags = "1: `index` matters",
        eax, ebx, ecx, edx;
        padding
    }

    #[doc = "One model-specific register"]
    MSR_ENTRY: kvm_msr_entry as "kvm_msr_entry" {
        index = "Number of the MSR",
        data = "Its value";
        reserved
    }

    #[doc = "Multiprocessing state of a vCPU"]
    MP_STATE: kvm_mp_state as "kvm_mp_state" {
        mp_state = "One of `MP_STATE`"
    }

    #[doc = "Debug registers for `kvm_guest_debug`"]
    GUEST_DEBUG_ARCH: kvm_guest_debug_arch as "kvm_guest_debug_arch" {
        debugreg = "DR0 to DR7"
    }

    #[doc = "Single step and breakpoints of a vCPU"]
    GUEST_DEBUG: kvm_guest_debug as "kvm_guest_debug" {
        control = "Bits of `GUEST_DEBUG`",
        arch = "The debug registers to use";
        pad
    }

    #[doc = "One channel of the 8254 timer"]
    PIT_CHANNEL_STATE: kvm_pit_channel_state as "kvm_pit_channel_state" {
        count = "Reload value; 65536 for a programmed 0",
        latched_count, count_latched, status_latched, status, read_state, write_state, write_latch,
        rw_mode, mode, bcd, gate,
        count_load_time = "Host time of the last reload, nanoseconds"
    }

    #[doc = "The timer in the kernel"]
    PIT_STATE2: kvm_pit_state2 as "kvm_pit_state2" {
        channels = "Channels 0 to 2",
        flags = "1: the HPET replaces it, 2: the speaker is on";
        reserved
    }

    #[doc = "The guest clock (kvmclock)"]
    CLOCK_DATA: kvm_clock_data as "kvm_clock_data" {
        clock = "Guest time, nanoseconds",
        flags = "2: stable with the TSC, 4: `realtime` is valid, 8: `hostTsc` is valid",
        realtime = "Host time since 1970, nanoseconds",
        host_tsc = "Host time-stamp counter";
        pad0, pad
    }

    #[doc = "x87 and SSE registers"]
    FPU: kvm_fpu as "kvm_fpu" {
        fpr = "ST0 to ST7, 10 bytes used of each",
        fcw = "Control word", fsw = "Status word", ftwx = "Abridged tag word",
        last_opcode, last_ip, last_dp,
        xmm = "XMM0 to XMM15",
        mxcsr = "SSE control and status, which KVM neither reads nor writes here: `xsave` has it";
        pad1, pad2
    }

    #[doc = "Debug registers of the guest itself"]
    DEBUGREGS: kvm_debugregs as "kvm_debugregs" {
        db = "DR0 to DR3", dr6, dr7, flags;
        reserved
    }

    #[doc = "A pending or injected exception"]
    EVENTS_EXCEPTION: kvm_vcpu_events__bindgen_ty_1 as "kvm_vcpu_events_exception" {
        injected, nr = "Vector", has_error_code, pending, error_code
    }

    #[doc = "An injected interrupt, and the interrupt shadow"]
    EVENTS_INTERRUPT: kvm_vcpu_events__bindgen_ty_2 as "kvm_vcpu_events_interrupt" {
        injected, nr = "Vector", soft = "1: by an `int` instruction", shadow = "1: after `mov ss`, 2: after `sti`"
    }

    #[doc = "The non-maskable interrupt"]
    EVENTS_NMI: kvm_vcpu_events__bindgen_ty_3 as "kvm_vcpu_events_nmi" {
        injected, pending, masked;
        pad
    }

    #[doc = "System management mode"]
    EVENTS_SMI: kvm_vcpu_events__bindgen_ty_4 as "kvm_vcpu_events_smi" {
        smm = "1: in system management mode", pending, smm_inside_nmi, latched_init
    }

    #[doc = "A pending triple fault"]
    EVENTS_TRIPLE_FAULT: kvm_vcpu_events__bindgen_ty_5 as "kvm_vcpu_events_triple_fault" {
        pending
    }

    #[doc = "Exceptions, interrupts and other events that wait or are being delivered"]
    VCPU_EVENTS: kvm_vcpu_events as "kvm_vcpu_events" {
        exception, interrupt, nmi,
        sipi_vector = "Start-up vector",
        flags = "Bits that say which of the fields are valid (`KVM_VCPUEVENT_VALID_…`)",
        smi, triple_fault, exception_has_payload,
        exception_payload = "CR2 or DR6 that comes with the exception";
        reserved
    }

    #[doc = "Exceptions that wait on aarch64"]
    ARM_VCPU_EVENTS: ArmVcpuEvents as "arm_vcpu_events" {
        serror_pending = "1: a system error waits",
        serror_has_esr = "1: `serrorEsr` is valid",
        ext_dabt_pending = "1: an external data abort waits",
        serror_esr = "The syndrome that comes with the system error";
        pad, reserved
    }

    #[doc = "One extended control register"]
    XCR: kvm_xcr as "kvm_xcr" {
        xcr = "Number of the register", value = "Its value";
        reserved
    }

    #[doc = "Extended control registers"]
    XCRS: kvm_xcrs as "kvm_xcrs" {
        nr_xcrs = "How many of `xcrs` are valid", flags, xcrs;
        padding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn width(kind: FieldType) -> usize {
        match kind {
            FieldType::Integer("u8") => 1,
            FieldType::Integer("u16") => 2,
            FieldType::Integer("u32") => 4,
            FieldType::Integer(_) => 8,
            FieldType::Bytes(size) => size,
            FieldType::Struct(layout) => layout.size,
        }
    }

    #[test]
    fn fields_follow_each_other_inside_their_structure() {
        for layout in STRUCTS {
            let mut end = 0;
            for field in layout.fields {
                assert!(field.offset >= end, "{}.{}", layout.name, field.name);
                end = field.offset + width(field.kind) * field.length.unwrap_or(1);
            }
            assert!(end <= layout.size, "{}", layout.name);
        }
    }

    #[test]
    fn registers_are_eight_bytes_apart() {
        for (index, field) in REGS.fields.iter().enumerate() {
            assert_eq!(field.offset, index * 8);
        }
    }
}
