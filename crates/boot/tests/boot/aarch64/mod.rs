//! arm64: images, device trees, and what is wrong with plans.

mod bad_images;
mod bad_plans;
mod fdt;
pub mod fuzz;
mod image;
mod packed;
mod real_kernels;
mod support;
mod tree;
