//! Configurations that cannot be.

use super::devices::name;
use super::*;

/// The message, and that nothing was written.
fn message(config: &AcpiConfig, cpus: u32) -> String {
    let memory = memory();
    let error = build(&memory, config, cpus).unwrap_err();
    assert!(bytes_at(&memory, 0, 0x10_0000).iter().all(|byte| *byte == 0));
    format!("{}: {error}", error.field())
}

fn with(change: impl FnOnce(&mut AcpiConfig)) -> String {
    let mut config = usual();
    change(&mut config);
    message(&config, 2)
}

#[test]
fn numbers_of_cpus() {
    for cpus in [0, 33, 255, 10_000, u32::MAX] {
        assert_eq!(message(&usual(), cpus), format!("cpus: {cpus} vCPUs: a machine has 1 to 32"));
    }
}

#[test]
fn names() {
    let taken = |name: &[u8; 4]| with(|config| config.devices[0].name = *name);
    for name in [b"com1", b"COM.", b"1COM", b"COM ", b"_COM", b"\\COM", b"CO\0\0", b"\xff\xff\xff\xff"] {
        let message = taken(name);
        assert!(message.starts_with(&format!("devices: device '{}'", name.escape_ascii())), "{message}");
    }
    assert_eq!(taken(b"COM2"), "devices: device COM2: the name is taken");
    assert_eq!(taken(b"C001"), "devices: device C001: the name is taken");
    assert_eq!(taken(b"MBRD"), "devices: device MBRD: the name is taken");
    for name in [b"C002", b"CAFE", b"A___", b"Z999"] {
        let mut config = usual();
        config.devices[0].name = *name;
        build(&memory(), &config, 2).unwrap();
    }
}

#[test]
fn hids() {
    for hid in
        ["", "PNP", "pnp0501", "PNP050G", "PNP050a", "P0P0501", "PNP050111", "LNRO 005", "LNROO005", "ÄNP050"]
    {
        let message = with(|config| config.devices[0].hid = hid.into());
        assert!(message.starts_with(&format!("devices: device COM1: hid '{hid}' is neither")), "{message}");
    }
    let long = with(|config| config.devices[0].hid = "\u{1b}".repeat(1 << 20));
    assert!(long.len() < 300, "{} bytes", long.len());
    assert!(!long.contains('\u{1b}'));
    let same = with(|config| config.devices[1].uid = 0);
    assert_eq!(same, "devices: device COM2: there is another PNP0501 with uid 0");
}

#[test]
fn ranges_of_addresses() {
    for (start, length) in [(0xd000_0000, 0), (u64::MAX, 1), (1, u64::MAX), (u64::MAX, u64::MAX)] {
        assert_eq!(
            with(|config| config.devices[4].mmio = vec![(start, length)]),
            format!("devices: device VR00: {length} bytes at {start:#x} are no range of addresses")
        );
    }
    let overlap = |start, length| with(|config| config.devices[4].mmio = vec![(start, length)]);
    assert_eq!(overlap(0xd000_2fff, 1), "devices: device VR01 and device VR00 both have address 0xd0002fff");
    assert_eq!(overlap(0xd000_1fff, 2), "devices: device VR00 and device VR01 both have address 0xd0002000");
    assert_eq!(overlap(0xfec0_0800, 4), "devices: the IOAPIC and device VR00 both have address 0xfec00800");
    assert_eq!(
        overlap(0xfed0_0000, 0x10_0001),
        "devices: device VR00 and the local APICs both have address 0xfee00000"
    );
    let twice = with(|config| config.devices[4].mmio = vec![(0x1000, 1), (0x1000, 1)]);
    assert_eq!(twice, "devices: device VR00 and device VR00 both have address 0x1000");
}

#[test]
fn ranges_of_ports() {
    for (start, length) in [(0x80, 0), (0xffff, 2), (2, 0xffff), (0xffff, 0xffff)] {
        assert_eq!(
            with(|config| config.devices[3].io = vec![(start, length)]),
            format!("devices: device PEVT: {length} ports at {start:#x} are no range of ports")
        );
    }
    let overlap = |start, length| with(|config| config.devices[3].io = vec![(start, length)]);
    assert_eq!(overlap(0x3ff, 1), "devices: device COM1 and device PEVT both have port 0x3ff");
    assert_eq!(overlap(0x601, 1), "devices: the sleep registers and device PEVT both have port 0x601");
}

#[test]
fn interrupts() {
    let with = |interrupts: Vec<Interrupt>| with(|config| config.devices[4].interrupts = interrupts);
    for gsi in [24, u32::MAX] {
        let expected = format!("devices: device VR00: interrupt {gsi}: the IOAPIC has 0 to 23");
        assert_eq!(with(vec![Interrupt::edge(gsi)]), expected);
    }
    let expected = "devices: device VR00: interrupt 4 is that of device COM1, and not shared";
    assert_eq!(with(vec![Interrupt::edge(4)]), expected);
    assert_eq!(with(vec![Interrupt { shared: true, ..Interrupt::edge(4) }]), expected);
    let shared = Interrupt { shared: true, ..Interrupt::edge(20) };
    let other = Interrupt { trigger: Trigger::Level, ..shared };
    assert_eq!(
        with(vec![shared, other]),
        "devices: device VR00: interrupt 20 is shared with device VR00, but not of the same trigger and polarity"
    );
    let mut config = usual();
    config.devices[4].interrupts = vec![shared];
    config.devices[5].interrupts = vec![shared];
    build(&memory(), &config, 2).unwrap();
}

#[test]
fn registers() {
    let reset = |port| with(|config| config.reset = Some(Reset { port, value: 1 }));
    assert_eq!(reset(0), "devices: the reset register is at port 0, which means that there is none");
    assert_eq!(reset(0x600), "devices: port 0x600 is a sleep register and the reset register");
    assert_eq!(reset(0x601), "devices: port 0x601 is a sleep register and the reset register");
    let sleep = |port, s5| with(|config| config.sleep = Some(Sleep { port, s5 }));
    for port in [0, 0xffff] {
        let expected =
            format!("devices: the sleep registers are at port {port:#x}: possible are 0x1 to 0xfffe");
        assert_eq!(sleep(port, 5), expected);
    }
    assert_eq!(sleep(0x600, 8), "devices: the sleep type of soft-off is 8: possible are 0 to 7");
    assert_eq!(sleep(0x70, 5), "devices: the sleep registers and device RTC0 both have port 0x70");
}

#[test]
fn more_devices_than_there_is_room_for() {
    let mut config = AcpiConfig::default();
    let device = usual().devices.remove(4);
    config.devices = (0..26 * 26 * 26)
        .map(|index| Device {
            name: name(index),
            uid: index,
            mmio: vec![],
            interrupts: vec![],
            ..device.clone()
        })
        .collect();
    let at_least = 17_576 * 29;
    let message = message(&config, 1);
    let number = message
        .strip_prefix("devices: the ACPI tables take ")
        .and_then(|rest| rest.strip_suffix(" bytes, there is room for 131056"))
        .unwrap_or_else(|| panic!("{message}"));
    assert!(number.parse::<u64>().unwrap() > at_least, "{message}");
    // As many as there is room for do fit, up to the last byte but few.
    let tables = |count: usize| {
        let devices = config.devices[..count].to_vec();
        build(&memory(), &AcpiConfig { devices, ..config.clone() }, 1)
    };
    let most =
        (0..config.devices.len()).collect::<Vec<_>>().partition_point(|count| tables(*count).is_ok()) - 1;
    let last = *tables(most).unwrap().placed.last().unwrap();
    assert!(last.start + last.length > layout::RESET_VECTOR - 64, "{most} devices end at {last:?}");
}

#[test]
fn a_machine_without_memory_there() {
    for length in [0xe_0000, 0xe_0100] {
        let memory = GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(0), length)]).unwrap();
        let error = build(&memory, &usual(), 32).unwrap_err();
        assert_eq!(error.field(), "memory");
    }
}
