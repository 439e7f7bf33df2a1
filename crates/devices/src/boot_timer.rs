//! A boot timer: a register that the guest's first program writes to, so that the owner knows when.
//!
//! Register and value are those of Firecracker's `src/vmm/src/devices/pseudo/boot_timer.rs`, so that an
//! init made for its boot benchmark works here too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::bus::{BusDevice, read_nothing};
use crate::state::{DeviceState, RestoreError, StateReader, StateWriter};

const NAME: &str = "boot-timer";
const VERSION: u32 = 1;

/// No moment yet. A clock that runs from a machine's start does not get there in 500 years.
const UNSEEN: u64 = u64::MAX;

/// When the guest said that it is up; clones share one moment.
///
/// The device records into it and its owner reads it, while the device is on a bus of another thread.
#[derive(Debug, Clone)]
pub struct BootTime(Arc<AtomicU64>);

impl BootTime {
    /// The time by the device's clock, in nanoseconds, or `None` if the guest has not said it.
    pub fn get(&self) -> Option<u64> {
        let time = self.0.load(Ordering::Acquire);
        (time != UNSEEN).then_some(time)
    }

    /// Forgets the moment, as a reset of the machine does: the next one counts again.
    pub fn clear(&self) {
        self.set(None);
    }

    fn set(&self, time: Option<u64>) {
        self.0.store(time.unwrap_or(UNSEEN), Ordering::Release);
    }
}

/// The device: a byte [`BOOTED`](Self::BOOTED) written to offset 0 records the time, the first time only.
/// It works at a port or in memory. It reads as all ones, as if it were not there.
///
/// Saved data, 9 bytes: whether the moment has come (0 or 1), its time in nanoseconds (0 if not).
pub struct BootTimer {
    clock: Box<dyn Fn() -> u64 + Send>,
    boot_time: BootTime,
}

impl BootTimer {
    /// The value that says "booted": `MAGIC_VALUE_SIGNAL_GUEST_BOOT_COMPLETE`.
    pub const BOOTED: u8 = 123;

    /// A timer over `clock`, which gives nanoseconds since a moment of the owner's choice.
    pub fn new(clock: Box<dyn Fn() -> u64 + Send>) -> Self {
        Self { clock, boot_time: BootTime(Arc::new(AtomicU64::new(UNSEEN))) }
    }

    /// Where the time is to be read from.
    pub fn boot_time(&self) -> BootTime {
        self.boot_time.clone()
    }
}

impl BusDevice for BootTimer {
    fn name(&self) -> &'static str {
        NAME
    }

    fn read(&mut self, _offset: u64, data: &mut [u8]) {
        read_nothing(data);
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        if (offset, data) == (0, &[Self::BOOTED]) && self.boot_time.get().is_none() {
            self.boot_time.set(Some((self.clock)()));
        }
    }

    fn save(&self) -> DeviceState {
        let time = self.boot_time.get();
        StateWriter::new().u8(u8::from(time.is_some())).u64(time.unwrap_or(0)).finish(NAME, VERSION)
    }

    fn restore(&mut self, state: &DeviceState) -> Result<(), RestoreError> {
        let mut fields = StateReader::open(state, NAME, VERSION)?;
        let time = match (fields.u8()?, fields.u64()?) {
            (0, 0) => None,
            (1, time) if time != UNSEEN => Some(time),
            _ => return Err(fields.content("time")),
        };
        fields.finish()?;
        self.boot_time.set(time);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{hostile_accesses, inb, outb, refuses_foreign_states};

    /// A timer whose clock goes up by 10 each time that it is asked, from 10.
    fn timer() -> BootTimer {
        let asked = AtomicU64::new(0);
        BootTimer::new(Box::new(move || 10 + asked.fetch_add(10, Ordering::Relaxed)))
    }

    #[test]
    fn the_first_moment_counts_until_a_reset() {
        let mut timer = timer();
        let time = timer.boot_time();
        assert_eq!(time.get(), None);
        outb(&mut timer, 0, 123);
        assert_eq!(time.get(), Some(10));
        outb(&mut timer, 0, 123);
        assert_eq!(time.get(), Some(10));
        time.clear();
        assert_eq!(timer.boot_time().get(), None);
        outb(&mut timer, 0, 123);
        assert_eq!(time.get(), Some(20));
    }

    #[test]
    fn other_writes_are_dropped() {
        let mut timer = timer();
        for value in (0..=0xff).filter(|&value| value != 123) {
            outb(&mut timer, 0, value);
        }
        outb(&mut timer, 1, 123);
        timer.write(0, &[123, 0, 0, 0]);
        timer.write(0, &[]);
        assert_eq!(timer.boot_time().get(), None);
        assert_eq!(inb(&mut timer, 0), 0xff);
    }

    #[test]
    fn a_clock_at_its_end_is_no_moment() {
        let mut timer = BootTimer::new(Box::new(|| u64::MAX));
        outb(&mut timer, 0, 123);
        assert_eq!(timer.boot_time().get(), None);
        refuses_foreign_states(&mut timer);
    }

    #[test]
    fn a_saved_moment_stays() {
        let mut first = timer();
        outb(&mut first, 0, 123);
        let mut second = timer();
        let time = second.boot_time();
        second.restore(&first.save()).unwrap();
        assert_eq!(time.get(), Some(10));
        second.restore(&timer().save()).unwrap();
        assert_eq!(time.get(), None);
    }

    #[test]
    fn survives_a_hostile_guest_and_foreign_states() {
        let mut timer = timer();
        hostile_accesses(&mut timer, 0);
        refuses_foreign_states(&mut timer);
        outb(&mut timer, 0, 123);
        refuses_foreign_states(&mut timer);
        let mut state = timer.save();
        state.data[1..].fill(0xff);
        assert_eq!(timer.restore(&state), Err(RestoreError::Content { kind: NAME, field: "time" }));
        assert_eq!(timer.boot_time().get(), Some(10));
    }
}
