//! The i8042 keyboard controller without a keyboard: enough that guests find it sane, switch A20 and reset.
//!
//! Command numbers and status bits are those of Linux's `include/linux/i8042.h` and QEMU's
//! `hw/input/pckbd.c`.

use crate::bus::{BusDevice, MachineRequest, Request, read_nothing};
use crate::state::{DeviceState, RestoreError, StateReader, StateWriter};

const NAME: &str = "i8042";
const VERSION: u32 = 1;

/// Port 0x60.
const DATA_OFFSET: u64 = 0;
/// Port 0x64: commands when written, status when read.
const COMMAND_OFFSET: u64 = 4;

const STATUS_OUTPUT_FULL: u8 = 1 << 0;
/// The keyboard lock is open. A guest that sees it closed may refuse to boot.
const STATUS_UNLOCKED: u8 = 1 << 4;
/// "The self test has passed", the same bit in the status and in the configuration byte.
const SYSTEM_FLAG: u8 = 1 << 2;

const READ_CONFIGURATION: u8 = 0x20;
const WRITE_CONFIGURATION: u8 = 0x60;
const TEST_MOUSE_PORT: u8 = 0xa9;
const SELF_TEST: u8 = 0xaa;
const TEST_KEYBOARD_PORT: u8 = 0xab;
const READ_OUTPUT_PORT: u8 = 0xd0;
const WRITE_OUTPUT_PORT: u8 = 0xd1;
const WRITE_KEYBOARD_BUFFER: u8 = 0xd2;
const WRITE_MOUSE_BUFFER: u8 = 0xd3;
const WRITE_TO_MOUSE: u8 = 0xd4;
const DISABLE_A20: u8 = 0xdd;
const ENABLE_A20: u8 = 0xdf;
/// 0xf0 to 0xff pulse the output lines whose bits are clear; 0xfe is the reset that operating systems use.
const PULSE: u8 = 0xf0;

/// What the controller gives in place of an answer when nothing on the line takes a byte (`PS2_RET_NAK` in
/// Linux's `include/linux/libps2.h`). A guest then need not wait for an answer that cannot come.
const NOT_TAKEN: u8 = 0xfe;

const SELF_TEST_PASSED: u8 = 0x55;
const PORT_TEST_PASSED: u8 = 0x00;

/// Output port, line 0: the CPU's reset, active low.
const LINE_RESET: u8 = 1 << 0;
/// Output port, line 1: address line 20. It is only remembered: KVM's guests always have A20 on.
const LINE_A20: u8 = 1 << 1;

/// The controller, for ports 0x60 to 0x64 (5 ports; only 0x60 and 0x64 are its own, the others read as all
/// ones). Byte accesses only.
///
/// Saved data, 5 bytes: a byte waits for the guest (0 or 1), that byte, configuration byte, command that
/// waits for its data byte (0: none), output port.
pub struct I8042 {
    request: Box<dyn Request>,
    /// What the next read of the data port gives.
    output: Option<u8>,
    configuration: u8,
    /// The command whose argument the next write to the data port is; 0 for none.
    pending: u8,
    output_port: u8,
}

impl I8042 {
    /// A controller that asks `request` for a reset when the guest pulls the reset line.
    pub fn new(request: Box<dyn Request>) -> Self {
        Self {
            request,
            output: None,
            configuration: SYSTEM_FLAG,
            pending: 0,
            output_port: LINE_RESET | LINE_A20,
        }
    }

    fn status(&self) -> u8 {
        let full = match self.output {
            Some(_) => STATUS_OUTPUT_FULL,
            None => 0,
        };
        STATUS_UNLOCKED | (self.configuration & SYSTEM_FLAG) | full
    }

    fn command(&mut self, command: u8) {
        self.pending = 0;
        match command {
            READ_CONFIGURATION => self.output = Some(self.configuration),
            SELF_TEST => {
                self.configuration |= SYSTEM_FLAG;
                self.output = Some(SELF_TEST_PASSED);
            }
            TEST_KEYBOARD_PORT | TEST_MOUSE_PORT => self.output = Some(PORT_TEST_PASSED),
            READ_OUTPUT_PORT => self.output = Some(self.output_port),
            DISABLE_A20 => self.output_port &= !LINE_A20,
            ENABLE_A20 => self.output_port |= LINE_A20,
            PULSE..=0xff if command & LINE_RESET == 0 => {
                self.request.request(MachineRequest::Reset);
            }
            _ if takes_argument(command) => self.pending = command,
            _ => {}
        }
    }

    fn argument(&mut self, value: u8) {
        match std::mem::take(&mut self.pending) {
            WRITE_CONFIGURATION => self.configuration = value,
            WRITE_OUTPUT_PORT => {
                // The reset line is never remembered as low: the reset comes, and sets it high.
                self.output_port = value | LINE_RESET;
                if value & LINE_RESET == 0 {
                    self.request.request(MachineRequest::Reset);
                }
            }
            WRITE_KEYBOARD_BUFFER | WRITE_MOUSE_BUFFER => self.output = Some(value),
            // For a mouse: none is plugged in, and an answer would have to be told from the keyboard's.
            WRITE_TO_MOUSE => {}
            // Without a command the byte is for a keyboard, which is not plugged in either.
            _ => self.output = Some(NOT_TAKEN),
        }
    }
}

fn takes_argument(command: u8) -> bool {
    matches!(
        command,
        WRITE_CONFIGURATION | WRITE_OUTPUT_PORT | WRITE_KEYBOARD_BUFFER | WRITE_MOUSE_BUFFER | WRITE_TO_MOUSE
    )
}

impl BusDevice for I8042 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn read(&mut self, offset: u64, data: &mut [u8]) {
        match (offset, data) {
            // Nobody typed: an empty buffer reads as 0.
            (DATA_OFFSET, [byte]) => *byte = self.output.take().unwrap_or(0),
            (COMMAND_OFFSET, [byte]) => *byte = self.status(),
            (_, data) => read_nothing(data),
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        match (offset, data) {
            (DATA_OFFSET, &[value]) => self.argument(value),
            (COMMAND_OFFSET, &[command]) => self.command(command),
            _ => {}
        }
    }

    fn save(&self) -> DeviceState {
        StateWriter::new()
            .u8(u8::from(self.output.is_some()))
            .u8(self.output.unwrap_or(0))
            .u8(self.configuration)
            .u8(self.pending)
            .u8(self.output_port)
            .finish(NAME, VERSION)
    }

    fn restore(&mut self, state: &DeviceState) -> Result<(), RestoreError> {
        let mut fields = StateReader::open(state, NAME, VERSION)?;
        let [full, byte, configuration, pending, output_port] = fields.array()?;
        let output = match (full, byte) {
            (0, 0) => None,
            (1, byte) => Some(byte),
            _ => return Err(fields.content("output")),
        };
        if pending != 0 && !takes_argument(pending) {
            return Err(fields.content("pending"));
        }
        if output_port & LINE_RESET == 0 {
            return Err(fields.content("output port"));
        }
        fields.finish()?;
        self.output = output;
        self.configuration = configuration;
        self.pending = pending;
        self.output_port = output_port;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Recorder, hostile_accesses, inb, outb, refuses_foreign_states};

    fn controller() -> (I8042, Recorder) {
        let out = Recorder::default();
        (I8042::new(Box::new(out.clone())), out)
    }

    #[test]
    fn the_reset_command_asks_for_a_reset() {
        let (mut device, out) = controller();
        outb(&mut device, 4, 0xfe);
        assert_eq!(out.take_requests(), [MachineRequest::Reset]);
        outb(&mut device, 4, 0xff);
        outb(&mut device, 0, 0xfe);
        device.write(4, &[0xfe, 0xfe]);
        assert_eq!(out.take_requests(), []);
        outb(&mut device, 4, WRITE_OUTPUT_PORT);
        outb(&mut device, 0, 0x02);
        assert_eq!(out.take_requests(), [MachineRequest::Reset]);
    }

    #[test]
    fn an_idle_controller_is_unlocked_and_empty() {
        let (mut device, _) = controller();
        assert_eq!(inb(&mut device, 4), STATUS_UNLOCKED | SYSTEM_FLAG);
        assert_eq!(inb(&mut device, 0), 0);
        assert_eq!(inb(&mut device, 1), 0xff);
    }

    #[test]
    fn answers_wait_until_they_are_read() {
        let (mut device, _) = controller();
        outb(&mut device, 4, SELF_TEST);
        assert_ne!(inb(&mut device, 4) & STATUS_OUTPUT_FULL, 0);
        assert_eq!(inb(&mut device, 0), 0x55);
        assert_eq!(inb(&mut device, 4) & STATUS_OUTPUT_FULL, 0);
        outb(&mut device, 4, TEST_KEYBOARD_PORT);
        assert_eq!(inb(&mut device, 0), 0);
    }

    #[test]
    fn the_configuration_byte_can_be_changed() {
        let (mut device, _) = controller();
        outb(&mut device, 4, WRITE_CONFIGURATION);
        outb(&mut device, 0, 0x61);
        // Without a command the byte is for a keyboard that is not there.
        outb(&mut device, 0, 0x99);
        assert_eq!(inb(&mut device, 0), NOT_TAKEN);
        outb(&mut device, 4, READ_CONFIGURATION);
        assert_eq!(inb(&mut device, 0), 0x61);
        assert_eq!(inb(&mut device, 4), STATUS_UNLOCKED);
    }

    #[test]
    fn nobody_has_to_wait_for_a_keyboard_that_is_not_there() {
        let (mut device, _) = controller();
        // As SeaBIOS looks for a keyboard: flush, self test, port test, reset of the keyboard.
        assert_eq!(inb(&mut device, 4) & STATUS_OUTPUT_FULL, 0);
        for (command, answer) in [(SELF_TEST, SELF_TEST_PASSED), (TEST_KEYBOARD_PORT, PORT_TEST_PASSED)] {
            outb(&mut device, 4, command);
            assert_eq!(inb(&mut device, 0), answer);
        }
        outb(&mut device, 0, 0xff);
        assert_ne!(inb(&mut device, 4) & STATUS_OUTPUT_FULL, 0);
        assert_eq!(inb(&mut device, 0), NOT_TAKEN);
        assert_eq!(inb(&mut device, 4) & STATUS_OUTPUT_FULL, 0);
        // A mouse says nothing.
        outb(&mut device, 4, WRITE_TO_MOUSE);
        outb(&mut device, 0, 0xff);
        assert_eq!(inb(&mut device, 4) & STATUS_OUTPUT_FULL, 0);
    }

    #[test]
    fn a20_is_remembered() {
        let (mut device, _) = controller();
        outb(&mut device, 4, DISABLE_A20);
        outb(&mut device, 4, READ_OUTPUT_PORT);
        assert_eq!(inb(&mut device, 0), LINE_RESET);
        outb(&mut device, 4, ENABLE_A20);
        outb(&mut device, 4, READ_OUTPUT_PORT);
        assert_eq!(inb(&mut device, 0), LINE_RESET | LINE_A20);
    }

    #[test]
    fn a_saved_controller_goes_on_where_it_was() {
        let (mut device, _) = controller();
        outb(&mut device, 4, SELF_TEST);
        outb(&mut device, 4, WRITE_CONFIGURATION);
        let (mut other, _) = controller();
        other.restore(&device.save()).unwrap();
        assert_eq!(inb(&mut other, 0), 0x55);
        outb(&mut other, 0, 0x30);
        outb(&mut other, 4, READ_CONFIGURATION);
        assert_eq!(inb(&mut other, 0), 0x30);
    }

    #[test]
    fn survives_a_hostile_guest_and_foreign_states() {
        let (mut device, _) = controller();
        hostile_accesses(&mut device, 5);
        refuses_foreign_states(&mut device);
        let mut state = device.save();
        state.data[3] = 0x11;
        assert_eq!(device.restore(&state), Err(RestoreError::Content { kind: NAME, field: "pending" }));
    }
}
