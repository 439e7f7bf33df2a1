//! Good images of every kind, changed as the input says.
#![no_main]
#![allow(dead_code, unused_imports)]

#[path = "../../tests/boot/fuzz.rs"]
mod fuzz;
#[path = "../../tests/boot/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::headers(input));
