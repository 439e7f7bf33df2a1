//! What of the tests for arm64 the fuzzer needs.

#[path = "../tests/boot/aarch64/fdt.rs"]
pub mod fdt;
#[path = "../tests/boot/aarch64/fuzz.rs"]
pub mod fuzz;
#[path = "../tests/boot/aarch64/support.rs"]
pub mod support;
