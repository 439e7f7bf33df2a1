//! The MC146818 real-time clock and the 128 bytes of CMOS memory behind ports 0x70 and 0x71.
//!
//! Register numbers are those of Linux's `include/linux/mc146818rtc.h` and SeaBIOS's `src/hw/rtc.h`.

use crate::bus::{BusDevice, read_nothing};
use crate::calendar::{ClockRegisters, EXPRESSIBLE, HOURS_24};
use crate::state::{DeviceState, RestoreError, StateReader, StateWriter};

const NAME: &str = "cmos";
const VERSION: u32 = 1;

/// Port 0x70. Bit 7 masks NMIs on a PC and is no part of the index.
const INDEX_OFFSET: u64 = 0;
/// Port 0x71.
const DATA_OFFSET: u64 = 1;
const INDEX_MASK: u8 = 0x7f;
const REGISTERS: usize = 128;

const SECOND: usize = 0x00;
const MINUTE: usize = 0x02;
const HOUR: usize = 0x04;
const WEEKDAY: usize = 0x06;
const DAY: usize = 0x07;
const MONTH: usize = 0x08;
const YEAR: usize = 0x09;
const STATUS_A: usize = 0x0a;
const STATUS_B: usize = 0x0b;
const STATUS_C: usize = 0x0c;
const STATUS_D: usize = 0x0d;
const CENTURY: usize = 0x32;

/// A 32,768 Hz crystal and 1,024 interrupts a second, as the BIOS of a PC sets it.
const STATUS_A_DEFAULT: u8 = 0x26;
/// "An update is in progress": never seen here, the clock is always readable.
const STATUS_A_UPDATING: u8 = 1 << 7;
/// The clock stands still while the guest sets it.
const STATUS_B_SET: u8 = 1 << 7;
/// The battery is good: memory and time are valid.
const STATUS_D_VALID: u8 = 1 << 7;

/// KiB below 640 KiB, little-endian.
const BASE_MEMORY: usize = 0x15;
/// KiB above 1 MiB, at most 65,535; written twice, as the BIOS of an AT did.
const EXTENDED_MEMORY: [usize; 2] = [0x17, 0x30];
/// Units of 64 KiB above 16 MiB and below 4 GiB.
const MEMORY_ABOVE_16_MIB: usize = 0x34;
/// Units of 64 KiB above 4 GiB, three bytes.
const MEMORY_ABOVE_4_GIB: usize = 0x5b;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The guest's memory, as the memory size registers tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemorySize {
    /// Bytes from address 0 up to the hole below 4 GiB.
    pub below_4_gib: u64,
    /// Bytes from address 4 GiB up.
    pub above_4_gib: u64,
}

impl MemorySize {
    /// Splits `bytes` as a PC with a hole for devices from 3 GiB to 4 GiB does.
    pub const fn with_hole_at_3_gib(bytes: u64) -> Self {
        let below_4_gib = if bytes < 3 * GIB { bytes } else { 3 * GIB };
        Self { below_4_gib, above_4_gib: bytes - below_4_gib }
    }
}

/// The clock and its memory, for ports 0x70 and 0x71. Byte accesses only.
///
/// The clock shows the host's time plus an offset that changes when the guest sets the clock. It raises
/// no interrupts: alarm and periodic registers are memory. Which registers the guest may write, beyond the
/// clock: all of memory, the memory size registers and the shutdown byte 0x0f included, but not C and D.
///
/// Saved data, 137 bytes: index, offset of the clock in seconds (`i64`), the 128 registers. Those of the
/// clock say something only while bit 7 of register B is set.
pub struct Cmos {
    index: u8,
    memory: [u8; REGISTERS],
    clock: Box<dyn Fn() -> u64 + Send>,
    /// The guest's clock minus the host's, in seconds.
    offset: i64,
}

impl Cmos {
    /// A clock over `clock`, which gives unix seconds, and memory that tells the guest its `size`.
    pub fn new(size: MemorySize, clock: Box<dyn Fn() -> u64 + Send>) -> Self {
        let mut memory = [0; REGISTERS];
        memory[STATUS_A] = STATUS_A_DEFAULT;
        memory[STATUS_B] = HOURS_24;
        memory[STATUS_D] = STATUS_D_VALID;
        let mut set = |register: usize, width: usize, units: u64| {
            let largest = (1 << (8 * width)) - 1;
            let bytes = units.min(largest).to_le_bytes();
            memory[register..register + width].copy_from_slice(&bytes[..width]);
        };
        let below = size.below_4_gib;
        set(BASE_MEMORY, 2, below.min(640 * KIB) / KIB);
        for register in EXTENDED_MEMORY {
            set(register, 2, below.saturating_sub(MIB) / KIB);
        }
        let above_16_mib = below.saturating_sub(16 * MIB) / (64 * KIB);
        set(MEMORY_ABOVE_16_MIB, 2, above_16_mib);
        set(MEMORY_ABOVE_4_GIB, 3, size.above_4_gib / (64 * KIB));
        Self { index: 0, memory, clock, offset: 0 }
    }

    fn host_seconds(&self) -> i64 {
        let seconds = i64::try_from((self.clock)()).unwrap_or(i64::MAX);
        seconds.min(*EXPRESSIBLE.end())
    }

    fn is_being_set(&self) -> bool {
        self.memory[STATUS_B] & STATUS_B_SET != 0
    }

    /// Puts the time of now into the clock's registers.
    fn show_time(&mut self) {
        let shown = ClockRegisters::encode(self.host_seconds() + self.offset, self.memory[STATUS_B]);
        self.memory[SECOND] = shown.second;
        self.memory[MINUTE] = shown.minute;
        self.memory[HOUR] = shown.hour;
        self.memory[WEEKDAY] = shown.weekday;
        self.memory[DAY] = shown.day;
        self.memory[MONTH] = shown.month;
        self.memory[YEAR] = shown.year;
        self.memory[CENTURY] = shown.century;
    }

    /// Makes the time in the registers the time of now. Registers that show no moment change nothing.
    fn take_time(&mut self) {
        let shown = ClockRegisters {
            second: self.memory[SECOND],
            minute: self.memory[MINUTE],
            hour: self.memory[HOUR],
            weekday: self.memory[WEEKDAY],
            day: self.memory[DAY],
            month: self.memory[MONTH],
            year: self.memory[YEAR],
            century: self.memory[CENTURY],
        };
        if let Some(unix) = shown.decode(self.memory[STATUS_B]) {
            self.offset = unix - self.host_seconds();
        }
    }

    fn read_register(&mut self) -> u8 {
        let register = usize::from(self.index);
        if is_clock(register) && !self.is_being_set() {
            self.show_time();
        }
        self.memory[register]
    }

    fn write_register(&mut self, value: u8) {
        let register = usize::from(self.index);
        match register {
            STATUS_A => self.memory[STATUS_A] = value & !STATUS_A_UPDATING,
            STATUS_B => {
                let was_being_set = self.is_being_set();
                if !was_being_set {
                    self.show_time();
                }
                self.memory[STATUS_B] = value;
                if was_being_set && !self.is_being_set() {
                    self.take_time();
                }
            }
            STATUS_C | STATUS_D => {}
            _ if is_clock(register) => {
                if self.is_being_set() {
                    self.memory[register] = value;
                } else {
                    self.show_time();
                    self.memory[register] = value;
                    self.take_time();
                }
            }
            _ => self.memory[register] = value,
        }
    }
}

fn is_clock(register: usize) -> bool {
    matches!(register, SECOND | MINUTE | HOUR | WEEKDAY | DAY | MONTH | YEAR | CENTURY)
}

impl BusDevice for Cmos {
    fn name(&self) -> &'static str {
        NAME
    }

    fn read(&mut self, offset: u64, data: &mut [u8]) {
        match (offset, data) {
            // The index is write-only, as on a PC.
            (DATA_OFFSET, [byte]) => *byte = self.read_register(),
            (_, data) => read_nothing(data),
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        match (offset, data) {
            (INDEX_OFFSET, &[value]) => self.index = value & INDEX_MASK,
            (DATA_OFFSET, &[value]) => self.write_register(value),
            _ => {}
        }
    }

    fn save(&self) -> DeviceState {
        StateWriter::new().u8(self.index).u64(self.offset as u64).array(&self.memory).finish(NAME, VERSION)
    }

    fn restore(&mut self, state: &DeviceState) -> Result<(), RestoreError> {
        let mut fields = StateReader::open(state, NAME, VERSION)?;
        let index = fields.u8()?;
        let offset = fields.u64()? as i64;
        let memory: [u8; REGISTERS] = fields.array()?;
        if index & !INDEX_MASK != 0 {
            return Err(fields.content("index"));
        }
        // The largest distance between two moments, so that a sum with the host's time cannot overflow.
        if offset.unsigned_abs() > EXPRESSIBLE.end().abs_diff(*EXPRESSIBLE.start()) {
            return Err(fields.content("offset"));
        }
        if memory[STATUS_A] & STATUS_A_UPDATING != 0
            || memory[STATUS_C] != 0
            || memory[STATUS_D] != STATUS_D_VALID
        {
            return Err(fields.content("registers"));
        }
        fields.finish()?;
        self.index = index;
        self.offset = offset;
        self.memory = memory;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
