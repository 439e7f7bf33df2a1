//! What a machine tells about itself in its ACPI tables.

/// What the tables say, other than CPUs and interrupt controllers, which every machine has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AcpiConfig {
    /// The devices that a guest cannot find by itself, in the order in which it shall find them.
    pub devices: Vec<Device>,
    /// How a guest resets the machine. Without it guests try the keyboard controller, then a triple fault.
    pub reset: Option<Reset>,
    /// How a guest powers the machine off. Without it a guest can only halt.
    pub sleep: Option<Sleep>,
    /// There is a keyboard controller at ports 0x60 and 0x64. Without it guests do not look for one.
    pub has_i8042: bool,
    /// There is a CMOS clock at ports 0x70 and 0x71. Without it guests do not look for one.
    pub has_cmos_rtc: bool,
    /// Who made the tables.
    pub oem: Oem,
}

/// The reset register (ACPI 6.5, section 4.8.3.6): a byte-wide port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reset {
    /// The port. Not 0: the tables cannot express that.
    pub port: u16,
    /// The value that resets the machine when it is written there.
    pub value: u8,
}

/// The sleep control and sleep status registers (ACPI 6.5, section 4.8.3.7), each a byte-wide port.
///
/// Guests take soft-off for impossible unless they find both, although the second never says anything in a
/// machine that does not wake up. So it has a port of its own, the one after the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sleep {
    /// The port of the sleep control register, that of the sleep status register is the next one. Not 0.
    pub port: u16,
    /// The sleep type that means soft-off, 0 to 7: what the device at `port` takes for it.
    pub s5: u8,
}

/// The manufacturer in the head of each table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Oem {
    /// Who it is.
    pub id: [u8; 6],
    /// What it is a table of.
    pub table_id: [u8; 8],
}

impl Default for Oem {
    fn default() -> Self {
        Self { id: *b"VMHTCH", table_id: *b"VMHATCH " }
    }
}

/// A device of the machine, as a guest finds it below `\_SB`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name: A to Z, 0 to 9 and `_`, the first no digit. Names that start with `_` belong to ACPI.
    pub name: [u8; 4],
    /// What it is, for drivers to find: an EISA id (three letters, four hexadecimal digits: `PNP0501`) or an ACPI id
    /// (four letters or digits, four hexadecimal digits: `LNRO0005`), all in capitals.
    pub hid: String,
    /// Which one of those it is. No two devices have both `hid` and `uid` in common.
    pub uid: u32,
    /// Its registers in memory: first address, bytes.
    pub mmio: Vec<(u64, u64)>,
    /// Its ports: first port, number of ports.
    pub io: Vec<(u16, u16)>,
    /// Its interrupts.
    pub interrupts: Vec<Interrupt>,
}

/// An interrupt of a device, as it arrives at the IOAPIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupt {
    /// The global system interrupt: here, the IOAPIC's pin, 0 to 23. Of an ISA interrupt it is the same number.
    pub gsi: u32,
    /// What on the line is an interrupt.
    pub trigger: Trigger,
    /// Which level of the line is active.
    pub polarity: Polarity,
    /// Other devices may use it too. All of them have to say so.
    pub shared: bool,
}

impl Interrupt {
    /// An interrupt as the ISA bus has it: edge-triggered, active high, not shared. Virtio devices whose line is an
    /// irqfd are such too.
    pub const fn edge(gsi: u32) -> Self {
        Self { gsi, trigger: Trigger::Edge, polarity: Polarity::High, shared: false }
    }
}

/// What on an interrupt line is an interrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// The change to the active level.
    Edge,
    /// The active level, as long as it lasts.
    Level,
}

/// Which level of an interrupt line is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polarity {
    /// The high level.
    High,
    /// The low level.
    Low,
}
