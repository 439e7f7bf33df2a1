//! The PL031 real-time clock: ARM's PrimeCell Real Time Clock (DDI 0224), as Linux's `drivers/rtc/rtc-pl031.c` uses it.

use std::time::Duration;

use crate::bus::{Alarm, BusDevice, Interrupt, read_nothing};
use crate::state::{DeviceState, RestoreError, StateReader, StateWriter};

const NAME: &str = "pl031";
const VERSION: u32 = 1;

/// The counter, in seconds.
const DR: u64 = 0x00;
/// Match: the second of the alarm.
const MR: u64 = 0x04;
/// Load: what the counter is set to.
const LR: u64 = 0x08;
/// Control: bit 0 says that the counter runs. Once it does, it does until a reset: so here always.
const CR: u64 = 0x0c;
/// Interrupt mask: bit 0 lets the alarm through.
const IMSC: u64 = 0x10;
/// Raw interrupt status: bit 0 says that counter and match were equal.
const RIS: u64 = 0x14;
/// Masked interrupt status: both.
const MIS: u64 = 0x18;
/// Interrupt clear: bit 0 takes the raw status back.
const ICR: u64 = 0x1c;
/// `RTCPeriphID0` to `3` and `RTCPCellID0` to `3`, one byte in each word: by these the bus finds the driver.
const ID: u64 = 0xfe0;
const IDS: [u8; 8] = [0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1];

const RUNNING: u32 = 1 << 0;
const ALARM: u32 = 1 << 0;

/// The clock, for a page of addresses. Accesses of 4 bytes only, at multiples of 4.
///
/// The counter shows the host's seconds since 1970, modulo 2^32, plus an offset that changes when the guest loads the
/// counter. A counter that comes to the match register sets the raw status; with the mask set that is an interrupt: an edge,
/// from the alarm at that time, and from the device itself where a register's write does it.
///
/// Saved data, 21 bytes: offset, match and load (`u32`), the host's seconds when the counter was last looked at (`u64`), mask
/// and raw status (bits 0 and 1 of a byte).
pub struct Pl031 {
    clock: Box<dyn Fn() -> u64 + Send>,
    interrupt: Box<dyn Interrupt>,
    alarm: Box<dyn Alarm>,
    registers: Registers,
}

/// All that a guest can change, and when it was last brought up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Registers {
    /// The counter minus the host's seconds.
    offset: u32,
    /// MR
    at: u32,
    /// LR
    loaded: u32,
    /// The host's seconds up to which the counter was compared.
    seen: u64,
    /// IMSC
    is_enabled: bool,
    /// RIS
    is_raised: bool,
}

impl Registers {
    fn counter(&self) -> u32 {
        (self.seen as u32).wrapping_add(self.offset)
    }

    /// Lets the counter run up to now. A host whose clock was set back lets it jump back: nothing was passed then.
    fn run(&mut self, now: u64) {
        let passed = now.saturating_sub(self.seen);
        let distance = self.at.wrapping_sub(self.counter());
        if distance > 0 && u64::from(distance) <= passed {
            self.is_raised = true;
        }
        self.seen = now;
    }

    fn is_pending(&self) -> bool {
        self.is_enabled && self.is_raised
    }

    /// In how many seconds the interrupt comes.
    fn alarm(&self) -> Option<Duration> {
        let distance = self.at.wrapping_sub(self.counter());
        (self.is_enabled && !self.is_raised && distance > 0).then(|| Duration::from_secs(distance.into()))
    }
}

impl Pl031 {
    /// A clock over `clock`, which gives unix seconds. `alarm` signals the same line as `interrupt`.
    pub fn new(
        clock: Box<dyn Fn() -> u64 + Send>,
        interrupt: Box<dyn Interrupt>,
        alarm: Box<dyn Alarm>,
    ) -> Self {
        let seen = clock();
        let registers = Registers { offset: 0, at: 0, loaded: 0, seen, is_enabled: false, is_raised: false };
        Self { clock, interrupt, alarm, registers }
    }

    fn run(&mut self) {
        self.registers.run((self.clock)());
    }

    fn register(&mut self, offset: u64) -> Option<u32> {
        self.run();
        let registers = &self.registers;
        Some(match offset {
            DR => registers.counter(),
            MR => registers.at,
            LR => registers.loaded,
            CR => RUNNING,
            IMSC => registers.is_enabled.into(),
            RIS => registers.is_raised.into(),
            MIS => registers.is_pending().into(),
            // Of a register that is only written nothing comes back.
            ICR => 0,
            ID..0x1000 if offset.is_multiple_of(4) => IDS[((offset - ID) / 4) as usize].into(),
            _ => return None,
        })
    }

    fn set_register(&mut self, offset: u64, value: u32) {
        self.run();
        let was_pending = self.registers.is_pending();
        let registers = &mut self.registers;
        match offset {
            MR => registers.at = value,
            LR => {
                registers.loaded = value;
                registers.offset = value.wrapping_sub(registers.seen as u32);
            }
            IMSC => registers.is_enabled = value & ALARM != 0,
            ICR if value & ALARM != 0 => registers.is_raised = false,
            _ => return,
        }
        // Set to each other they are equal at once.
        if matches!(offset, MR | LR) && registers.at == registers.counter() {
            registers.is_raised = true;
        }
        let is_pending = registers.is_pending();
        if is_pending && was_pending {
            // Its edge may be on the way: the counter may have come there just now.
            return;
        }
        if is_pending {
            self.interrupt.raise();
        }
        self.alarm.set(self.registers.alarm());
    }
}

impl BusDevice for Pl031 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn read(&mut self, offset: u64, data: &mut [u8]) {
        let value = if data.len() == 4 { self.register(offset) } else { None };
        match value {
            Some(value) => data.copy_from_slice(&value.to_le_bytes()),
            None => read_nothing(data),
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        if let Ok(value) = data.try_into() {
            self.set_register(offset, u32::from_le_bytes(value));
        }
    }

    fn save(&self) -> DeviceState {
        let Registers { offset, at, loaded, seen, is_enabled, is_raised } = self.registers;
        StateWriter::new()
            .array(&offset.to_le_bytes())
            .array(&at.to_le_bytes())
            .array(&loaded.to_le_bytes())
            .u64(seen)
            .u8(u8::from(is_enabled) | u8::from(is_raised) << 1)
            .finish(NAME, VERSION)
    }

    fn restore(&mut self, state: &DeviceState) -> Result<(), RestoreError> {
        let mut fields = StateReader::open(state, NAME, VERSION)?;
        let [offset, at, loaded] =
            [fields.array()?, fields.array()?, fields.array()?].map(u32::from_le_bytes);
        let seen = fields.u64()?;
        let flags = fields.u8()?;
        if flags > 3 {
            return Err(fields.content("interrupt"));
        }
        fields.finish()?;
        let (is_enabled, is_raised) = (flags & 1 != 0, flags & 2 != 0);
        self.registers = Registers { offset, at, loaded, seen, is_enabled, is_raised };
        // The clock ran on meanwhile.
        self.run();
        // A pending interrupt was an edge that the new machine has not seen.
        if self.registers.is_pending() {
            self.interrupt.raise();
        }
        self.alarm.set(self.registers.alarm());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
