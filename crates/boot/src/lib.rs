//! Loaders: puts a kernel, and all that it wants to find, into a machine's memory: no KVM, no Node-API, no threads, no
//! files. Bytes in, guest memory out.
//!
//! One module for each architecture, with a `load` that takes a `Plan` and gives the state in which the first vCPU
//! starts. Both compile and run on any host. Images are not trusted: whatever is in them, loading ends with an error or
//! with a machine that can start, and takes no more memory than the machine's and the unpacked kernel's.
#![forbid(unsafe_code)]

pub mod aarch64;
mod error;
mod foreign;
mod payload;
mod place;
mod protocol;
mod ram;
pub mod x86_64;

pub use error::BootError;
pub use place::Placed;
pub use protocol::{Identity, Protocol};
