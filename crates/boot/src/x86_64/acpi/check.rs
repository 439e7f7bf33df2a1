//! Whether a configuration can be told in ACPI, and makes sense.

use super::config::{AcpiConfig, Device, Interrupt};
use super::dsdt;
use crate::BootError;
use crate::x86_64::layout;
use std::collections::{BTreeMap, BTreeSet};

/// KVM's IOAPIC has 24 pins (`KVM_IOAPIC_NUM_PINS` in Linux's `arch/x86/include/uapi/asm/kvm.h`).
const IO_APIC_PINS: u32 = 24;
/// The sleep type is a field of three bits.
const MAX_SLEEP_TYPE: u8 = 7;
/// What the local APICs take: their registers, and the messages that other devices send them.
const LOCAL_APIC_RANGE: u64 = 0x10_0000;

/// A range of addresses or ports, and who has it.
struct Range {
    start: u64,
    /// One past its last.
    end: u64,
    owner: String,
}

/// What must hold before the tables are built.
///
/// # Errors
///
/// [`BootError::Devices`] with the first thing that is wrong.
pub(super) fn check(config: &AcpiConfig, cpus: u32) -> Result<(), BootError> {
    let mut io = registers(config)?;
    let mut mmio = vec![
        Range {
            start: layout::IO_APIC,
            end: layout::IO_APIC + layout::PAGE_SIZE,
            owner: "the IOAPIC".into(),
        },
        Range {
            start: layout::LOCAL_APIC,
            end: layout::LOCAL_APIC + LOCAL_APIC_RANGE,
            owner: "the local APICs".into(),
        },
    ];
    let mut names: BTreeSet<[u8; 4]> = dsdt::own_names(cpus).collect();
    let mut ids = BTreeSet::new();
    let mut lines = BTreeMap::new();
    for device in &config.devices {
        check_name(device)?;
        check_hid(device)?;
        let owner = format!("device {}", device.name.escape_ascii());
        if !names.insert(device.name) {
            return Err(wrong(format!("{owner}: the name is taken")));
        }
        if !ids.insert((&device.hid, device.uid)) {
            return Err(wrong(format!("{owner}: there is another {} with uid {}", device.hid, device.uid)));
        }
        for &(start, length) in &device.mmio {
            let end = start.checked_add(length).filter(|_| length > 0).ok_or_else(|| {
                wrong(format!("{owner}: {length} bytes at {start:#x} are no range of addresses"))
            })?;
            mmio.push(Range { start, end, owner: owner.clone() });
        }
        for &(start, length) in &device.io {
            let (start, end) = (u64::from(start), u64::from(start) + u64::from(length));
            if length == 0 || end > 0x1_0000 {
                return Err(wrong(format!("{owner}: {length} ports at {start:#x} are no range of ports")));
            }
            io.push(Range { start, end, owner: owner.clone() });
        }
        for &interrupt in &device.interrupts {
            check_interrupt(&owner, interrupt, &mut lines)?;
        }
    }
    check_overlap("address", mmio)?;
    check_overlap("port", io)
}

fn wrong(reason: String) -> BootError {
    BootError::Devices { reason }
}

/// Checks the two registers that are not of a device. The ports of the sleep registers are theirs alone, the
/// reset register may be one of a device, such as a keyboard controller.
fn registers(config: &AcpiConfig) -> Result<Vec<Range>, BootError> {
    if config.reset.is_some_and(|reset| reset.port == 0) {
        return Err(wrong("the reset register is at port 0, which means that there is none".into()));
    }
    let Some(sleep) = config.sleep else { return Ok(Vec::new()) };
    if sleep.port == 0 || sleep.port == u16::MAX {
        return Err(wrong(format!(
            "the sleep registers are at port {:#x}: possible are 0x1 to 0xfffe",
            sleep.port
        )));
    }
    if sleep.s5 > MAX_SLEEP_TYPE {
        return Err(wrong(format!(
            "the sleep type of soft-off is {}: possible are 0 to {MAX_SLEEP_TYPE}",
            sleep.s5
        )));
    }
    if let Some(reset) = config.reset.filter(|reset| matches!(reset.port.wrapping_sub(sleep.port), 0 | 1)) {
        return Err(wrong(format!("port {:#x} is a sleep register and the reset register", reset.port)));
    }
    let start = u64::from(sleep.port);
    Ok(vec![Range { start, end: start + 2, owner: "the sleep registers".into() }])
}

/// ACPI 6.5, section 5.3: a name segment, but not one that ACPI has reserved.
fn check_name(device: &Device) -> Result<(), BootError> {
    let [first, rest @ ..] = device.name;
    let rest_is_good = |byte: u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_');
    if first.is_ascii_uppercase() && rest.into_iter().all(rest_is_good) {
        return Ok(());
    }
    Err(wrong(format!(
        "device '{}': a name has four characters, a capital letter first, then capital letters, digits and '_'",
        device.name.escape_ascii()
    )))
}

/// ACPI 6.5, section 6.1.5.
fn check_hid(device: &Device) -> Result<(), BootError> {
    let hid = device.hid.as_bytes();
    let are_digits = |bytes: &[u8]| bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
    let is_good = match hid.len() {
        7 => hid[..3].iter().all(u8::is_ascii_uppercase) && are_digits(&hid[3..]),
        8 => {
            hid[..4].iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
                && are_digits(&hid[4..])
        }
        _ => false,
    };
    if is_good {
        return Ok(());
    }
    // A hid of a megabyte shall not become a message of a megabyte.
    let shown: String = device.hid.chars().take(16).collect();
    Err(wrong(format!(
        "device {}: hid '{}' is neither an EISA id such as PNP0501 nor an ACPI id such as LNRO0005",
        device.name.escape_ascii(),
        shown.escape_debug()
    )))
}

fn check_interrupt(
    owner: &str,
    interrupt: Interrupt,
    lines: &mut BTreeMap<u32, (Interrupt, String)>,
) -> Result<(), BootError> {
    let gsi = interrupt.gsi;
    if gsi >= IO_APIC_PINS {
        return Err(wrong(format!("{owner}: interrupt {gsi}: the IOAPIC has 0 to {}", IO_APIC_PINS - 1)));
    }
    let Some((other, other_owner)) = lines.insert(gsi, (interrupt, owner.to_owned())) else { return Ok(()) };
    if !(interrupt.shared && other.shared) {
        return Err(wrong(format!("{owner}: interrupt {gsi} is that of {other_owner}, and not shared")));
    }
    if interrupt != other {
        return Err(wrong(format!(
            "{owner}: interrupt {gsi} is shared with {other_owner}, but not of the same trigger and polarity"
        )));
    }
    Ok(())
}

fn check_overlap(unit: &str, mut ranges: Vec<Range>) -> Result<(), BootError> {
    ranges.sort_by_key(|range| range.start);
    for pair in ranges.windows(2) {
        let [low, high] = pair else { continue };
        if high.start < low.end {
            return Err(wrong(format!(
                "{} and {} both have {unit} {:#x}",
                low.owner, high.owner, high.start
            )));
        }
    }
    Ok(())
}
