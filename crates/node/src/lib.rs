//! The Node-API addon: argument conversion and lifetimes only. No policy and no ioctl of its own.
//!
//! Arguments arrive checked: `lib/internal` is the only caller. Structures cross as bytes in the kernel's
//! layout, into buffers that JavaScript made. Every export turns a panic into an error.
// napi-derive makes no exports in a test build, which clippy still looks at.
#![cfg_attr(test, allow(dead_code))]

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod boot;
mod device;
mod dirty_ring;
mod error;
mod event_fd;
mod hot;
mod isolate;
mod kvm;
mod kvm_device;
#[cfg(target_arch = "x86_64")]
mod measure;
#[cfg(target_arch = "x86_64")]
mod measure_state;
mod raw;
mod stats;
mod vcpu;
mod vcpu_extras;
mod vm;
#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
mod x86_state;
