//! PCs: bzImages, ELF, PVH, Multiboot, flat images and firmware, with ACPI and MP tables.
//!
//! [`identify`] says what an image is, [`load`] takes a [`Plan`] and gives the state in which the first vCPU starts.

pub mod acpi;
mod bootparam;
mod bzimage;
mod elf;
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
mod plan;
mod pvh;
mod start_info;
mod zero_page;

pub use flat::{FIRMWARE_MAX, firmware_start};
pub use gdt::Gdt;
pub use identify::identify;
pub use load::load;
pub use plan::{Entry, Flat, FlatMode, Loaded, Module, Plan};
