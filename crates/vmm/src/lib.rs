//! KVM objects, the vCPU run loop, guest memory, interrupts and the kick: no Node-API.
//!
//! Everything here runs and is tested without Node. `crates/node` converts arguments and holds lifetimes;
//! the decisions are made here.

mod alarm;
mod attribute;
mod background;
pub mod boot;
mod control;
mod descriptor;
mod device;
mod error;
mod error_code;
mod event_fd;
mod host;
mod isolate;
mod kick;
mod kvm;
pub mod layout;
#[cfg(target_arch = "x86_64")]
pub mod measure;
mod memory;
mod posted;
mod raw_ioctl;
mod registry;
mod routes;
mod state;
mod stats;
mod thread_clock;
mod vcpu;
mod vm;
#[cfg(target_arch = "x86_64")]
mod wire;

pub use background::{BackgroundRun, Resume};
pub use control::{Control, Counters, PostedWrite, Status, flag, nanoseconds_per_cycle};
pub use device::{DeviceOutput, NativeDevice};
pub use error::Error;
pub use error_code::ErrorCode;
pub use event_fd::EventFd;
pub use isolate::{Access, IsolatePort};
pub use kvm::KvmCore;
pub use memory::{Backing, GuestMemory, RegionConfig, ViewGuard, page_size};
pub use registry::Registry;
pub use routes::{Bus, Claim, PostedRange, ScriptDevice, Target};
pub use stats::{Statistic, Stats, StatsBuffer};
pub use vcpu::{Exchange, Exposure, RunPages, VcpuCore, VcpuState};
#[cfg(target_arch = "x86_64")]
pub use vm::{EncryptPointer, MsrRange};
pub use vm::{GuestMemfd, IoEvent, KvmDevice, PrivatePart, ROUTE_NUMBERS, VmCore, VmState};
pub use vmhatch_devices::{DeviceState, Ignore, Interrupt};
#[cfg(target_arch = "x86_64")]
pub use wire::{IRQCHIP_SIZE, copy_msrs, flatten_cpuid, parse_cpuid, parse_msrs};

/// Kicks every vCPU of the process for good: the process is about to exit.
pub fn shut_down() {
    kick::shut_down();
    Registry::global().kick_all();
}
