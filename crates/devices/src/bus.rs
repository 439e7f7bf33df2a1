//! What a device on a guest's bus must do, and the three ways out of it.
//!
//! A device knows only its registers. Interrupts, output bytes and requests to the machine leave
//! through small traits, so that a device is tested without a virtual machine and the crate that owns
//! KVM decides what stands behind each.

use std::time::Duration;

use crate::state::{DeviceState, RestoreError};

/// A device that answers port or memory accesses.
///
/// Offsets are relative to the start of the range that the device was attached to. The guest chooses
/// offset and size freely: every pair must be served without a panic. What the hardware does not know
/// reads as all ones, and writes to it are dropped.
pub trait BusDevice: Send {
    /// The stable name of this kind of device. It is also the `kind` of the states that [`save`] gives.
    ///
    /// [`save`]: BusDevice::save
    fn name(&self) -> &'static str;

    /// Answers a read of `data.len()` bytes at `offset`: fills all of `data`, little-endian.
    fn read(&mut self, offset: u64, data: &mut [u8]);

    /// Takes a write of `data`, little-endian, at `offset`.
    fn write(&mut self, offset: u64, data: &[u8]);

    /// The device's state as plain bytes, to be given to [`restore`](BusDevice::restore) later, also of
    /// another device object, also in another process.
    fn save(&self) -> DeviceState;

    /// Takes over a saved state.
    ///
    /// # Errors
    ///
    /// A [`RestoreError`] if the state is of another kind or version, or its bytes are not what this
    /// device can have saved. The device is then as it was before.
    fn restore(&mut self, state: &DeviceState) -> Result<(), RestoreError>;
}

/// The interrupt line of a device.
pub trait Interrupt: Send {
    /// Signals one edge. It must not block, and it has no way to fail that a device could act on.
    fn raise(&self);
}

/// The interrupt line of a device, to be signalled later: a device has no time of its own.
pub trait Alarm: Send {
    /// Signals one edge after that time, instead of the one that was asked for before; `None`: none. It must not block.
    fn set(&self, after: Option<Duration>);
}

/// Where the bytes go that a guest prints.
pub trait Output: Send {
    /// Takes bytes in the order in which the guest wrote them. It must not block.
    fn write(&self, bytes: &[u8]);
}

/// The way in which a device asks for something that concerns the whole machine.
pub trait Request: Send {
    /// Takes one request. It must not block, and the device goes on as if nothing had happened: the
    /// receiver ends the run after the access is complete.
    fn request(&self, request: MachineRequest);
}

/// What a device can ask of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MachineRequest {
    /// The guest asked for a reset of the CPU.
    Reset,
    /// The guest asked to end, with this exit code.
    Exit(u32),
    /// The guest asked to be switched off.
    PowerOff,
    /// The guest's kernel says that it panicked.
    Panic,
}

/// Nobody listens: for a device without an interrupt, an output or a machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ignore;

impl Interrupt for Ignore {
    fn raise(&self) {}
}

impl Alarm for Ignore {
    fn set(&self, _after: Option<Duration>) {}
}

impl Output for Ignore {
    fn write(&self, _bytes: &[u8]) {}
}

impl Request for Ignore {
    fn request(&self, _request: MachineRequest) {}
}

/// Answers a read that nothing decodes: the data lines float high.
pub fn read_nothing(data: &mut [u8]) {
    data.fill(0xff);
}
