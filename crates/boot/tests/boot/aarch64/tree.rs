//! The device tree, read back.

use super::fdt::Node;
use super::support::*;
use crate::support::*;
use vmhatch_boot::aarch64::fdt::{Device, FdtConfig, Gic, Interrupt, SerialPort, Trigger};
use vmhatch_boot::aarch64::{Plan, layout, mpidr};

fn tree(config: &FdtConfig) -> Node {
    let image = ImageBuilder::default().build();
    loaded(&arm_ram(64), &Plan::new(&image, config)).1
}

/// A machine with all that there is.
fn full() -> FdtConfig {
    FdtConfig {
        gic: Gic::V3 { has_its: true },
        serial: vec![SerialPort::Ns16550a, SerialPort::Pl011],
        has_rtc: true,
        has_pvpanic: true,
        has_boot_timer: true,
        has_pmu: true,
        devices: vec![Device {
            name: "virtio_mmio".to_owned(),
            compatible: vec!["virtio,mmio".to_owned()],
            reg: vec![(0xa00_0000, 0x200)],
            interrupts: vec![Interrupt::edge(16)],
            is_dma_coherent: true,
        }],
        rng_seed: (0..64).collect(),
        kaslr_seed: Some(0x0123_4567_89ab_cdef),
        ..FdtConfig::new(2)
    }
}

#[test]
fn a_small_machine() {
    let root = tree(&FdtConfig::new(1));
    assert_eq!(root.text("compatible"), "linux,dummy-virt");
    assert_eq!((root.cell("#address-cells"), root.cell("#size-cells")), (2, 2));
    assert_eq!(
        root.names(),
        [
            "chosen",
            "aliases",
            "memory@40000000",
            "cpus",
            "psci",
            "intc@8000000",
            "timer",
            "apb-pclk",
            "serial@9000000"
        ]
    );
    let chosen = root.child("chosen");
    assert_eq!(chosen.properties, [("stdout-path".to_owned(), b"/serial@9000000\0".to_vec())]);
    let memory = root.child("memory@40000000");
    assert_eq!((memory.text("device_type"), memory.numbers("reg")), ("memory", vec![RAM_START, 64 * MIB]));
    let psci = root.child("psci");
    assert_eq!(
        (psci.texts("compatible"), psci.text("method")),
        (vec!["arm,psci-1.0", "arm,psci-0.2"], "hvc")
    );
}

#[test]
fn cpus() {
    let cpus = tree(&FdtConfig::new(2));
    let cpus = cpus.child("cpus");
    assert_eq!((cpus.cell("#address-cells"), cpus.cell("#size-cells")), (2, 0));
    assert_eq!(cpus.names(), ["cpu@0", "cpu@1"]);
    for (cpu, number) in cpus.children.iter().zip(0..) {
        assert_eq!((cpu.text("device_type"), cpu.text("enable-method")), ("cpu", "psci"));
        assert_eq!((cpu.text("compatible"), cpu.numbers("reg")), ("arm,armv8", vec![number]));
    }
    // KVM's affinities: 16 vCPUs for each value of the second field.
    assert_eq!([0, 15, 16, 255, 511, 4096].map(mpidr), [0, 0xf, 0x100, 0xf0f, 0x1f0f, 0x1_0000]);
    let many = tree(&FdtConfig::new(512));
    assert_eq!(many.child("cpus").children.len(), 512);
    assert_eq!(many.child("cpus").child("cpu@1f0f").numbers("reg"), [0x1f0f]);
    // Those that the caller gives, with the highest field too.
    let other = tree(&FdtConfig { cpus: vec![0x1_0000_0000, 0xff_00ff_ffff], ..FdtConfig::new(0) });
    assert_eq!(other.child("cpus").names(), ["cpu@100000000", "cpu@ff00ffffff"]);
    assert_eq!(other.child("cpus").children[1].cells("reg"), [0xff, 0xff_ffff]);
}

#[test]
fn a_gicv3() {
    for (cpus, redistributors) in [(1, 0x80a_0000), (123, 0x80a_0000), (124, 0x3800_0000), (512, 0x3800_0000)]
    {
        let root = tree(&FdtConfig::new(cpus));
        let gic = root.child("intc@8000000");
        assert_eq!(gic.text("compatible"), "arm,gic-v3");
        assert_eq!((gic.property("interrupt-controller"), gic.property("ranges")), (&b""[..], &b""[..]));
        assert_eq!((gic.cell("#interrupt-cells"), gic.cell("#redistributor-regions")), (3, 1));
        let length = u64::from(cpus) * 0x2_0000;
        assert_eq!(gic.numbers("reg"), [0x800_0000, 0x1_0000, redistributors, length]);
        assert!(redistributors + length <= if cpus <= 123 { 0x900_0000 } else { RAM_START });
        assert_eq!(layout::redistributors(cpus), redistributors);
        assert!(gic.children.is_empty());
        assert_eq!(root.cell("interrupt-parent"), gic.cell("phandle"));
        let timer = root.child("timer");
        assert_eq!(timer.text("compatible"), "arm,armv8-timer");
        // Level-triggered PPIs: secure, physical, virtual, hypervisor.
        assert_eq!(timer.cells("interrupts"), [1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4]);
    }
    let root = tree(&full());
    let its = &root.child("intc@8000000").children[0];
    assert_eq!((its.name.as_str(), its.text("compatible")), ("msi-controller@8080000", "arm,gic-v3-its"));
    assert_eq!((its.numbers("reg"), its.cell("#msi-cells")), (vec![0x808_0000, 0x2_0000], 1));
    assert_eq!(its.property("msi-controller"), b"");
    assert_eq!(root.child("pmu").cells("interrupts"), [1, 7, 4]);
}

#[test]
fn a_gicv2() {
    for (cpus, mask) in [(1, 0x104), (2, 0x304), (8, 0xff04)] {
        let root = tree(&FdtConfig { gic: Gic::V2, has_pmu: true, ..FdtConfig::new(cpus) });
        let gic = root.child("intc@8000000");
        assert_eq!(gic.text("compatible"), "arm,cortex-a15-gic");
        assert_eq!(gic.numbers("reg"), [0x800_0000, 0x1000, 0x801_0000, 0x2000]);
        assert_eq!(gic.cell("#interrupt-cells"), 3);
        assert_eq!(root.child("timer").cells("interrupts")[..3], [1, 13, mask]);
        assert_eq!(root.child("pmu").cells("interrupts"), [1, 7, mask]);
    }
}

#[test]
fn serial_ports_and_clock() {
    let root = tree(&full());
    let first = root.child("serial@9000000");
    assert_eq!((first.text("compatible"), first.numbers("reg")), ("ns16550a", vec![0x900_0000, 0x1000]));
    assert_eq!((first.cells("interrupts"), first.cell("clock-frequency")), (vec![0, 1, 1], 1_843_200));
    assert_eq!((first.cell("reg-shift"), first.cell("reg-io-width")), (0, 1));
    let second = root.child("serial@9040000");
    assert_eq!(
        (second.texts("compatible"), second.numbers("reg")),
        (vec!["arm,pl011", "arm,primecell"], vec![0x904_0000, 0x1000])
    );
    let clock = root.child("apb-pclk");
    assert_eq!((clock.text("compatible"), clock.cell("clock-frequency")), ("fixed-clock", 24_000_000));
    assert_eq!(
        (second.cells("interrupts"), second.cells("clocks")),
        (vec![0, 8, 1], vec![clock.cell("phandle"); 2])
    );
    assert_eq!(second.texts("clock-names"), ["uartclk", "apb_pclk"]);
    let aliases = root.child("aliases");
    assert_eq!((aliases.text("serial0"), aliases.text("serial1")), ("/serial@9000000", "/serial@9040000"));
    let rtc = root.child("rtc@9010000");
    assert_eq!(
        (rtc.texts("compatible"), rtc.numbers("reg")),
        (vec!["arm,pl031", "arm,primecell"], vec![0x901_0000, 0x1000])
    );
    assert_eq!((rtc.cells("interrupts"), rtc.texts("clock-names")), (vec![0, 2, 1], vec!["apb_pclk"]));
    let pvpanic = root.child("pvpanic@9060000");
    assert_eq!(
        (pvpanic.text("compatible"), pvpanic.numbers("reg")),
        ("qemu,pvpanic-mmio", vec![0x906_0000, 2])
    );
    assert_eq!(root.child("chosen").numbers("vmhatch,boot-timer"), [0x905_0000]);
    // A PL011 may be the console, and a machine may have none.
    let root = tree(&FdtConfig { serial: vec![SerialPort::Pl011], ..FdtConfig::new(1) });
    assert_eq!(root.child("serial@9000000").texts("compatible")[0], "arm,pl011");
    assert_eq!(root.child("chosen").text("stdout-path"), "/serial@9000000");
    let root = tree(&FdtConfig { serial: vec![], ..FdtConfig::new(1) });
    assert!(root.child("chosen").properties.is_empty() && root.child("aliases").properties.is_empty());
}

#[test]
fn devices_and_seeds() {
    let mut config = full();
    config.devices.push(Device {
        name: "thermometer".to_owned(),
        compatible: vec!["vmhatch,thermometer-2".to_owned(), "vmhatch,thermometer".to_owned()],
        reg: vec![(0x37ff_0000, 0x1000), (0x37ff_f000, 0x1000)],
        interrupts: vec![Interrupt { spi: 255, trigger: Trigger::Level }, Interrupt::edge(17)],
        is_dma_coherent: false,
    });
    config.devices.push(Device {
        name: "nothing".to_owned(),
        compatible: vec!["vmhatch,nothing".to_owned()],
        reg: vec![],
        interrupts: vec![],
        is_dma_coherent: false,
    });
    let root = tree(&config);
    let virtio = root.child("virtio_mmio@a000000");
    assert_eq!((virtio.text("compatible"), virtio.numbers("reg")), ("virtio,mmio", vec![0xa00_0000, 0x200]));
    assert_eq!((virtio.cells("interrupts"), virtio.property("dma-coherent")), (vec![0, 16, 1], &b""[..]));
    let thermometer = root.child("thermometer@37ff0000");
    assert_eq!(thermometer.texts("compatible"), ["vmhatch,thermometer-2", "vmhatch,thermometer"]);
    assert_eq!(thermometer.numbers("reg"), [0x37ff_0000, 0x1000, 0x37ff_f000, 0x1000]);
    assert_eq!(thermometer.cells("interrupts"), [0, 255, 4, 0, 17, 1]);
    assert!(thermometer.find("dma-coherent").is_none());
    assert_eq!(root.child("nothing").properties.len(), 1);
    let chosen = root.child("chosen");
    assert_eq!(chosen.property("rng-seed"), (0..64).collect::<Vec<u8>>());
    assert_eq!(chosen.numbers("kaslr-seed"), [0x0123_4567_89ab_cdef]);
}

/// The largest tree there is: a kernel takes 2 MiB.
#[test]
fn many_devices() {
    let device = |index: u64| Device {
        name: "a-device-with-a-name-of-31-chars".chars().take(31).collect(),
        compatible: vec!["x".repeat(150); 10],
        reg: vec![(0xa00_0000 + index * 0x1000, 0x1000)],
        interrupts: vec![],
        is_dma_coherent: true,
    };
    let image = ImageBuilder::default().build();
    let config = |devices| FdtConfig { devices: (0..devices).map(device).collect(), ..FdtConfig::new(512) };
    let large = config(1250);
    let (large, root) = loaded(&arm_ram(64), &Plan::new(&image, &large));
    assert!(placed_at(&large, "device tree").1 > 1_900_000);
    assert_eq!(root.child("a-device-with-a-name-of-31-char@a000000").texts("compatible").len(), 10);
    let (field, message) = refused(&arm_ram(64), &Plan::new(&image, &config(1500)));
    assert_eq!(field, "devices");
    assert!(
        message.starts_with("the nodes of the device tree take 2") && message.ends_with("room for 2097152"),
        "{message}"
    );
}
