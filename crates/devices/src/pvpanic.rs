//! pvpanic: a port by which a guest says that its kernel panicked.
//!
//! Events are those of Linux's `include/uapi/misc/pvpanic.h` and QEMU's `docs/specs/pvpanic.rst`.

use crate::bus::{BusDevice, MachineRequest, Request, read_nothing};
use crate::state::{DeviceState, RestoreError, StateReader, StateWriter};

const NAME: &str = "pvpanic";
const VERSION: u32 = 1;

/// `PVPANIC_PANICKED`: the guest panicked, and the host shall act.
const PANICKED: u8 = 1 << 0;
/// `PVPANIC_CRASH_LOADED`: the guest panicked and goes on in its crash kernel. The host leaves it alone.
const CRASH_LOADED: u8 = 1 << 1;
/// `PVPANIC_SHUTDOWN` is not among them: a guest that powers off uses the registers for that.
const SUPPORTED: u8 = PANICKED | CRASH_LOADED;

/// The device: one byte at offset 0, by custom port 0x505. A guest finds it by its ACPI id,
/// [`HID`](Self::HID), and reads which events the device knows before it writes one. An event that it does not know is
/// ignored.
///
/// Saved data, 1 byte: whether a crash kernel has taken over (0 or 1).
pub struct PvPanic {
    request: Box<dyn Request>,
    crash_loaded: bool,
}

impl PvPanic {
    /// The port that QEMU gives it.
    pub const PORT: u16 = 0x505;
    /// The `_HID` that Linux's driver looks for.
    pub const HID: &'static str = "QEMU0001";

    /// A device that tells `request` of a panic.
    pub fn new(request: Box<dyn Request>) -> Self {
        Self { request, crash_loaded: false }
    }

    /// Whether the guest has said that it panicked and that its crash kernel goes on.
    pub fn crash_loaded(&self) -> bool {
        self.crash_loaded
    }
}

impl BusDevice for PvPanic {
    fn name(&self) -> &'static str {
        NAME
    }

    fn read(&mut self, offset: u64, data: &mut [u8]) {
        match (offset, data) {
            (0, [byte]) => *byte = SUPPORTED,
            (_, data) => read_nothing(data),
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        let (0, &[events]) = (offset, data) else { return };
        if events & PANICKED != 0 {
            self.request.request(MachineRequest::Panic);
        } else if events & CRASH_LOADED != 0 {
            self.crash_loaded = true;
        }
    }

    fn save(&self) -> DeviceState {
        StateWriter::new().u8(u8::from(self.crash_loaded)).finish(NAME, VERSION)
    }

    fn restore(&mut self, state: &DeviceState) -> Result<(), RestoreError> {
        let mut fields = StateReader::open(state, NAME, VERSION)?;
        let crash_loaded = match fields.u8()? {
            0 => false,
            1 => true,
            _ => return Err(fields.content("crash loaded")),
        };
        fields.finish()?;
        self.crash_loaded = crash_loaded;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Recorder, hostile_accesses, inb, outb, refuses_foreign_states};

    fn device() -> (PvPanic, Recorder) {
        let out = Recorder::default();
        (PvPanic::new(Box::new(out.clone())), out)
    }

    #[test]
    fn a_panic_as_linux_sends_it() {
        // drivers/misc/pvpanic: reads the capability, and sends the event if the device knows it.
        let (mut device, out) = device();
        let event = 1;
        assert_ne!(inb(&mut device, 0) & event, 0);
        outb(&mut device, 0, event);
        assert_eq!(out.take_requests(), [MachineRequest::Panic]);
        assert!(!device.crash_loaded());
    }

    #[test]
    fn a_crash_kernel_is_noted_only() {
        let (mut device, out) = device();
        assert_ne!(inb(&mut device, 0) & 2, 0);
        outb(&mut device, 0, 2);
        assert_eq!(out.take_requests(), []);
        assert!(device.crash_loaded());
        let (mut other, _) = self::device();
        other.restore(&device.save()).unwrap();
        assert!(other.crash_loaded());
    }

    #[test]
    fn unknown_events_sizes_and_offsets_are_dropped() {
        let (mut device, out) = device();
        outb(&mut device, 0, 0);
        outb(&mut device, 0, 0xfc);
        outb(&mut device, 1, 1);
        device.write(0, &[1, 0]);
        device.write(0, &[]);
        assert_eq!(out.take_requests(), []);
        assert!(!device.crash_loaded());
        assert_eq!(inb(&mut device, 0), 3);
    }

    #[test]
    fn survives_a_hostile_guest_and_foreign_states() {
        let (mut device, _) = device();
        hostile_accesses(&mut device, 1);
        refuses_foreign_states(&mut device);
        let mut state = device.save();
        state.data[0] = 2;
        assert_eq!(device.restore(&state), Err(RestoreError::Content { kind: NAME, field: "crash loaded" }));
    }
}
