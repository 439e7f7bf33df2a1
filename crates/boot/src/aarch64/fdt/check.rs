//! Whether a configuration can be told in a device tree, and makes sense.

use super::config::{Device, FdtConfig, Gic};
use crate::BootError;
use crate::aarch64::MPIDR_AFFINITY;
use crate::aarch64::layout::{
    DEVICES, DEVICES_END, FIRST_DEVICE_INTERRUPT, GIC_V2_MAX_CPUS, INTERRUPT_LINES, MAX_CPUS, RAM_START,
};
use crate::ram::Ram;
use std::collections::{BTreeMap, BTreeSet};

/// There are places for these.
const MAX_SERIAL_PORTS: usize = 2;
const MAX_RNG_SEED: usize = 4096;
/// Without a page there is no RAM at all.
const SMALLEST_RAM: u64 = 4096;
/// The longest name of a node, without address (Devicetree Specification 0.4, section 2.2.1).
const MAX_NAME: usize = 31;
/// More than any device has.
const MAX_COMPATIBLE: usize = 255;

/// What must hold before the tree is built.
///
/// # Errors
///
/// [`BootError::Cpus`], or [`BootError::Devices`] with the first thing that is wrong; [`BootError::NoRoom`] without RAM.
pub(in crate::aarch64) fn check(config: &FdtConfig, ram: &Ram) -> Result<(), BootError> {
    let max = if config.gic == Gic::V2 { GIC_V2_MAX_CPUS } else { MAX_CPUS };
    let found = u32::try_from(config.cpus.len()).unwrap_or(u32::MAX);
    if !(1..=max).contains(&found) {
        return Err(BootError::Cpus { found, max });
    }
    let mut affinities = BTreeSet::new();
    for &cpu in &config.cpus {
        if cpu & !MPIDR_AFFINITY != 0 {
            return Err(wrong(format!(
                "{cpu:#x} is no affinity of a vCPU: it has bits of {:#x} only",
                MPIDR_AFFINITY
            )));
        }
        if !affinities.insert(cpu) {
            return Err(wrong(format!("two vCPUs have the affinity {cpu:#x}")));
        }
    }
    if config.serial.len() > MAX_SERIAL_PORTS {
        let ports = config.serial.len();
        return Err(wrong(format!("{ports} serial ports: a machine has at most {MAX_SERIAL_PORTS}")));
    }
    if config.rng_seed.len() > MAX_RNG_SEED {
        let length = config.rng_seed.len();
        return Err(wrong(format!("a seed of {length} bytes for random numbers: at most {MAX_RNG_SEED}")));
    }
    if ram.ranges().is_empty() {
        return Err(BootError::NoRoom { what: "a machine", length: SMALLEST_RAM, from: RAM_START, room: 0 });
    }
    check_devices(&config.devices)
}

fn wrong(reason: String) -> BootError {
    BootError::Devices { reason }
}

fn check_devices(devices: &[Device]) -> Result<(), BootError> {
    let mut names = BTreeSet::new();
    let mut lines = BTreeMap::new();
    let mut ranges = Vec::new();
    for device in devices {
        check_name(device)?;
        let owner = &device.name;
        check_compatible(device)?;
        for &(start, length) in &device.reg {
            let end =
                start.checked_add(length).filter(|end| length > 0 && start >= DEVICES && *end <= DEVICES_END);
            let end = end.ok_or_else(|| {
                wrong(format!(
                    "device {owner}: {length} bytes at {start:#x}: devices are at {DEVICES:#x} to {DEVICES_END:#x}"
                ))
            })?;
            ranges.push((start, end, owner));
        }
        // With an address the name is as unique as that one.
        if device.reg.is_empty() && !names.insert(owner) {
            return Err(wrong(format!("device {owner}: the name is taken")));
        }
        for interrupt in &device.interrupts {
            let spi = interrupt.spi;
            if !(FIRST_DEVICE_INTERRUPT..INTERRUPT_LINES).contains(&spi) {
                let last = INTERRUPT_LINES - 1;
                return Err(wrong(format!(
                    "device {owner}: interrupt {spi}: those of devices are {FIRST_DEVICE_INTERRUPT} to {last}"
                )));
            }
            if let Some(other) = lines.insert(spi, owner) {
                return Err(wrong(format!("device {owner}: interrupt {spi} is that of device {other}")));
            }
        }
    }
    ranges.sort_by_key(|(start, ..)| *start);
    for pair in ranges.windows(2) {
        let [(_, end, low), (start, _, high)] = pair else { continue };
        if start < end {
            return Err(wrong(format!("device {low} and device {high} both have address {start:#x}")));
        }
    }
    Ok(())
}

/// A name of a megabyte shall not become a message of a megabyte.
fn shown(text: &str) -> String {
    let shown: String = text.chars().take(40).collect();
    shown.escape_debug().to_string()
}

/// Devicetree Specification 0.4, section 2.2.1; and no name that the tree has already.
fn check_name(device: &Device) -> Result<(), BootError> {
    const OWN: [&str; 9] =
        ["aliases", "apb-pclk", "chosen", "cpus", "intc", "memory", "pmu", "psci", "timer"];
    let name = device.name.as_bytes();
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b",._+-".contains(&byte);
    let starts_well = name.first().is_some_and(u8::is_ascii_alphabetic);
    if !starts_well || name.len() > MAX_NAME || !name.iter().copied().all(is_good) {
        return Err(wrong(format!(
            "device '{}': a name has 1 to {MAX_NAME} letters, digits and ',._+-', a letter first",
            shown(&device.name)
        )));
    }
    if device.reg.is_empty() && OWN.contains(&device.name.as_str()) {
        return Err(wrong(format!("device {}: the name is taken", device.name)));
    }
    Ok(())
}

/// Section 2.3.1: printable, not empty.
fn check_compatible(device: &Device) -> Result<(), BootError> {
    let is_good = |text: &String| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if device.compatible.is_empty() || device.compatible.len() > MAX_COMPATIBLE {
        return Err(wrong(format!("device {}: it is compatible to nothing, or to too much", device.name)));
    }
    match device.compatible.iter().find(|text| !is_good(text)) {
        Some(text) => Err(wrong(format!(
            "device {}: '{}' is not what it can be compatible to",
            device.name,
            shown(text)
        ))),
        None => Ok(()),
    }
}
