//! The clock, as a guest uses it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use crate::Ignore;
use crate::testing::{Recorder, hostile_accesses, refuses_foreign_states};

/// 2024-02-29 23:58:07 UTC.
const NOW: u64 = 1_709_251_087;

/// Remembers what the alarm was set to last.
#[derive(Clone, Default)]
struct Wanted(Arc<Mutex<Option<Duration>>>);

impl Alarm for Wanted {
    fn set(&self, after: Option<Duration>) {
        *self.0.lock().unwrap() = after;
    }
}

struct Guest {
    device: Pl031,
    time: Arc<AtomicU64>,
    line: Recorder,
    alarm: Wanted,
}

impl Guest {
    fn new() -> Self {
        let (time, line, alarm) = (Arc::new(AtomicU64::new(NOW)), Recorder::default(), Wanted::default());
        let clock = Arc::clone(&time);
        let device = Pl031::new(
            Box::new(move || clock.load(Ordering::Relaxed)),
            Box::new(line.clone()),
            Box::new(alarm.clone()),
        );
        Self { device, time, line, alarm }
    }

    fn get(&mut self, register: u64) -> u32 {
        let mut data = [0x5a; 4];
        self.device.read(register, &mut data);
        u32::from_le_bytes(data)
    }

    fn put(&mut self, register: u64, value: u32) {
        self.device.write(register, &value.to_le_bytes());
    }

    fn pass(&self, seconds: u64) {
        self.time.fetch_add(seconds, Ordering::Relaxed);
    }

    fn alarm(&self) -> Option<u64> {
        self.alarm.0.lock().unwrap().map(|after| after.as_secs())
    }
}

#[test]
fn the_bus_finds_the_driver_by_the_numbers_at_the_end_of_the_page() {
    let mut guest = Guest::new();
    // As Linux's amba_read_periphid(): a byte of each word.
    let mut number = |first: u64| {
        (0..4).fold(0, |number, index| number | (guest.get(first + 4 * index) & 0xff) << (8 * index))
    };
    assert_eq!(number(0xfe0) & 0x000f_ffff, 0x0004_1031, "arm_pl031");
    assert_eq!(number(0xff0), 0xb105_f00d, "AMBA_CID");
    assert_eq!(guest.get(CR), 1);
    guest.put(CR, 0);
    assert_eq!(guest.get(CR), 1, "a counter that runs does until a reset");
}

#[test]
fn the_counter_follows_the_host() {
    let mut guest = Guest::new();
    assert_eq!(u64::from(guest.get(DR)), NOW);
    guest.pass(120);
    assert_eq!(u64::from(guest.get(DR)), NOW + 120);
    // 2106 and later: 32 bits.
    guest.time.store((1 << 32) + 5, Ordering::Relaxed);
    assert_eq!(guest.get(DR), 5);
    guest.time.store(u64::MAX, Ordering::Relaxed);
    assert_eq!(guest.get(DR), u32::MAX);
    guest.time.store(0, Ordering::Relaxed);
    assert_eq!(guest.get(DR), 0);
}

#[test]
fn the_guest_sets_the_clock() {
    let mut guest = Guest::new();
    assert_eq!(guest.get(LR), 0);
    guest.put(LR, 1000);
    assert_eq!((guest.get(DR), guest.get(LR)), (1000, 1000));
    guest.pass(7);
    assert_eq!((guest.get(DR), guest.get(LR)), (1007, 1000));
    guest.put(LR, u32::MAX);
    guest.pass(2);
    assert_eq!(guest.get(DR), 1);
    guest.put(DR, 77);
    assert_eq!(guest.get(DR), 1, "the counter is read only");
}

#[test]
fn an_alarm_as_linux_sets_it() {
    let mut guest = Guest::new();
    // pl031_set_alarm(): match, clear, unmask.
    let at = NOW as u32 + 60;
    guest.put(MR, at);
    assert_eq!(guest.alarm(), None, "it is masked");
    guest.put(ICR, 1);
    guest.put(IMSC, 1);
    assert_eq!((guest.get(MR), guest.get(IMSC), guest.alarm()), (at, 1, Some(60)));
    guest.pass(59);
    assert_eq!((guest.get(RIS), guest.get(MIS)), (0, 0));
    guest.pass(1);
    // The edge comes from the alarm; the guest finds why.
    assert_eq!((guest.get(RIS), guest.get(MIS)), (1, 1));
    assert_eq!(guest.line.take_edges(), 0);
    guest.put(ICR, 0);
    assert_eq!(guest.get(MIS), 1, "only a 1 clears");
    guest.put(ICR, 1);
    assert_eq!((guest.get(RIS), guest.get(MIS)), (0, 0));
    guest.pass(1000);
    assert_eq!(guest.get(RIS), 0, "the counter is past it");
    assert_eq!(guest.get(ICR), 0);
}

#[test]
fn an_alarm_is_taken_back() {
    let mut guest = Guest::new();
    guest.put(MR, NOW as u32 + 10);
    guest.put(IMSC, 1);
    assert_eq!(guest.alarm(), Some(10));
    guest.pass(4);
    guest.put(MR, NOW as u32 + 20);
    assert_eq!(guest.alarm(), Some(16));
    // A counter that is set has another way to go.
    guest.put(LR, NOW as u32);
    assert_eq!(guest.alarm(), Some(20));
    guest.put(IMSC, 0);
    assert_eq!(guest.alarm(), None);
    guest.pass(30);
    assert_eq!((guest.get(RIS), guest.get(MIS)), (1, 0), "masked, but seen");
    assert_eq!(guest.line.take_edges(), 0);
}

#[test]
fn writes_that_make_it_pending_are_edges_of_the_device_itself() {
    let mut guest = Guest::new();
    // A match with the counter of now.
    guest.put(MR, NOW as u32);
    assert_eq!((guest.get(RIS), guest.line.take_edges()), (1, 0));
    guest.put(IMSC, 1);
    assert_eq!((guest.get(MIS), guest.line.take_edges(), guest.alarm()), (1, 1, None));
    guest.put(IMSC, 1);
    assert_eq!(guest.line.take_edges(), 0, "it is pending already");
    guest.put(ICR, 1);
    guest.put(LR, NOW as u32);
    assert_eq!((guest.get(MIS), guest.line.take_edges()), (1, 1));
}

#[test]
fn an_edge_that_is_on_its_way_is_not_taken_back() {
    let mut guest = Guest::new();
    guest.put(MR, NOW as u32 + 10);
    guest.put(IMSC, 1);
    // The second begins, the guest writes before the alarm comes.
    guest.pass(10);
    guest.put(IMSC, 1);
    guest.put(LR, 5);
    assert_eq!((guest.get(MIS), guest.line.take_edges(), guest.alarm()), (1, 0, Some(10)));
    // One that polled needs none any more; the next is when the counter comes there again.
    guest.put(ICR, 1);
    assert_eq!((guest.get(MIS), guest.line.take_edges()), (0, 0));
    assert_eq!(guest.alarm(), Some(NOW + 10 - 5));
}

#[test]
fn a_hosts_clock_that_is_set_back_passes_nothing() {
    let mut guest = Guest::new();
    guest.put(MR, NOW as u32 + 60);
    guest.put(IMSC, 1);
    guest.time.store(NOW - 1000, Ordering::Relaxed);
    assert_eq!((guest.get(RIS), u64::from(guest.get(DR))), (0, NOW - 1000));
    guest.pass(1060);
    assert_eq!(guest.get(RIS), 1);
}

#[test]
fn a_saved_clock_runs_on() {
    let mut guest = Guest::new();
    guest.put(LR, 1000);
    guest.put(MR, 1060);
    guest.put(IMSC, 1);
    let state = guest.device.save();
    assert_eq!(state.data.len(), 21);
    let mut soon = Guest::new();
    soon.pass(30);
    soon.device.restore(&state).unwrap();
    assert_eq!((soon.get(DR), soon.get(LR), soon.get(MR), soon.get(MIS)), (1030, 1000, 1060, 0));
    assert_eq!((soon.alarm(), soon.line.take_edges()), (Some(30), 0));
    // The moment has passed in between.
    let mut late = Guest::new();
    late.pass(90);
    late.device.restore(&state).unwrap();
    assert_eq!((late.get(DR), late.get(MIS), late.line.take_edges(), late.alarm()), (1090, 1, 1, None));
    // A pending one is pending in the other machine.
    let mut again = Guest::new();
    again.device.restore(&late.device.save()).unwrap();
    assert_eq!((again.get(MIS), again.line.take_edges()), (1, 1));
}

#[test]
fn survives_a_hostile_guest_and_foreign_states() {
    let mut guest = Guest::new();
    hostile_accesses(&mut guest.device, 0x1000);
    for (offset, size) in
        [(0, 1), (0, 2), (0, 8), (1, 4), (2, 4), (0x20, 4), (0xfdc, 4), (0xfe1, 4), (0x1000, 4)]
    {
        let mut data = vec![0x5a; size];
        guest.device.read(offset, &mut data);
        assert_eq!(data, vec![0xff; size], "offset {offset:#x}, size {size}");
    }
    refuses_foreign_states(&mut guest.device);
    let mut state = guest.device.save();
    state.data[20] = 4;
    let expected = Err(RestoreError::Content { kind: NAME, field: "interrupt" });
    assert_eq!(guest.device.restore(&state), expected);
    // Without a line and an alarm it is a clock.
    let mut alone = Pl031::new(Box::new(|| NOW), Box::new(Ignore), Box::new(Ignore));
    alone.write(IMSC, &1u32.to_le_bytes());
    alone.write(MR, &(NOW as u32).to_le_bytes());
    let mut data = [0; 4];
    alone.read(MIS, &mut data);
    assert_eq!(data, [1, 0, 0, 0]);
}
