//! QEMU's isa-debug-exit: a port that ends the machine with an exit code.

use crate::bus::{BusDevice, MachineRequest, Request, read_nothing};
use crate::state::{DeviceState, RestoreError, StateReader, StateWriter};

const NAME: &str = "isa-debug-exit";
const VERSION: u32 = 1;

/// The device: writing `v` asks for exit code `(v << 1) | 1`, which is odd and so never "success". Usually
/// at ports 0xf4 to 0xf7, or 0x501.
///
/// A write of 1, 2 or 4 bytes at offset 0 counts; the code keeps its low 32 bits. Reads of those sizes
/// give 0, as QEMU's device does. It has no state: saved data is empty.
pub struct DebugExit {
    request: Box<dyn Request>,
}

impl DebugExit {
    /// A device that asks `request` to exit.
    pub fn new(request: Box<dyn Request>) -> Self {
        Self { request }
    }
}

impl BusDevice for DebugExit {
    fn name(&self) -> &'static str {
        NAME
    }

    fn read(&mut self, offset: u64, data: &mut [u8]) {
        match (offset, data.len()) {
            (0, 1 | 2 | 4) => data.fill(0),
            _ => read_nothing(data),
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        let value = match (offset, data) {
            (0, &[a]) => u32::from(a),
            (0, &[a, b]) => u32::from(u16::from_le_bytes([a, b])),
            (0, &[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]),
            _ => return,
        };
        self.request.request(MachineRequest::Exit((value << 1) | 1));
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
    use crate::testing::{Recorder, hostile_accesses, refuses_foreign_states};

    #[test]
    fn a_written_value_becomes_an_odd_exit_code() {
        let out = Recorder::default();
        let mut device = DebugExit::new(Box::new(out.clone()));
        device.write(0, &[0]);
        device.write(0, &[0x10]);
        device.write(0, &[0x34, 0x12]);
        device.write(0, &[0xff, 0xff, 0xff, 0xff]);
        assert_eq!(out.take_requests(), [1, 0x21, 0x2469, 0xffff_ffff].map(MachineRequest::Exit));
    }

    #[test]
    fn other_sizes_and_offsets_are_dropped() {
        let out = Recorder::default();
        let mut device = DebugExit::new(Box::new(out.clone()));
        device.write(1, &[1]);
        device.write(0, &[]);
        device.write(0, &[1, 2, 3]);
        device.write(0, &[0; 8]);
        assert_eq!(out.take_requests(), []);
        let mut data = [7; 4];
        device.read(0, &mut data);
        assert_eq!(data, [0; 4]);
    }

    #[test]
    fn survives_a_hostile_guest_and_foreign_states() {
        let mut device = DebugExit::new(Box::new(Recorder::default()));
        hostile_accesses(&mut device, 1);
        refuses_foreign_states(&mut device);
    }
}
