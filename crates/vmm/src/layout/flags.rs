//! The few numbers of `<linux/kvm.h>` that TypeScript compares or combines.

/// Numbers that belong together.
pub struct FlagSet {
    /// Name in TypeScript.
    pub name: &'static str,
    /// What they are, as a sentence without its full stop.
    pub doc: &'static str,
    /// Name in TypeScript, name in the kernel, number.
    pub values: &'static [(&'static str, &'static str, u32)],
}

macro_rules! flag_set {
    ($name:literal, $doc:literal, $($key:ident $kernel:ident,)*) => {
        FlagSet {
            name: $name,
            doc: $doc,
            values: &[$((stringify!($key), stringify!($kernel), kvm_bindings::$kernel)),*],
        }
    };
}

/// What the fields of the run page hold.
pub const RUN_FLAGS: &[FlagSet] = &[
    flag_set! {
        "SYNC_REGS", "Register sets of the run page, for `validRegs` and `dirtyRegs`",
        REGS KVM_SYNC_X86_REGS,
        SREGS KVM_SYNC_X86_SREGS,
        EVENTS KVM_SYNC_X86_EVENTS,
    },
    flag_set! {
        "IO_DIRECTION", "`io.direction` of the run page",
        IN KVM_EXIT_IO_IN,
        OUT KVM_EXIT_IO_OUT,
    },
    flag_set! {
        "INTERNAL_ERROR", "`internal.suberror` of the run page",
        EMULATION KVM_INTERNAL_ERROR_EMULATION,
        SIMUL_EX KVM_INTERNAL_ERROR_SIMUL_EX,
        DELIVERY_EV KVM_INTERNAL_ERROR_DELIVERY_EV,
        UNEXPECTED_EXIT_REASON KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON,
    },
    flag_set! {
        "EMULATION_FAILURE", "`emulationFailure.flags` of the run page",
        INSTRUCTION_BYTES KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES,
    },
    flag_set! {
        "HYPERV_EXIT", "`hyperv.type` of the run page",
        SYNIC KVM_EXIT_HYPERV_SYNIC,
        HCALL KVM_EXIT_HYPERV_HCALL,
        SYNDBG KVM_EXIT_HYPERV_SYNDBG,
    },
    flag_set! {
        "XEN_EXIT", "`xen.type` of the run page",
        HCALL KVM_EXIT_XEN_HCALL,
    },
];

/// What the structures of ioctls hold.
pub const IOCTL_FLAGS: &[FlagSet] = &[
    flag_set! {
        "GUEST_DEBUG", "`control` of `kvm_guest_debug`",
        ENABLE KVM_GUESTDBG_ENABLE,
        SINGLESTEP KVM_GUESTDBG_SINGLESTEP,
        USE_SW_BP KVM_GUESTDBG_USE_SW_BP,
        USE_HW_BP KVM_GUESTDBG_USE_HW_BP,
        INJECT_DB KVM_GUESTDBG_INJECT_DB,
        INJECT_BP KVM_GUESTDBG_INJECT_BP,
        BLOCKIRQ KVM_GUESTDBG_BLOCKIRQ,
    },
    flag_set! {
        "MP_STATE", "`mp_state` of `kvm_mp_state` on x86_64",
        RUNNABLE KVM_MP_STATE_RUNNABLE,
        UNINITIALIZED KVM_MP_STATE_UNINITIALIZED,
        INIT_RECEIVED KVM_MP_STATE_INIT_RECEIVED,
        HALTED KVM_MP_STATE_HALTED,
        SIPI_RECEIVED KVM_MP_STATE_SIPI_RECEIVED,
        AP_RESET_HOLD KVM_MP_STATE_AP_RESET_HOLD,
    },
    flag_set! {
        "VCPU_EVENT", "`flags` of `kvm_vcpu_events` on x86_64: which fields are valid",
        VALID_NMI_PENDING KVM_VCPUEVENT_VALID_NMI_PENDING,
        VALID_SIPI_VECTOR KVM_VCPUEVENT_VALID_SIPI_VECTOR,
        VALID_SHADOW KVM_VCPUEVENT_VALID_SHADOW,
        VALID_SMM KVM_VCPUEVENT_VALID_SMM,
        VALID_PAYLOAD KVM_VCPUEVENT_VALID_PAYLOAD,
        VALID_TRIPLE_FAULT KVM_VCPUEVENT_VALID_TRIPLE_FAULT,
    },
    flag_set! {
        "MSR_FILTER", "`flags` of a range of `kvm_msr_filter`",
        READ KVM_MSR_FILTER_READ,
        WRITE KVM_MSR_FILTER_WRITE,
        MAX_RANGES KVM_MSR_FILTER_MAX_RANGES,
        MAX_BITMAP_SIZE KVM_MSR_FILTER_MAX_BITMAP_SIZE,
    },
    flag_set! {
        "MSR_EXIT_REASON", "Why an access to an MSR came to user space",
        INVAL KVM_MSR_EXIT_REASON_INVAL,
        UNKNOWN KVM_MSR_EXIT_REASON_UNKNOWN,
        FILTER KVM_MSR_EXIT_REASON_FILTER,
    },
    flag_set! {
        "IRQ_ROUTING", "`type` of `kvm_irq_routing_entry`",
        IRQCHIP KVM_IRQ_ROUTING_IRQCHIP,
        MSI KVM_IRQ_ROUTING_MSI,
        HV_SINT KVM_IRQ_ROUTING_HV_SINT,
    },
    flag_set! {
        "MEMORY_ATTRIBUTE", "Attributes of guest memory",
        PRIVATE KVM_MEMORY_ATTRIBUTE_PRIVATE,
    },
    flag_set! {
        "DEVICE_TYPE", "Kinds of devices that KVM makes: the argument of `vm.createDevice()`",
        VFIO kvm_device_type_KVM_DEV_TYPE_VFIO,
        ARM_VGIC_V2 kvm_device_type_KVM_DEV_TYPE_ARM_VGIC_V2,
        ARM_VGIC_V3 kvm_device_type_KVM_DEV_TYPE_ARM_VGIC_V3,
        ARM_VGIC_ITS kvm_device_type_KVM_DEV_TYPE_ARM_VGIC_ITS,
        ARM_PV_TIME kvm_device_type_KVM_DEV_TYPE_ARM_PV_TIME,
    },
];
