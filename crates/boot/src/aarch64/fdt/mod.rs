//! The device tree: what the machine has, for a kernel that cannot find out by itself.
//!
//! The specification is that of devicetree.org, 0.4; each node's is the file of Linux's
//! Documentation/devicetree/bindings that is named at it.

mod check;
mod config;

pub(super) use check::check;
pub use config::{Device, FdtConfig, Gic, Interrupt, SerialPort, Trigger};

use super::layout::{
    BOOT_TIMER, DEVICE_LENGTH, GIC_CPU_INTERFACE, GIC_DISTRIBUTOR, GIC_ITS, GIC_ITS_LENGTH,
    GIC_REDISTRIBUTOR_LENGTH, GIC_V2_CPU_INTERFACE_LENGTH, GIC_V2_DISTRIBUTOR_LENGTH,
    GIC_V3_DISTRIBUTOR_LENGTH, PVPANIC, RTC, RTC_INTERRUPT, SERIAL, SERIAL_2, SERIAL_2_INTERRUPT,
    SERIAL_INTERRUPT, redistributors,
};
use crate::BootError;
use std::ops::Range;
use vm_fdt::{Error, FdtWriter};

/// booting.rst: a device tree "must not exceed 2 megabytes in size".
pub const FDT_MAX: u64 = 2 << 20;

/// What nodes are referred to by.
const GIC_PHANDLE: u32 = 1;
const CLOCK_PHANDLE: u32 = 2;

/// The first cell of an interrupt (arm,gic-v3.yaml).
const SPI: u32 = 0;
const PPI: u32 = 1;
/// The last cell (include/dt-bindings/interrupt-controller/irq.h).
const EDGE_RISING: u32 = 1;
const LEVEL_HIGH: u32 = 4;

/// timer/arm,arch_timer.yaml: secure, non-secure, virtual and hypervisor timer. KVM's are fixed but for the GIC's offset of
/// 16 (`KVM_ARM_VCPU_TIMER_CTRL`): 27 is the virtual one, 30 the physical one.
const TIMER_PPIS: [u32; 4] = [13, 14, 11, 10];
/// arm/pmu.yaml: the number that the machine gives to `KVM_ARM_VCPU_PMU_V3_IRQ`, less 16.
const PMU_PPI: u32 = 7;
/// The clock of the PrimeCell devices, as QEMU's `virt` has it.
const CLOCK_HZ: u32 = 24_000_000;
/// The clock of a PC's serial port: 115,200 baud and 16 cycles each.
const SERIAL_CLOCK_HZ: u32 = 1_843_200;

impl Trigger {
    fn cell(self) -> u32 {
        match self {
            Self::Edge => EDGE_RISING,
            Self::Level => LEVEL_HIGH,
        }
    }
}

/// The tree of a machine whose configuration was checked.
///
/// # Errors
///
/// [`BootError::TablesTooBig`] if devices need more room than a kernel gives them.
pub(super) fn build(
    config: &FdtConfig,
    ram: &[Range<u64>],
    command_line: &[u8],
    initrd: Option<&Range<u64>>,
) -> Result<Vec<u8>, BootError> {
    let mut tree = Tree { writer: FdtWriter::new().map_err(failed)?, config };
    tree.write(ram, command_line, initrd).map_err(failed)?;
    let bytes = tree.writer.finish().map_err(failed)?;
    let needed = bytes.len() as u64;
    if needed > FDT_MAX {
        return Err(BootError::TablesTooBig { what: "the nodes of the device tree", needed, room: FDT_MAX });
    }
    Ok(bytes)
}

/// What the writer refuses is checked before.
fn failed(error: Error) -> BootError {
    BootError::Devices { reason: format!("the device tree: {error}") }
}

struct Tree<'a> {
    writer: FdtWriter,
    config: &'a FdtConfig,
}

/// The address of a node, for its name.
fn at(name: &str, address: u64) -> String {
    format!("{name}@{address:x}")
}

impl Tree<'_> {
    fn write(
        &mut self,
        ram: &[Range<u64>],
        command_line: &[u8],
        initrd: Option<&Range<u64>>,
    ) -> Result<(), Error> {
        let root = self.writer.begin_node("")?;
        self.writer.property_string("compatible", "linux,dummy-virt")?;
        self.writer.property_string("model", "vmhatch")?;
        self.writer.property_u32("#address-cells", 2)?;
        self.writer.property_u32("#size-cells", 2)?;
        self.writer.property_u32("interrupt-parent", GIC_PHANDLE)?;
        self.chosen(command_line, initrd)?;
        self.aliases()?;
        self.memory(ram)?;
        self.cpus()?;
        self.psci()?;
        self.gic()?;
        self.timer()?;
        if self.config.has_pmu {
            self.pmu()?;
        }
        self.clock()?;
        for (index, port) in self.config.serial.iter().enumerate() {
            self.serial(index, *port)?;
        }
        if self.config.has_rtc {
            self.primecell("rtc", "arm,pl031", RTC, RTC_INTERRUPT, &["apb_pclk"])?;
        }
        if self.config.has_pvpanic {
            self.pvpanic()?;
        }
        for device in &self.config.devices {
            self.device(device)?;
        }
        self.writer.end_node(root)
    }

    /// chosen.yaml in dt-schema; Documentation/arch/arm64/booting.rst.
    fn chosen(&mut self, command_line: &[u8], initrd: Option<&Range<u64>>) -> Result<(), Error> {
        let node = self.writer.begin_node("chosen")?;
        // Without one the kernel's own counts, if it was built with one.
        if !command_line.is_empty() {
            self.writer.property("bootargs", &[command_line, b"\0"].concat())?;
        }
        if !self.config.serial.is_empty() {
            self.writer.property_string("stdout-path", &serial_path(0))?;
        }
        if let Some(initrd) = initrd {
            self.writer.property_u64("linux,initrd-start", initrd.start)?;
            self.writer.property_u64("linux,initrd-end", initrd.end)?;
        }
        if !self.config.rng_seed.is_empty() {
            self.writer.property("rng-seed", &self.config.rng_seed)?;
        }
        if self.config.has_boot_timer {
            // Of our own: it is no device that a driver is for.
            self.writer.property_u64("vmhatch,boot-timer", BOOT_TIMER)?;
        }
        if let Some(seed) = self.config.kaslr_seed {
            self.writer.property_u64("kaslr-seed", seed)?;
        }
        self.writer.end_node(node)
    }

    /// They number `ttyS` and `ttyAMA`.
    fn aliases(&mut self) -> Result<(), Error> {
        let node = self.writer.begin_node("aliases")?;
        for index in 0..self.config.serial.len() {
            self.writer.property_string(&format!("serial{index}"), &serial_path(index))?;
        }
        self.writer.end_node(node)
    }

    /// Devicetree Specification, section 3.4.
    fn memory(&mut self, ram: &[Range<u64>]) -> Result<(), Error> {
        let node = self.writer.begin_node(&at("memory", ram.first().map_or(0, |range| range.start)))?;
        self.writer.property_string("device_type", "memory")?;
        let reg: Vec<u64> = ram.iter().flat_map(|range| [range.start, range.end - range.start]).collect();
        self.writer.property_array_u64("reg", &reg)?;
        self.writer.end_node(node)
    }

    /// arm/cpus.yaml
    fn cpus(&mut self) -> Result<(), Error> {
        let node = self.writer.begin_node("cpus")?;
        self.writer.property_u32("#address-cells", 2)?;
        self.writer.property_u32("#size-cells", 0)?;
        for &affinity in &self.config.cpus {
            let cpu = self.writer.begin_node(&at("cpu", affinity))?;
            self.writer.property_string("device_type", "cpu")?;
            self.writer.property_string("compatible", "arm,armv8")?;
            self.writer.property_u64("reg", affinity)?;
            self.writer.property_string("enable-method", "psci")?;
            self.writer.end_node(cpu)?;
        }
        self.writer.end_node(node)
    }

    /// arm/psci.yaml
    fn psci(&mut self) -> Result<(), Error> {
        let node = self.writer.begin_node("psci")?;
        let compatible = ["arm,psci-1.0", "arm,psci-0.2"].map(str::to_owned);
        self.writer.property_string_list("compatible", compatible.into())?;
        self.writer.property_string("method", "hvc")?;
        self.writer.end_node(node)
    }

    /// interrupt-controller/arm,gic-v3.yaml and arm,gic.yaml
    fn gic(&mut self) -> Result<(), Error> {
        let node = self.writer.begin_node(&at("intc", GIC_DISTRIBUTOR))?;
        self.writer.property_null("interrupt-controller")?;
        self.writer.property_u32("#interrupt-cells", 3)?;
        self.writer.property_u32("#address-cells", 2)?;
        self.writer.property_u32("#size-cells", 2)?;
        self.writer.property_null("ranges")?;
        self.writer.property_phandle(GIC_PHANDLE)?;
        match self.config.gic {
            Gic::V2 => {
                self.writer.property_string("compatible", "arm,cortex-a15-gic")?;
                self.reg(&[
                    (GIC_DISTRIBUTOR, GIC_V2_DISTRIBUTOR_LENGTH),
                    (GIC_CPU_INTERFACE, GIC_V2_CPU_INTERFACE_LENGTH),
                ])?;
            }
            Gic::V3 { has_its } => {
                // Checked: at most MAX_CPUS.
                let cpus = self.config.cpus.len() as u32;
                self.writer.property_string("compatible", "arm,gic-v3")?;
                self.writer.property_u32("#redistributor-regions", 1)?;
                self.reg(&[
                    (GIC_DISTRIBUTOR, GIC_V3_DISTRIBUTOR_LENGTH),
                    (redistributors(cpus), u64::from(cpus) * GIC_REDISTRIBUTOR_LENGTH),
                ])?;
                if has_its {
                    let its = self.writer.begin_node(&at("msi-controller", GIC_ITS))?;
                    self.writer.property_string("compatible", "arm,gic-v3-its")?;
                    self.writer.property_null("msi-controller")?;
                    self.writer.property_u32("#msi-cells", 1)?;
                    self.reg(&[(GIC_ITS, GIC_ITS_LENGTH)])?;
                    self.writer.end_node(its)?;
                }
            }
        }
        self.writer.end_node(node)
    }

    /// The last cell of a CPU's own interrupt: with a GICv2 it also says to which CPUs it goes.
    fn ppi_flags(&self) -> u32 {
        let cpus = match self.config.gic {
            Gic::V2 => (1 << self.config.cpus.len()) - 1,
            Gic::V3 { .. } => 0,
        };
        cpus << 8 | LEVEL_HIGH
    }

    /// timer/arm,arch_timer.yaml
    fn timer(&mut self) -> Result<(), Error> {
        let node = self.writer.begin_node("timer")?;
        self.writer.property_string("compatible", "arm,armv8-timer")?;
        // It does not stop with its CPU.
        self.writer.property_null("always-on")?;
        let flags = self.ppi_flags();
        let interrupts: Vec<u32> = TIMER_PPIS.into_iter().flat_map(|ppi| [PPI, ppi, flags]).collect();
        self.writer.property_array_u32("interrupts", &interrupts)?;
        self.writer.end_node(node)
    }

    /// arm/pmu.yaml
    fn pmu(&mut self) -> Result<(), Error> {
        let node = self.writer.begin_node("pmu")?;
        self.writer.property_string("compatible", "arm,armv8-pmuv3")?;
        self.writer.property_array_u32("interrupts", &[PPI, PMU_PPI, self.ppi_flags()])?;
        self.writer.end_node(node)
    }

    /// clock/fixed-clock.yaml
    fn clock(&mut self) -> Result<(), Error> {
        let node = self.writer.begin_node("apb-pclk")?;
        self.writer.property_string("compatible", "fixed-clock")?;
        self.writer.property_u32("#clock-cells", 0)?;
        self.writer.property_u32("clock-frequency", CLOCK_HZ)?;
        self.writer.property_string("clock-output-names", "clk24mhz")?;
        self.writer.property_phandle(CLOCK_PHANDLE)?;
        self.writer.end_node(node)
    }

    fn serial(&mut self, index: usize, port: SerialPort) -> Result<(), Error> {
        let (address, interrupt) = serial_place(index);
        match port {
            // serial/8250.yaml
            SerialPort::Ns16550a => {
                let node = self.writer.begin_node(&at("serial", address))?;
                self.writer.property_string("compatible", "ns16550a")?;
                self.reg(&[(address, DEVICE_LENGTH)])?;
                self.writer.property_array_u32("interrupts", &[SPI, interrupt, EDGE_RISING])?;
                self.writer.property_u32("clock-frequency", SERIAL_CLOCK_HZ)?;
                self.writer.property_u32("reg-shift", 0)?;
                self.writer.property_u32("reg-io-width", 1)?;
                self.writer.end_node(node)
            }
            // serial/pl011.yaml
            SerialPort::Pl011 => {
                self.primecell("serial", "arm,pl011", address, interrupt, &["uartclk", "apb_pclk"])
            }
        }
    }

    /// arm/primecell.yaml, rtc/arm,pl031.yaml
    fn primecell(
        &mut self,
        name: &str,
        compatible: &str,
        address: u64,
        interrupt: u32,
        clocks: &[&str],
    ) -> Result<(), Error> {
        let node = self.writer.begin_node(&at(name, address))?;
        let compatible = [compatible, "arm,primecell"].map(str::to_owned);
        self.writer.property_string_list("compatible", compatible.into())?;
        self.reg(&[(address, DEVICE_LENGTH)])?;
        self.writer.property_array_u32("interrupts", &[SPI, interrupt, EDGE_RISING])?;
        self.writer.property_array_u32("clocks", &vec![CLOCK_PHANDLE; clocks.len()])?;
        let names = clocks.iter().map(|name| (*name).to_owned()).collect();
        self.writer.property_string_list("clock-names", names)?;
        self.writer.end_node(node)
    }

    /// misc/pvpanic-mmio.txt: two bytes.
    fn pvpanic(&mut self) -> Result<(), Error> {
        let node = self.writer.begin_node(&at("pvpanic", PVPANIC))?;
        self.writer.property_string("compatible", "qemu,pvpanic-mmio")?;
        self.reg(&[(PVPANIC, 2)])?;
        self.writer.end_node(node)
    }

    fn device(&mut self, device: &Device) -> Result<(), Error> {
        let name = match device.reg.first() {
            Some((address, _)) => at(&device.name, *address),
            None => device.name.clone(),
        };
        let node = self.writer.begin_node(&name)?;
        self.writer.property_string_list("compatible", device.compatible.clone())?;
        if !device.reg.is_empty() {
            self.reg(&device.reg)?;
        }
        if !device.interrupts.is_empty() {
            let cells = |interrupt: &Interrupt| [SPI, interrupt.spi, interrupt.trigger.cell()];
            let interrupts: Vec<u32> = device.interrupts.iter().flat_map(cells).collect();
            self.writer.property_array_u32("interrupts", &interrupts)?;
        }
        if device.is_dma_coherent {
            self.writer.property_null("dma-coherent")?;
        }
        self.writer.end_node(node)
    }

    fn reg(&mut self, ranges: &[(u64, u64)]) -> Result<(), Error> {
        let cells: Vec<u64> = ranges.iter().flat_map(|(start, length)| [*start, *length]).collect();
        self.writer.property_array_u64("reg", &cells)
    }
}

/// The address and the interrupt of a serial port.
fn serial_place(index: usize) -> (u64, u32) {
    match index {
        0 => (SERIAL, SERIAL_INTERRUPT),
        _ => (SERIAL_2, SERIAL_2_INTERRUPT),
    }
}

fn serial_path(index: usize) -> String {
    at("/serial", serial_place(index).0)
}
