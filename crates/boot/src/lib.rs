//! Loaders: puts a kernel, and all that it wants to find, into a machine's memory: no KVM, no Node-API, no threads, no
//! files. Bytes in, guest memory out.
//!
//! [`identify`] says what an image is, [`load`] takes a [`Plan`] and gives the state in which the first vCPU starts.
//! Images are not trusted: whatever is in them, loading ends with an error or with a machine that can start, and
//! takes no more memory than the machine's and the unpacked kernel's.
#![forbid(unsafe_code)]

pub mod acpi;
mod bzimage;
mod elf;
mod error;
mod flat;
mod gdt;
mod identify;
pub mod layout;
mod linux64;
mod load;
mod machine;
mod memory_map;
pub mod mp_table;
mod multiboot;
mod page_tables;
mod payload;
mod place;
mod plan;
mod pvh;
mod zero_page;

pub use error::BootError;
pub use flat::{FIRMWARE_MAX, firmware_start};
pub use gdt::Gdt;
pub use identify::{Identity, identify};
pub use load::load;
pub use place::Placed;
pub use plan::{Entry, Flat, FlatMode, Loaded, Module, Plan, Protocol};
