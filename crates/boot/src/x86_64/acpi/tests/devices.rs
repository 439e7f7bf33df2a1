//! What the DSDT says.

use super::walker::{Object, Resource, Value, objects, resources};
use super::*;

/// A device as a guest sees it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    name: String,
    hid: Value,
    uid: u64,
    resources: Vec<Resource>,
}

/// The devices below `\_SB`, and the objects at the root.
fn seen(config: &AcpiConfig, cpus: u32) -> (Vec<Seen>, Vec<(String, Value)>) {
    let dsdt = built(config, cpus).dsdt;
    assert_eq!(dsdt[8], 2, "integers have 64 bits");
    let mut devices = Vec::new();
    let mut root = Vec::new();
    for object in objects(&dsdt[36..]) {
        match object {
            Object::Scope(name, inner) if name == "_SB_" => {
                devices.extend(inner.into_iter().map(device));
            }
            Object::Name(name, value) => root.push((name, value)),
            other => panic!("{other:?}"),
        }
    }
    (devices, root)
}

fn device(object: Object) -> Seen {
    let Object::Device(name, inner) = object else { panic!("{object:?}") };
    let mut values = inner.into_iter().map(|object| match object {
        Object::Name(name, value) => (name, value),
        other => panic!("{other:?}"),
    });
    let (hid_name, hid) = values.next().unwrap();
    let (uid_name, uid) = values.next().unwrap();
    assert_eq!((hid_name.as_str(), uid_name.as_str()), ("_HID", "_UID"));
    let Value::Integer(uid) = uid else { panic!("{uid:?}") };
    let resources = match values.next() {
        None => Vec::new(),
        Some((name, Value::Buffer(template))) if name == "_CRS" => resources(&template),
        Some(other) => panic!("{other:?}"),
    };
    assert_eq!(values.next(), None);
    Seen { name, hid, uid, resources }
}

/// The number that the four bytes of a compressed EISA id are in AML (ACPI 6.5, section 19.3.4).
fn eisa(bytes: [u8; 4]) -> Value {
    Value::Integer(u32::from_le_bytes(bytes).into())
}

const PNP0501: [u8; 4] = [0x41, 0xd0, 0x05, 0x01];
const PNP0B00: [u8; 4] = [0x41, 0xd0, 0x0b, 0x00];
const PNP0C02: [u8; 4] = [0x41, 0xd0, 0x0c, 0x02];

/// Consumer, edge-triggered, active high, exclusive.
const EDGE_HIGH: u8 = 0b0011;

#[test]
fn the_usual_machine() {
    let (devices, root) = seen(&usual(), 2);
    let device = |name: &str, hid, uid, resources| Seen { name: name.into(), hid, uid, resources };
    let string = |text: &str| Value::String(text.into());
    let io = |start, length| Resource::Io { start, length };
    let memory = |start| Resource::Memory32 { start, length: 0x1000 };
    let edge = |gsi| Resource::Interrupt { flags: EDGE_HIGH, gsi };
    let expected = [
        device("C000", string("ACPI0007"), 0, vec![]),
        device("C001", string("ACPI0007"), 1, vec![]),
        device("COM1", eisa(PNP0501), 0, vec![io(0x3f8, 8), edge(4)]),
        device("COM2", eisa(PNP0501), 1, vec![io(0x2f8, 8), edge(3)]),
        device("RTC0", eisa(PNP0B00), 0, vec![io(0x70, 2), edge(8)]),
        device("PEVT", string("QEMU0001"), 0, vec![io(0x505, 1)]),
        device("VR00", string("LNRO0005"), 0, vec![memory(0xd000_1000), edge(5)]),
        device("VR01", string("LNRO0005"), 1, vec![memory(0xd000_2000), edge(6)]),
        device("MBRD", eisa(PNP0C02), 0, vec![io(0x600, 2), io(0x602, 1)]),
    ];
    assert_eq!(devices, expected);
    let zero = Value::Integer(0);
    let s5 = Value::Package(vec![Value::Integer(5), zero.clone(), zero.clone(), zero]);
    assert_eq!(root, [("_S5_".to_owned(), s5)]);
}

#[test]
fn each_cpu_has_a_device_with_the_uid_of_the_madt() {
    for cpus in [1, 2, 32] {
        let (devices, root) = seen(&AcpiConfig::default(), cpus);
        assert_eq!(devices.len(), cpus as usize);
        for (cpu, device) in devices.iter().enumerate() {
            assert_eq!(device.name, format!("C{cpu:03X}"));
            assert_eq!((&device.hid, device.uid), (&Value::String("ACPI0007".into()), cpu as u64));
        }
        assert_eq!(root, []);
    }
}

fn one_device(device: Device) -> Vec<Resource> {
    let config = AcpiConfig { devices: vec![device], ..AcpiConfig::default() };
    seen(&config, 1).0.pop().unwrap().resources
}

fn bare() -> Device {
    let (mmio, io, interrupts) = (Vec::new(), Vec::new(), Vec::new());
    Device { name: *b"DEV0", hid: "ABCD1234".into(), uid: 0, mmio, io, interrupts }
}

#[test]
fn memory_around_4_gib() {
    const END: u64 = 1 << 32;
    let mmio = vec![
        (0xd000_0000, 1),
        (END - 0x1000, 0x1000),
        (END, 0x1000),
        (1 << 40, 1 << 33),
        (u64::MAX - 1, 1),
        (0xd000_1000, 0x10_0000),
    ];
    let expected = [
        Resource::Memory32 { start: 0xd000_0000, length: 1 },
        Resource::Memory32 { start: END - 0x1000, length: 0x1000 },
        Resource::Memory64 { start: END, length: 0x1000 },
        Resource::Memory64 { start: 1 << 40, length: 1 << 33 },
        Resource::Memory64 { start: u64::MAX - 1, length: 1 },
        Resource::Memory32 { start: 0xd000_1000, length: 0x10_0000 },
    ];
    assert_eq!(one_device(Device { mmio, ..bare() }), expected);
    let across = Device { mmio: vec![(END - 0x1000, 0x2000)], ..bare() };
    assert_eq!(one_device(across), [Resource::Memory64 { start: END - 0x1000, length: 0x2000 }]);
}

#[test]
fn few_and_many_ports() {
    let io = vec![(0x1000, 255), (0x2000, 256), (0xff00, 0x100), (0xfe, 1)];
    let expected = [
        Resource::Io { start: 0x1000, length: 255 },
        Resource::WordIo { start: 0x2000, length: 256 },
        Resource::WordIo { start: 0xff00, length: 0x100 },
        Resource::Io { start: 0xfe, length: 1 },
    ];
    assert_eq!(one_device(Device { io, ..bare() }), expected);
    let all = Device { io: vec![(0, u16::MAX)], ..bare() };
    assert_eq!(one_device(all), [Resource::WordIo { start: 0, length: 0xffff }]);
}

#[test]
fn interrupts_say_how_they_are_driven() {
    let interrupts = vec![
        Interrupt { gsi: 23, trigger: Trigger::Level, polarity: Polarity::Low, shared: true },
        Interrupt { gsi: 22, trigger: Trigger::Level, polarity: Polarity::High, shared: false },
        Interrupt { gsi: 0, trigger: Trigger::Edge, polarity: Polarity::Low, shared: false },
    ];
    let expected = [
        Resource::Interrupt { flags: 0b1101, gsi: 23 },
        Resource::Interrupt { flags: 0b0001, gsi: 22 },
        Resource::Interrupt { flags: 0b0111, gsi: 0 },
    ];
    assert_eq!(one_device(Device { interrupts, ..bare() }), expected);
}

#[test]
fn a_reset_register_of_a_device_is_left_to_it() {
    let keyboard = Device { hid: "PNP0303".into(), io: vec![(0x60, 1), (0x64, 1)], name: *b"KBD_", ..bare() };
    let reset = Some(Reset { port: 0x64, value: 0xfe });
    let with = AcpiConfig { devices: vec![keyboard], reset, ..AcpiConfig::default() };
    let names =
        |config: &AcpiConfig| seen(config, 1).0.into_iter().map(|device| device.name).collect::<Vec<_>>();
    assert_eq!(names(&with), ["C000", "KBD_"]);
    assert_eq!(names(&AcpiConfig { devices: vec![], ..with }), ["C000", "MBRD"]);
}

/// Packages of every length up to some KiB, so that each form of PkgLength and its borders are met.
#[test]
fn packages_end_where_their_contents_end() {
    for count in (0..40).chain((500..520).chain([1000])) {
        let io: Vec<_> = (0..count).map(|index| (0x1000 + 2 * index, 1)).collect();
        let resources = one_device(Device { io: io.clone(), ..bare() });
        assert_eq!(resources.len(), io.len());
    }
    for count in 0..200 {
        let devices = (0..count).map(|index| Device { name: name(index), uid: index, ..bare() }).collect();
        let (devices, _) = seen(&AcpiConfig { devices, ..AcpiConfig::default() }, 1);
        assert_eq!(devices.len(), 1 + count as usize);
        assert!(devices.iter().skip(1).zip(0..).all(|(device, index)| device.uid == index));
    }
}

/// `DAAA`, `DAAB` and so on.
pub(super) fn name(index: u32) -> [u8; 4] {
    let letter = |place: u32| b'A' + (index / 26_u32.pow(place) % 26) as u8;
    [b'D', letter(2), letter(1), letter(0)]
}
