//! The DSDT: the machine's devices, and how it is powered off, in AML.

use super::config::{AcpiConfig, Device, Polarity, Trigger};
use acpi_tables::aml::{self, AddressSpace, AddressSpaceCacheable, EISAName, Memory32Fixed, Name, Package};
use acpi_tables::sdt::Sdt;
use acpi_tables::{Aml, AmlSink};

/// The head of a table.
const HEAD_LENGTH: u32 = 36;
/// From revision 2 on integers have 64 bits.
const REVISION: u8 = 2;

/// ACPI's id of a processor device.
const PROCESSOR_HID: &str = "ACPI0007";
/// "General id for reserving resources required by the motherboard".
const MOTHERBOARD_HID: &str = "PNP0C02";
const MOTHERBOARD_NAME: [u8; 4] = *b"MBRD";

/// The names below `\_SB` that the table takes for itself.
pub(super) fn own_names(cpus: u32) -> impl Iterator<Item = [u8; 4]> {
    (0..cpus).map(processor_name).chain([MOTHERBOARD_NAME])
}

/// C000 to CFFF. No machine has that many.
fn processor_name(cpu: u32) -> [u8; 4] {
    let digit = |shift: u32| b"0123456789ABCDEF"[(cpu >> shift & 0xf) as usize];
    [b'C', digit(8), digit(4), digit(0)]
}

/// The table (ACPI 6.5, section 5.2.11.1). The configuration has been checked.
pub(super) fn dsdt(config: &AcpiConfig, cpus: u32) -> Vec<u8> {
    let mut devices = Vec::new();
    for cpu in 0..cpus {
        // The uid is what joins it to its entry of the MADT.
        write_device(&mut devices, processor_name(cpu), PROCESSOR_HID, cpu, &[]);
    }
    for device in &config.devices {
        write_device(&mut devices, device.name, &device.hid, device.uid, &resources(device));
    }
    let reserved = reserved(config);
    if !reserved.is_empty() {
        write_device(&mut devices, MOTHERBOARD_NAME, MOTHERBOARD_HID, 0, &reserved);
    }
    let mut code = aml::Scope::raw("_SB_".into(), devices);
    if let Some(sleep) = config.sleep {
        // SLP_TYPa, SLP_TYPb, reserved twice (ACPI 6.5, section 7.4.2). No other state: it cannot be woken.
        let package = Package::new(vec![&sleep.s5, &aml::ZERO, &aml::ZERO, &aml::ZERO]);
        Name::new("_S5_".into(), &package).to_aml_bytes(&mut code);
    }
    let mut table = Sdt::new(*b"DSDT", HEAD_LENGTH, REVISION, config.oem.id, config.oem.table_id, 1);
    table.append_slice(&code);
    table.as_slice().to_vec()
}

fn write_device(code: &mut Vec<u8>, name: [u8; 4], hid: &str, uid: u32, resources: &[Resource]) {
    // An EISA id has seven characters and is told as a number.
    let hid = if hid.len() == 7 {
        Name::new("_HID".into(), &EISAName::new(hid))
    } else {
        Name::new("_HID".into(), &hid.to_owned())
    };
    let uid = Name::new("_UID".into(), &uid);
    let mut children: Vec<&dyn Aml> = vec![&hid, &uid];
    let template = aml::ResourceTemplate::new(resources.iter().map(|resource| &**resource).collect());
    let template = Name::new("_CRS".into(), &template);
    if !resources.is_empty() {
        children.push(&template);
    }
    let name = name.map(char::from).iter().collect::<String>();
    aml::Device::new(name.as_str().into(), children).to_aml_bytes(code);
}

type Resource = Box<dyn Aml>;

fn resources(device: &Device) -> Vec<Resource> {
    let mmio = device.mmio.iter().map(|&(start, length)| memory(start, length));
    let io = device.io.iter().map(|&(start, length)| ports(start, length));
    let interrupts = device.interrupts.iter().map(|interrupt| -> Resource {
        // Always the extended descriptor: Linux takes trigger and polarity from that one as they are.
        Box::new(aml::Interrupt::new(
            true,
            interrupt.trigger == Trigger::Edge,
            interrupt.polarity == Polarity::Low,
            interrupt.shared,
            interrupt.gsi,
        ))
    });
    mmio.chain(io).chain(interrupts).collect()
}

/// The ports of the power registers, so that a guest gives them to no driver. A reset register that is part of a
/// device is left to that.
fn reserved(config: &AcpiConfig) -> Vec<Resource> {
    let is_of_device = |port: u16| {
        let mut io = config.devices.iter().flat_map(|device| &device.io);
        io.any(|&(start, length)| port.checked_sub(start).is_some_and(|offset| offset < length))
    };
    let sleep = config.sleep.map(|sleep| ports(sleep.port, 2));
    let reset = config.reset.filter(|reset| !is_of_device(reset.port)).map(|reset| ports(reset.port, 1));
    sleep.into_iter().chain(reset).collect()
}

fn memory(start: u64, length: u64) -> Resource {
    match (u32::try_from(start), u32::try_from(length), u32::try_from(start + (length - 1))) {
        (Ok(start), Ok(length), Ok(_)) => Box::new(Memory32Fixed::new(true, start, length)),
        _ => Box::new(Consumed(AddressSpace::new_memory(
            AddressSpaceCacheable::NotCacheable,
            true,
            start,
            start + (length - 1),
            None,
        ))),
    }
}

fn ports(start: u16, length: u16) -> Resource {
    match u8::try_from(length) {
        Ok(length) => Box::new(aml::IO::new(start, start, 1, length)),
        Err(_) => Box::new(Consumed(AddressSpace::new_io(start, start + (length - 1), None))),
    }
}

/// An address space descriptor that says what the device uses, not what a bridge passes on.
struct Consumed<T>(AddressSpace<T>);

impl<T> Aml for Consumed<T>
where
    AddressSpace<T>: Aml,
{
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        /// Where the general flags are, and the flag for it (ACPI 6.5, section 6.4.3.5.1).
        const FLAGS: usize = 4;
        const CONSUMER: u8 = 1 << 0;
        let mut bytes = Vec::new();
        self.0.to_aml_bytes(&mut bytes);
        bytes[FLAGS] |= CONSUMER;
        sink.vec(&bytes);
    }
}
