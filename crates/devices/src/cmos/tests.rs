//! The clock and its memory, as a guest uses them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::testing::{hostile_accesses, inb, outb, refuses_foreign_states};

/// 2024-02-29 23:58:07 UTC, a Thursday.
const LEAP_DAY: u64 = 1_709_251_087;

fn cmos(size: MemorySize) -> (Cmos, Arc<AtomicU64>) {
    let time = Arc::new(AtomicU64::new(LEAP_DAY));
    let clock = time.clone();
    let device = Cmos::new(size, Box::new(move || clock.load(Ordering::Relaxed)));
    (device, time)
}

fn get(device: &mut Cmos, register: u8) -> u8 {
    outb(device, 0, register);
    inb(device, 1)
}

fn put(device: &mut Cmos, register: u8, value: u8) {
    outb(device, 0, register);
    outb(device, 1, value);
}

fn words(device: &mut Cmos, registers: &[u8]) -> Vec<u16> {
    let word = |register: &u8| u16::from_le_bytes([get(device, *register), get(device, *register + 1)]);
    registers.iter().map(word).collect()
}

fn time_and_date(device: &mut Cmos) -> [u8; 8] {
    [0x32, 0x09, 0x08, 0x07, 0x06, 0x04, 0x02, 0x00].map(|register| get(device, register))
}

#[test]
fn the_clock_follows_the_host() {
    let (mut device, time) = cmos(MemorySize::default());
    let expected = [0x20, 0x24, 0x02, 0x29, 0x05, 0x23, 0x58, 0x07];
    assert_eq!(time_and_date(&mut device), expected);
    time.fetch_add(120, Ordering::Relaxed);
    let expected = [0x20, 0x24, 0x03, 0x01, 0x06, 0x00, 0x00, 0x07];
    assert_eq!(time_and_date(&mut device), expected);
    time.store(u64::MAX, Ordering::Relaxed);
    assert_eq!(get(&mut device, 0x32), 0x99);
}

#[test]
fn the_format_is_the_guests_choice() {
    let (mut device, _) = cmos(MemorySize::default());
    put(&mut device, 0x0b, 0x06);
    assert_eq!((get(&mut device, 4), get(&mut device, 2)), (23, 58));
    put(&mut device, 0x0b, 0x00);
    assert_eq!(get(&mut device, 4), 0x91);
}

#[test]
fn the_guest_sets_the_clock() {
    let (mut device, time) = cmos(MemorySize::default());
    put(&mut device, 0x0b, 0x82);
    // While it is being set, the clock stands still and may show nonsense.
    time.fetch_add(10, Ordering::Relaxed);
    assert_eq!(get(&mut device, 0), 0x07);
    let moment = [(8, 0x12), (7, 0x31), (9, 0x99), (0x32, 0x19), (4, 0x10), (2, 0x20), (0, 0x30)];
    for (register, value) in moment {
        put(&mut device, register, value);
    }
    put(&mut device, 0x0b, 0x02);
    time.fetch_add(31, Ordering::Relaxed);
    let expected = [0x19, 0x99, 0x12, 0x31, 0x06, 0x10, 0x21, 0x01];
    assert_eq!(time_and_date(&mut device), expected);
    // One register at a time works too; nonsense does not.
    put(&mut device, 2, 0x45);
    assert_eq!(get(&mut device, 2), 0x45);
    put(&mut device, 2, 0x7f);
    assert_eq!(get(&mut device, 2), 0x45);
}

#[test]
fn the_status_registers_say_that_all_is_well() {
    let (mut device, _) = cmos(MemorySize::default());
    let status = [0x0a, 0x0b, 0x0c, 0x0d].map(|register| get(&mut device, register));
    assert_eq!(status, [0x26, 0x02, 0x00, 0x80]);
    for register in [0x0a, 0x0c, 0x0d] {
        put(&mut device, register, 0xff);
    }
    let status = [0x0a, 0x0c, 0x0d].map(|register| get(&mut device, register));
    assert_eq!(status, [0x7f, 0x00, 0x80]);
}

#[test]
fn the_memory_size_registers() {
    let registers = [0x15, 0x17, 0x30, 0x34];
    let (mut device, _) = cmos(MemorySize::with_hole_at_3_gib(128 * MIB));
    let expected = [640, 65_535, 65_535, 112 * 16];
    assert_eq!(words(&mut device, &registers), expected);
    let (mut device, _) = cmos(MemorySize::with_hole_at_3_gib(5 * MIB));
    assert_eq!(words(&mut device, &registers), [640, 4_096, 4_096, 0]);
    let (mut device, _) = cmos(MemorySize::with_hole_at_3_gib(0x4000));
    assert_eq!(words(&mut device, &registers), [16, 0, 0, 0]);
    let (mut device, _) = cmos(MemorySize::with_hole_at_3_gib(8 * GIB));
    assert_eq!(words(&mut device, &[0x34]), [(3 * 1024 - 16) * 16]);
    let above = [0x5b, 0x5c, 0x5d].map(|register| get(&mut device, register));
    assert_eq!(above, [0x00, 0x40, 0x01]);
    let (mut device, _) = cmos(MemorySize { below_4_gib: u64::MAX, above_4_gib: u64::MAX });
    assert_eq!(words(&mut device, &[0x34, 0x5b]), [0xffff, 0xffff]);
}

#[test]
fn the_rest_is_memory_and_bit_7_of_the_index_is_not_index() {
    let (mut device, _) = cmos(MemorySize::default());
    put(&mut device, 0x8f, 0x0a);
    assert_eq!(get(&mut device, 0x0f), 0x0a);
    put(&mut device, 0x7f, 0x5a);
    assert_eq!(get(&mut device, 0xff), 0x5a);
    assert_eq!(inb(&mut device, 0), 0xff);
}

#[test]
fn a_saved_clock_keeps_its_offset() {
    let (mut device, _) = cmos(MemorySize::default());
    put(&mut device, 0x09, 0x30);
    put(&mut device, 0x0f, 0x05);
    let state = device.save();
    let (mut other, time) = cmos(MemorySize::default());
    time.fetch_add(5, Ordering::Relaxed);
    other.restore(&state).unwrap();
    assert_eq!(inb(&mut other, 1), 0x05);
    assert_eq!((get(&mut other, 9), get(&mut other, 0)), (0x30, 0x12));
}

#[test]
fn survives_a_hostile_guest_and_foreign_states() {
    let (mut device, _) = cmos(MemorySize::default());
    for index in 0..=0xff {
        outb(&mut device, 0, index);
        hostile_accesses(&mut device, 2);
    }
    refuses_foreign_states(&mut device);
    for offset in [i64::MIN, i64::MAX] {
        let mut state = device.save();
        state.data[1..9].copy_from_slice(&offset.to_le_bytes());
        let refused = device.restore(&state);
        assert!(matches!(refused, Err(RestoreError::Content { field: "offset", .. })));
    }
}
