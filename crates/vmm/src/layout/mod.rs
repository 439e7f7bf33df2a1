//! The layout of the kernel's structures and of our own pages as data. `examples/generate.rs` writes it as TypeScript,
//! so that both languages read the same bytes at the same place. The tables describe x86_64, but for the
//! capabilities, whose numbers are those of every architecture.

mod arm_structs;
mod capabilities;
#[cfg(target_arch = "x86_64")]
mod control_page;
#[cfg(target_arch = "x86_64")]
mod exit_reasons;
#[cfg(target_arch = "x86_64")]
mod flags;
#[cfg(target_arch = "x86_64")]
mod run_page;
#[cfg(target_arch = "x86_64")]
mod structs;

pub use arm_structs::{ArmDebugExit, ArmVcpuEvents};
pub use capabilities::{Architecture, Capability, NAMED_BY_CRATE, OTHERS, capabilities};
#[cfg(target_arch = "x86_64")]
pub use control_page::{CONTROL_PAGE, POSTED_PAGE, STATUS_FLAGS, STATUSES};
#[cfg(target_arch = "x86_64")]
pub use exit_reasons::EXIT_REASONS;
#[cfg(target_arch = "x86_64")]
pub use flags::{FlagSet, IOCTL_FLAGS, RUN_FLAGS};
#[cfg(target_arch = "x86_64")]
pub use run_page::RUN_PAGE;
#[cfg(target_arch = "x86_64")]
pub use structs::{Field, FieldType, STRUCTS, StructLayout};

/// Where `kvm_run.mmio.data` is, on every architecture.
pub const MMIO_DATA_OFFSET: usize = std::mem::offset_of!(kvm_bindings::kvm_run, __bindgen_anon_1.mmio.data);

/// A number that belongs to a page, mostly an offset in bytes, or numbers grouped under a name.
pub enum Node {
    /// Name in TypeScript, and the number.
    Offset(&'static str, usize),
    /// Name in TypeScript, and what it holds.
    Group(&'static str, &'static [Node]),
}
