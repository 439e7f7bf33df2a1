//! Structures of aarch64, written down here because the bindings have those of the architecture that they are built for
//! only, and the tables are written on x86_64. A build for aarch64 holds them against the bindings.

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `struct kvm_vcpu_events` of `arch/arm64/include/uapi/asm/kvm.h`, its one member flattened.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct ArmVcpuEvents {
    /// `exception.serror_pending`.
    pub serror_pending: u8,
    /// `exception.serror_has_esr`.
    pub serror_has_esr: u8,
    /// `exception.ext_dabt_pending`.
    pub ext_dabt_pending: u8,
    /// `exception.pad`.
    pub pad: [u8; 5],
    /// `exception.serror_esr`.
    pub serror_esr: u64,
    /// `reserved`.
    pub reserved: [u32; 12],
}

/// `struct kvm_debug_exit_arch` of the same header.
#[repr(C)]
pub struct ArmDebugExit {
    /// The exception syndrome, its lower half.
    pub hsr: u32,
    /// Its upper half.
    pub hsr_high: u32,
    /// The address of a watchpoint.
    pub far: u64,
}

#[cfg(target_arch = "aarch64")]
const _: () = {
    use kvm_bindings::{kvm_debug_exit_arch, kvm_vcpu_events, kvm_vcpu_events__bindgen_ty_1};
    use std::mem::offset_of;
    assert!(size_of::<ArmVcpuEvents>() == size_of::<kvm_vcpu_events>());
    assert!(offset_of!(kvm_vcpu_events, exception) == 0);
    assert!(
        offset_of!(ArmVcpuEvents, ext_dabt_pending)
            == offset_of!(kvm_vcpu_events__bindgen_ty_1, ext_dabt_pending)
    );
    assert!(offset_of!(ArmVcpuEvents, serror_esr) == offset_of!(kvm_vcpu_events__bindgen_ty_1, serror_esr));
    assert!(size_of::<ArmDebugExit>() == size_of::<kvm_debug_exit_arch>());
    assert!(offset_of!(ArmDebugExit, hsr_high) == offset_of!(kvm_debug_exit_arch, hsr_high));
    assert!(offset_of!(ArmDebugExit, far) == offset_of!(kvm_debug_exit_arch, far));
};

#[cfg(target_arch = "aarch64")]
impl From<kvm_bindings::kvm_vcpu_events> for ArmVcpuEvents {
    fn from(events: kvm_bindings::kvm_vcpu_events) -> Self {
        let exception = events.exception;
        Self {
            serror_pending: exception.serror_pending,
            serror_has_esr: exception.serror_has_esr,
            ext_dabt_pending: exception.ext_dabt_pending,
            pad: exception.pad,
            serror_esr: exception.serror_esr,
            reserved: events.reserved,
        }
    }
}

#[cfg(target_arch = "aarch64")]
impl From<ArmVcpuEvents> for kvm_bindings::kvm_vcpu_events {
    fn from(events: ArmVcpuEvents) -> Self {
        Self {
            exception: kvm_bindings::kvm_vcpu_events__bindgen_ty_1 {
                serror_pending: events.serror_pending,
                serror_has_esr: events.serror_has_esr,
                ext_dabt_pending: events.ext_dabt_pending,
                pad: events.pad,
                serror_esr: events.serror_esr,
            },
            reserved: events.reserved,
        }
    }
}
