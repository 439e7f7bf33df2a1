//! The registers by which an ACPI guest without fixed hardware powers its machine off or resets it.
//!
//! Sleep control and sleep status registers: ACPI 6.5, section 4.8.3.7. The reset register: section
//! 4.8.3.6. The order of the three, and the values below, are those of QEMU's
//! `include/hw/acpi/generic_event_device.h`, so that its guests find what they know.

use crate::bus::{BusDevice, MachineRequest, Request, read_nothing};
use crate::state::{DeviceState, RestoreError, StateReader, StateWriter};

const NAME: &str = "acpi-power";
const VERSION: u32 = 1;

/// `SLP_EN`: go to sleep now.
const SLEEP_ENABLE: u8 = 1 << 5;
/// `SLP_TYPx`, bits 2 to 4.
const SLEEP_TYPE_SHIFT: u32 = 2;
const SLEEP_TYPE_MASK: u8 = 0b111;

/// The device, for 3 ports: sleep control, sleep status, reset. Byte accesses only.
///
/// A guest writes [`POWER_OFF`](Self::POWER_OFF) to the first for a power-off, after it has cleared
/// `WAK_STS` (bit 7, cleared by writing 1) in the second, and [`RESET`](Self::RESET) to the third for a
/// reset. The machine never wakes up, so `WAK_STS` is always clear. All three read as 0. It has no state:
/// saved data is empty.
pub struct AcpiPower {
    request: Box<dyn Request>,
}

impl AcpiPower {
    /// Offset of the sleep control register.
    pub const SLEEP_CONTROL: u16 = 0;
    /// Offset of the sleep status register.
    pub const SLEEP_STATUS: u16 = 1;
    /// Offset of the reset register.
    pub const RESET_REGISTER: u16 = 2;
    /// How many ports the device answers.
    pub const PORTS: u16 = 3;

    /// `SLP_TYP` of the soft-off state S5: what the package `\_S5` of the guest's tables must say.
    pub const SLEEP_TYPE_S5: u8 = 5;
    /// The write to the sleep control register that powers off.
    pub const POWER_OFF: u8 = Self::SLEEP_TYPE_S5 << SLEEP_TYPE_SHIFT | SLEEP_ENABLE;
    /// The write to the reset register that resets: `RESET_VALUE` of the guest's FADT.
    pub const RESET: u8 = 0x42;

    /// A device that asks `request` for a power-off or a reset.
    pub fn new(request: Box<dyn Request>) -> Self {
        Self { request }
    }
}

impl BusDevice for AcpiPower {
    fn name(&self) -> &'static str {
        NAME
    }

    fn read(&mut self, offset: u64, data: &mut [u8]) {
        match (offset, data) {
            (..3, [byte]) => *byte = 0,
            (_, data) => read_nothing(data),
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        let &[value] = data else { return };
        if offset == u64::from(Self::SLEEP_CONTROL) {
            // Bits 0, 1, 6 and 7 are reserved or to be ignored: they do not turn the request into another.
            let sleep_type = value >> SLEEP_TYPE_SHIFT & SLEEP_TYPE_MASK;
            if value & SLEEP_ENABLE != 0 && sleep_type == Self::SLEEP_TYPE_S5 {
                self.request.request(MachineRequest::PowerOff);
            }
        } else if offset == u64::from(Self::RESET_REGISTER) && value == Self::RESET {
            self.request.request(MachineRequest::Reset);
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

    fn device() -> (AcpiPower, Recorder) {
        let out = Recorder::default();
        (AcpiPower::new(Box::new(out.clone())), out)
    }

    #[test]
    fn powers_off_as_linux_asks_for_it() {
        // acpi_hw_extended_sleep(): clear WAK_STS, then the sleep type with SLP_EN.
        let (mut device, out) = device();
        outb(&mut device, 1, 0x80);
        assert_eq!(out.take_requests(), []);
        outb(&mut device, 0, 5 << 2 | 0x20);
        assert_eq!(out.take_requests(), [MachineRequest::PowerOff]);
        assert_eq!(AcpiPower::POWER_OFF, 0x34);
    }

    #[test]
    fn resets_by_the_reset_value_only() {
        let (mut device, out) = device();
        for value in 0..=0xff {
            outb(&mut device, 2, value);
        }
        assert_eq!(out.take_requests(), [MachineRequest::Reset]);
    }

    #[test]
    fn only_the_sleep_type_s5_with_enable_powers_off() {
        let (mut device, out) = device();
        let mut asking = Vec::new();
        for value in 0..=0xff {
            outb(&mut device, 0, value);
            if out.take_requests() == [MachineRequest::PowerOff] {
                asking.push(value);
            }
        }
        let reserved = [0x00, 0x01, 0x02, 0x03, 0x40, 0x41, 0x42, 0x43];
        let expected = [reserved, reserved.map(|bits| bits | 0x80)].concat();
        assert_eq!(asking, expected.iter().map(|bits| bits | 0x34).collect::<Vec<u8>>());
    }

    #[test]
    fn wide_accesses_and_the_status_register_do_nothing() {
        let (mut device, out) = device();
        device.write(0, &[AcpiPower::POWER_OFF, 0]);
        device.write(2, &[AcpiPower::RESET, 0, 0, 0]);
        device.write(0, &[]);
        for value in 0..=0xff {
            outb(&mut device, 1, value);
            assert_eq!(inb(&mut device, 1), 0);
        }
        assert_eq!(out.take_requests(), []);
        assert_eq!([0, 1, 2, 3].map(|offset| inb(&mut device, offset)), [0, 0, 0, 0xff]);
    }

    #[test]
    fn survives_a_hostile_guest_and_foreign_states() {
        let (mut device, _) = device();
        hostile_accesses(&mut device, u64::from(AcpiPower::PORTS));
        refuses_foreign_states(&mut device);
    }
}
