//! The serial port, as a guest and its host use it.

use super::*;
use crate::testing::{Recorder, hostile_accesses, inb, outb, refuses_foreign_states};

const IER: u64 = 1;
const IIR: u64 = 2;
const FCR: u64 = 2;
const LCR: u64 = 3;
const MCR: u64 = 4;
const LSR: u64 = 5;
const MSR: u64 = 6;
const SCR: u64 = 7;

fn port() -> (Serial, Recorder) {
    let out = Recorder::default();
    let device = Serial::new(Box::new(out.clone()), Box::new(out.clone()));
    (device, out)
}

#[test]
fn registers_after_power_on() {
    let (mut device, _) = port();
    let registers: Vec<u8> = (1..8).map(|offset| inb(&mut device, offset)).collect();
    assert_eq!(registers, [0x00, 0xc1, 0x03, 0x08, 0x60, 0xb0, 0x00]);
}

#[test]
fn prints_byte_by_byte() {
    let (mut device, out) = port();
    for byte in *b"hello\n" {
        assert_ne!(inb(&mut device, LSR) & 0x20, 0);
        outb(&mut device, 0, byte);
    }
    assert_eq!(out.take_bytes(), b"hello\n");
    assert_eq!(out.take_edges(), 0);
    device.write(0, b"xy");
    assert_eq!(out.take_bytes(), b"");
}

#[test]
fn the_divisor_latch_hides_data_and_interrupt_enable() {
    let (mut device, out) = port();
    outb(&mut device, LCR, 0x83);
    outb(&mut device, 0, 0x01);
    outb(&mut device, IER, 0x02);
    assert_eq!((inb(&mut device, 0), inb(&mut device, IER)), (0x01, 0x02));
    outb(&mut device, LCR, 0x03);
    assert_eq!(inb(&mut device, IER), 0);
    outb(&mut device, SCR, 0x5a);
    assert_eq!(inb(&mut device, SCR), 0x5a);
    assert_eq!((out.take_bytes(), out.take_edges()), (vec![], 0));
}

#[test]
fn input_by_polling() {
    let (mut device, out) = port();
    assert_eq!(device.input(b"ab"), 2);
    assert_eq!(inb(&mut device, LSR), 0x61);
    assert_eq!(inb(&mut device, 0), b'a');
    assert_eq!(inb(&mut device, LSR), 0x61);
    assert_eq!(inb(&mut device, 0), b'b');
    assert_eq!(inb(&mut device, LSR), 0x60);
    assert_eq!(inb(&mut device, 0), 0);
    assert_eq!(out.take_edges(), 0);
}

#[test]
fn input_by_interrupt() {
    let (mut device, out) = port();
    outb(&mut device, IER, 0x01);
    device.input(b"ab");
    device.input(b"c");
    assert_eq!(out.take_edges(), 1);
    // The cause stays until the data is gone.
    assert_eq!(inb(&mut device, IIR), 0xc4);
    assert_eq!(inb(&mut device, IIR), 0xc4);
    let read: Vec<u8> = (0..3).map(|_| inb(&mut device, 0)).collect();
    assert_eq!(read, b"abc");
    assert_eq!(inb(&mut device, IIR), 0xc1);
    device.input(b"d");
    assert_eq!(out.take_edges(), 1);
}

#[test]
fn output_by_interrupt() {
    let (mut device, out) = port();
    outb(&mut device, IER, 0x02);
    assert_eq!(out.take_edges(), 1);
    assert_eq!(inb(&mut device, IIR), 0xc2);
    assert_eq!(inb(&mut device, IIR), 0xc1);
    outb(&mut device, 0, b'x');
    assert_eq!(out.take_edges(), 1);
    outb(&mut device, IER, 0x00);
    assert_eq!(inb(&mut device, IIR), 0xc1);
}

#[test]
fn received_data_comes_before_an_empty_transmitter() {
    let (mut device, _) = port();
    outb(&mut device, IER, 0x03);
    device.input(b"a");
    assert_eq!(inb(&mut device, IIR), 0xc4);
    assert_eq!(inb(&mut device, 0), b'a');
    assert_eq!(inb(&mut device, IIR), 0xc2);
    assert_eq!(inb(&mut device, IIR), 0xc1);
}

#[test]
fn input_that_waits_raises_an_interrupt_when_it_is_enabled() {
    let (mut device, out) = port();
    device.input(b"early");
    outb(&mut device, IER, 0x01);
    assert_eq!(out.take_edges(), 1);
    assert_eq!(inb(&mut device, IIR), 0xc4);
}

/// What Linux's driver does before it listens: serial8250_do_startup() in drivers/tty/serial/8250/8250_port.c.
fn start_driver(device: &mut Serial) {
    for value in [0x01, 0x07, 0x00] {
        outb(device, FCR, value);
    }
    for _ in 0..2 {
        for register in [LSR, 0, IIR, MSR, LSR, LSR] {
            inb(device, register);
        }
        outb(device, MCR, 0x08);
    }
}

#[test]
fn a_driver_that_starts_loses_nothing_that_was_typed_before() {
    let (mut device, out) = port();
    let text: Vec<u8> = (0..100).collect();
    device.input(&text[..90]);
    start_driver(&mut device);
    device.input(&text[90..]);
    assert_eq!(inb(&mut device, LSR), 0x60);
    assert_eq!(out.take_edges(), 0);
    outb(&mut device, IER, 0x05);
    assert_eq!(out.take_edges(), 1);
    assert_eq!(inb(&mut device, IIR), 0xc4);
    let read: Vec<u8> = (0..100).map(|_| inb(&mut device, 0)).collect();
    assert_eq!(read, text);
}

#[test]
fn a_driver_that_polls_after_its_start_gets_what_was_typed() {
    for register in [LSR, 0] {
        let (mut device, _) = port();
        device.input(b"xy");
        start_driver(&mut device);
        let found = (0..10).map(|_| inb(&mut device, register)).find(|found| !matches!(found, 0 | 0x60));
        assert_eq!(found, Some(if register == LSR { 0x61 } else { b'x' }));
    }
}

#[test]
fn a_full_queue_takes_the_fifo_back_and_can_be_saved() {
    let (mut device, _) = port();
    let text: Vec<u8> = (0..BACKLOG_SIZE + FIFO_SIZE).map(|index| (index % 251) as u8).collect();
    assert_eq!(device.input(&text[..BACKLOG_SIZE]), BACKLOG_SIZE);
    assert_eq!(device.input(&text[BACKLOG_SIZE..]), FIFO_SIZE);
    start_driver(&mut device);
    assert_eq!(device.input(b"x"), 0);
    assert_eq!(device.input_capacity(), 0);
    let (mut other, _) = port();
    other.restore(&device.save()).unwrap();
    let read: Vec<u8> = (0..text.len()).map(|_| inb(&mut other, 0)).collect();
    assert_eq!(read, text);
}

#[test]
fn in_loopback_mode_clearing_the_fifo_leaves_the_guests_own_bytes() {
    let (mut device, _) = port();
    outb(&mut device, MCR, 0x1f);
    outb(&mut device, 0, b'L');
    outb(&mut device, FCR, 0x07);
    assert_eq!(inb(&mut device, LSR), 0x61);
    assert_eq!(inb(&mut device, 0), b'L');
}

#[test]
fn the_queue_is_long_and_has_an_end() {
    let (mut device, out) = port();
    outb(&mut device, IER, 0x01);
    let text: Vec<u8> = (0..100_000_u32).map(|index| (index % 251) as u8).collect();
    assert_eq!(device.input(&text), BACKLOG_SIZE);
    // The FIFO took some off the queue.
    assert_eq!(device.input(&text[BACKLOG_SIZE..]), FIFO_SIZE);
    assert_eq!(device.input(b"x"), 0);
    assert_eq!(device.input_capacity(), 0);
    let mut read = Vec::new();
    while inb(&mut device, LSR) & 1 != 0 {
        read.push(inb(&mut device, 0));
    }
    assert_eq!(read, text[..BACKLOG_SIZE + FIFO_SIZE]);
    // One for the first bytes, and one for each time that the FIFO was filled anew.
    assert_eq!(out.take_edges() as usize, 1 + BACKLOG_SIZE / FIFO_SIZE);
    assert_eq!(device.input_capacity(), BACKLOG_SIZE);
}

#[test]
fn loopback_gives_the_guest_its_own_bytes() {
    let (mut device, out) = port();
    outb(&mut device, MCR, 0x1f);
    assert_eq!(inb(&mut device, MSR), 0xf0);
    outb(&mut device, 0, b'L');
    assert_eq!(device.input(b"typed"), 5);
    assert_eq!(inb(&mut device, 0), b'L');
    assert_eq!(inb(&mut device, LSR), 0x60);
    assert_eq!(out.take_bytes(), b"");
    outb(&mut device, MCR, 0x08);
    assert_eq!(inb(&mut device, 0), b't');
}

#[test]
fn a_saved_port_goes_on_where_it_was() {
    let (mut device, _) = port();
    outb(&mut device, SCR, 0x77);
    outb(&mut device, IER, 0x01);
    let text = [b'z'; 100];
    device.input(&text);
    let state = device.save();
    let (mut other, out) = port();
    other.restore(&state).unwrap();
    assert_eq!(other.save(), state);
    // The pending interrupt is raised again.
    assert_eq!(out.take_edges(), 1);
    assert_eq!(inb(&mut other, SCR), 0x77);
    let read: Vec<u8> = (0..101).map(|_| inb(&mut other, 0)).collect();
    assert_eq!(read, [&text[..], &[0]].concat());
    outb(&mut other, 0, b'!');
    assert_eq!(out.take_bytes(), b"!");
}

#[test]
fn survives_a_hostile_guest_and_foreign_states() {
    let (mut device, _) = port();
    hostile_accesses(&mut device, 8);
    refuses_foreign_states(&mut device);
    let (mut device, _) = port();
    device.input(&[b'a'; 70]);
    let mut state = device.save();
    // The FIFO's length, its highest byte.
    state.data[12] = 0x7f;
    assert_eq!(device.restore(&state), Err(RestoreError::Content { kind: NAME, field: "fifo" }));
}
