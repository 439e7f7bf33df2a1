//! A debug console: a port whose every written byte is output, as at 0xe9 (Bochs) or 0x402 (SeaBIOS).

use crate::bus::{BusDevice, Output, read_nothing};
use crate::state::{DeviceState, RestoreError, StateReader, StateWriter};

const NAME: &str = "debug-console";
const VERSION: u32 = 1;

/// The device: one byte-wide register at offset 0.
///
/// A guest finds out that it is there by reading the readback byte: 0xe9 by custom. The readback byte is
/// configuration, so there is no state: saved data is empty.
pub struct DebugConsole {
    readback: u8,
    output: Box<dyn Output>,
}

impl DebugConsole {
    /// The byte by which guests recognise the console.
    pub const READBACK: u8 = 0xe9;

    /// A console that prints to `output` and reads as `readback`.
    pub fn new(output: Box<dyn Output>, readback: u8) -> Self {
        Self { readback, output }
    }
}

impl BusDevice for DebugConsole {
    fn name(&self) -> &'static str {
        NAME
    }

    fn read(&mut self, offset: u64, data: &mut [u8]) {
        match (offset, data) {
            (0, [byte]) => *byte = self.readback,
            (_, data) => read_nothing(data),
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        if offset == 0 && data.len() == 1 {
            self.output.write(data);
        }
    }

    fn save(&self) -> DeviceState {
        StateWriter::new().finish(NAME, VERSION)
    }

    fn restore(&mut self, state: &DeviceState) -> Result<(), RestoreError> {
        StateReader::open(state, NAME, VERSION)?.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Recorder, hostile_accesses, inb, outb, refuses_foreign_states};

    #[test]
    fn prints_bytes_and_can_be_recognised() {
        let out = Recorder::default();
        let mut device = DebugConsole::new(Box::new(out.clone()), DebugConsole::READBACK);
        assert_eq!(inb(&mut device, 0), 0xe9);
        outb(&mut device, 0, b'h');
        outb(&mut device, 0, b'i');
        device.write(0, b"no");
        outb(&mut device, 1, b'!');
        assert_eq!(out.take_bytes(), b"hi");
    }

    #[test]
    fn survives_a_hostile_guest_and_foreign_states() {
        let mut device = DebugConsole::new(Box::new(Recorder::default()), 0x55);
        hostile_accesses(&mut device, 1);
        refuses_foreign_states(&mut device);
    }
}
