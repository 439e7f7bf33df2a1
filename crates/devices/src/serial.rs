//! A 16550A serial port: vm-superio's registers, with state that can be replaced and a longer input queue.
//!
//! Register numbers are those of Linux's `include/uapi/linux/serial_reg.h`.

use std::cell::Cell;
use std::collections::VecDeque;
use std::convert::Infallible;

use vm_superio::serial::NoEvents;
use vm_superio::{SerialState, Trigger};

use crate::bus::{BusDevice, Interrupt, Output, read_nothing};
use crate::state::{DeviceState, RestoreError, StateReader, StateWriter};

const NAME: &str = "serial";
const VERSION: u32 = 1;

/// Ports of a serial port.
const LENGTH: u8 = 8;
const RECEIVE: u8 = 0;
const INTERRUPT_IDENTIFICATION: u8 = 2;
/// The same register, written.
const FIFO_CONTROL: u8 = 2;
const MODEM_CONTROL: u8 = 4;
const LINE_STATUS: u8 = 5;

const IER_RECEIVED_DATA: u8 = 1 << 0;
const IER_TRANSMITTER_EMPTY: u8 = 1 << 1;
const IER_VALID: u8 = 0x0f;

const FCR_CLEAR_RECEIVER: u8 = 1 << 1;

/// The two bits that tell a 16550A with its FIFOs on.
const IIR_FIFO: u8 = 0xc0;
const IIR_NONE: u8 = 1;
const IIR_TRANSMITTER_EMPTY: u8 = 2;
const IIR_RECEIVED_DATA: u8 = 4;

const MCR_LOOP: u8 = 1 << 4;

const LSR_DATA_READY: u8 = 1 << 0;
/// Transmitter and its holding register are empty: always, output leaves at once.
const LSR_IDLE: u8 = 0x60;

/// Ready to send, ready, carrier: always, and no changes to tell.
const MSR_CONNECTED: u8 = 0xb0;

/// So often in a row only a guest that waits reads a register: Linux's driver reads the line status twice when it starts.
const POLLS: u8 = 8;

/// vm-superio's receive FIFO.
const FIFO_SIZE: usize = 64;
/// Input that waits beyond the FIFO.
const BACKLOG_SIZE: usize = 64 * 1024;

/// Remembers that the chip wanted an interrupt. The chip can so be replaced on restore without giving
/// up the true interrupt line.
#[derive(Default)]
struct Pulse(Cell<bool>);

impl Trigger for Pulse {
    type E = Infallible;

    fn trigger(&self) -> Result<(), Infallible> {
        self.0.set(true);
        Ok(())
    }
}

type Chip = vm_superio::Serial<Pulse, NoEvents, Vec<u8>>;

/// The serial port, for 8 ports (COM1: 0x3f8, interrupt 4). Byte accesses only.
///
/// Input waits in a queue of 64 KiB and reaches the chip's FIFO of 64 bytes when the guest has emptied
/// that, so a guest that does not look cannot make it grow. What was typed early is not lost when a driver
/// starts: one that clears the FIFO and then reads every register for luck, as Linux's does, finds it empty
/// until it has enabled the interrupt of received data, or asks again and again. Baud rates are remembered and
/// mean nothing.
///
/// Saved data: divisor low, divisor high, IER, IIR, LCR, LSR, MCR, MSR, SCR (1 byte each), the FIFO and the
/// waiting input (byte strings: `u32` length, bytes).
pub struct Serial {
    chip: Chip,
    backlog: VecDeque<u8>,
    /// The driver has cleared the FIFO and not said yet that it listens. Not saved: that takes microseconds.
    held: bool,
    /// The register that was read last, and how many times in a row.
    polled: (u8, u8),
    interrupt: Box<dyn Interrupt>,
    output: Box<dyn Output>,
}

impl Serial {
    /// A port that prints to `output` and calls the guest by `interrupt`.
    pub fn new(interrupt: Box<dyn Interrupt>, output: Box<dyn Output>) -> Self {
        let chip = Chip::new(Pulse::default(), Vec::new());
        Self { chip, backlog: VecDeque::new(), held: false, polled: (0, 0), interrupt, output }
    }

    /// Types `bytes`. Returns how many were accepted: the first ones, fewer than all when the queue is full.
    pub fn input(&mut self, bytes: &[u8]) -> usize {
        let accepted = bytes.len().min(self.input_capacity());
        self.backlog.extend(&bytes[..accepted]);
        self.refill();
        self.settle();
        accepted
    }

    /// How many bytes [`input`](Serial::input) accepts now.
    pub fn input_capacity(&self) -> usize {
        BACKLOG_SIZE.saturating_sub(self.backlog.len())
    }

    /// Moves waiting input into the chip's FIFO. In loopback mode the line is cut: it goes on waiting.
    fn refill(&mut self) {
        let room = self.chip.fifo_capacity().min(self.backlog.len());
        if room == 0 || self.held {
            return;
        }
        let next: Vec<u8> = self.backlog.iter().take(room).copied().collect();
        // The error says that the FIFO is full, which `room` excludes.
        let taken = self.chip.enqueue_raw_bytes(&next).unwrap_or(0);
        self.backlog.drain(..taken);
    }

    /// Takes what the driver would throw away back into the queue, and holds it there. In loopback mode the FIFO
    /// has the guest's own bytes, which stay.
    fn hold(&mut self) {
        let mut state = self.chip.state();
        if state.modem_control & MCR_LOOP != 0 {
            return;
        }
        for byte in std::mem::take(&mut state.in_buffer).into_iter().rev() {
            self.backlog.push_front(byte);
        }
        state.line_status &= !LSR_DATA_READY;
        state.interrupt_identification &= !IIR_RECEIVED_DATA;
        if state.interrupt_identification == 0 {
            state.interrupt_identification = IIR_NONE;
        }
        // The error says that the FIFO is too full, and it is empty.
        if let Ok(chip) = Chip::from_state(&state, Pulse::default(), NoEvents, Vec::new()) {
            self.chip = chip;
        }
        self.held = true;
    }

    /// Whether a guest that reads `register` now is one that waits for input without interrupts.
    fn is_polling(&mut self, register: u8) -> bool {
        let times = if self.polled.0 == register { self.polled.1.saturating_add(1) } else { 1 };
        self.polled = (register, times);
        times >= POLLS && (register == RECEIVE || register == LINE_STATUS)
    }

    fn release(&mut self) {
        if std::mem::take(&mut self.held) {
            self.refill();
        }
    }

    /// Passes on what the last access caused.
    fn settle(&mut self) {
        if !self.chip.writer().is_empty() {
            self.output.write(self.chip.writer());
            self.chip.writer_mut().clear();
        }
        if self.chip.interrupt_evt().0.take() {
            self.interrupt.raise();
        }
    }

    /// vm-superio gives both pending bits at once, which together mean a line error, and forgets received
    /// data that is still there. This gives the one cause with the highest priority, and only if it is
    /// enabled; reading it clears only the transmitter's.
    fn read_interrupt_identification(&mut self) -> u8 {
        let state = self.chip.state();
        let enabled = |bit| state.interrupt_enable & bit != 0;
        if enabled(IER_RECEIVED_DATA) && !state.in_buffer.is_empty() {
            return IIR_FIFO | IIR_RECEIVED_DATA;
        }
        let pending = self.chip.read(INTERRUPT_IDENTIFICATION);
        if enabled(IER_TRANSMITTER_EMPTY) && pending & IIR_TRANSMITTER_EMPTY != 0 {
            return IIR_FIFO | IIR_TRANSMITTER_EMPTY;
        }
        IIR_FIFO | IIR_NONE
    }
}

/// The register at `offset`, if there is one.
fn register(offset: u64) -> Option<u8> {
    u8::try_from(offset).ok().filter(|offset| *offset < LENGTH)
}

impl BusDevice for Serial {
    fn name(&self) -> &'static str {
        NAME
    }

    fn read(&mut self, offset: u64, data: &mut [u8]) {
        let (Some(register), [byte]) = (register(offset), &mut *data) else {
            return read_nothing(data);
        };
        if self.held && self.is_polling(register) {
            self.release();
            self.settle();
        }
        if register == INTERRUPT_IDENTIFICATION {
            *byte = self.read_interrupt_identification();
            return;
        }
        *byte = self.chip.read(register);
        if register == RECEIVE && self.chip.fifo_capacity() == FIFO_SIZE {
            self.refill();
            self.settle();
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        let (Some(register), &[value]) = (register(offset), data) else {
            return;
        };
        self.polled = (0, 0);
        if register == FIFO_CONTROL && value & FCR_CLEAR_RECEIVER != 0 {
            self.hold();
        }
        // The chip's errors are those of its outlets, a `Vec` and a `Cell`: they have none.
        let _ = self.chip.write(register, value);
        if register == MODEM_CONTROL && value & MCR_LOOP == 0 {
            self.refill();
        }
        if self.held && self.chip.state().interrupt_enable & IER_RECEIVED_DATA != 0 {
            self.release();
        }
        self.settle();
    }

    fn save(&self) -> DeviceState {
        let state = self.chip.state();
        let (front, back) = self.backlog.as_slices();
        StateWriter::new()
            .array(&[
                state.baud_divisor_low,
                state.baud_divisor_high,
                state.interrupt_enable,
                state.interrupt_identification,
                state.line_control,
                state.line_status,
                state.modem_control,
                state.modem_status,
                state.scratch,
            ])
            .string(&state.in_buffer)
            .string(&[front, back].concat())
            .finish(NAME, VERSION)
    }

    fn restore(&mut self, state: &DeviceState) -> Result<(), RestoreError> {
        let mut fields = StateReader::open(state, NAME, VERSION)?;
        let [
            baud_divisor_low,
            baud_divisor_high,
            interrupt_enable,
            interrupt_identification,
            line_control,
            line_status,
            modem_control,
            modem_status,
            scratch,
        ] = fields.array()?;
        let in_buffer = fields.string("fifo", FIFO_SIZE)?.to_vec();
        // What a driver had in the FIFO may have come back to a full queue.
        let backlog = fields.string("input", BACKLOG_SIZE + FIFO_SIZE)?;
        if interrupt_enable & !IER_VALID != 0 {
            return Err(fields.content("ier"));
        }
        const BOTH: u8 = IIR_TRANSMITTER_EMPTY | IIR_RECEIVED_DATA;
        if interrupt_identification != IIR_NONE
            && (interrupt_identification & BOTH == 0 || interrupt_identification & !BOTH != 0)
        {
            return Err(fields.content("iir"));
        }
        let data_ready = if in_buffer.is_empty() { 0 } else { LSR_DATA_READY };
        if line_status != LSR_IDLE | data_ready {
            return Err(fields.content("lsr"));
        }
        if modem_status != MSR_CONNECTED {
            return Err(fields.content("msr"));
        }
        let registers = SerialState {
            baud_divisor_low,
            baud_divisor_high,
            interrupt_enable,
            interrupt_identification,
            line_control,
            line_status,
            modem_control,
            modem_status,
            scratch,
            in_buffer,
        };
        let chip = Chip::from_state(&registers, Pulse::default(), NoEvents, Vec::new())
            .map_err(|_| fields.content("fifo"))?;
        fields.finish()?;
        self.chip = chip;
        self.backlog = backlog.iter().copied().collect();
        self.held = false;
        self.polled = (0, 0);
        if self.chip.fifo_capacity() == FIFO_SIZE {
            self.refill();
        }
        // A pending interrupt was an edge that the new machine has not seen.
        self.settle();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
