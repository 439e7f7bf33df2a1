//! arm64: Linux `Image`s and flat programs, with a device tree.
//!
//! [`identify`] says what an image is, [`load`] takes a [`Plan`] and gives the state in which the first vCPU starts.

pub mod fdt;
mod image;
pub mod layout;
mod load;
mod plan;
mod zboot;

pub use fdt::FdtConfig;
pub use image::identify;
pub use load::load;
pub use plan::{Entry, Flat, Loaded, Plan};

/// What of `MPIDR_EL1` names a CPU: `MPIDR_HWID_BITMASK` of Linux's arch/arm64/include/asm/cputype.h.
pub const MPIDR_AFFINITY: u64 = 0xff_00ff_ffff;

/// The affinity that KVM gives to the vCPU with that id, if nobody changes it: `reset_mpidr()` in Linux's
/// arch/arm64/kvm/sys_regs.c. 16 vCPUs share all but the lowest field, as many as a GICv3 reaches with one message.
pub const fn mpidr(vcpu_id: u32) -> u64 {
    let id = vcpu_id as u64;
    (id & 0xf) | (id >> 4 & 0xff) << 8 | (id >> 12 & 0xff) << 16
}
