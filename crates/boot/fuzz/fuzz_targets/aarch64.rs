//! arm64: good images and configurations, changed as the input says.
#![no_main]
#![allow(dead_code, unused_imports)]

#[path = "../aarch64.rs"]
mod aarch64;
#[path = "../../tests/boot/fuzz.rs"]
mod fuzz;
#[path = "../../tests/boot/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|input: &[u8]| aarch64::fuzz::aarch64(input));
