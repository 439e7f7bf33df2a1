//! Pure device models and the bus traits: no KVM, no Node-API, no threads.
//!
//! A device is a set of registers behind [`BusDevice`]. What it causes outside leaves through
//! [`Interrupt`], [`Output`] and [`Request`]; what it is can be saved and restored as a [`DeviceState`].
//! [`RangeMap`] says which device answers at an address.
#![forbid(unsafe_code)]

mod acpi_power;
mod boot_timer;
mod bus;
mod calendar;
mod cmos;
mod debug_console;
mod debug_exit;
mod i8042;
mod pl031;
mod pvpanic;
mod range_map;
mod serial;
mod state;
#[cfg(test)]
mod testing;

pub use acpi_power::AcpiPower;
pub use boot_timer::{BootTime, BootTimer};
pub use bus::{Alarm, BusDevice, Ignore, Interrupt, MachineRequest, Output, Request, read_nothing};
pub use cmos::{Cmos, MemorySize};
pub use debug_console::DebugConsole;
pub use debug_exit::DebugExit;
pub use i8042::I8042;
pub use pl031::Pl031;
pub use pvpanic::PvPanic;
pub use range_map::{Claim, InsertError, RangeMap};
pub use serial::Serial;
pub use state::{DeviceState, RestoreError};
