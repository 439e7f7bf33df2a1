//! All tests of the loaders from outside, in one program.

mod aarch64;
mod bad_images;
mod bad_plans;
mod elf64;
mod flat;
mod fuzz;
mod linux64;
mod lying_headers;
mod memory_map;
mod multiboot;
mod payload;
mod pvh;
mod real_kernels;
mod support;
mod tables;
