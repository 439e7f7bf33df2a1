//! What a machine tells about itself in its device tree.

use crate::aarch64::mpidr;

/// What the device tree says, other than memory, initrd and command line, which come from the plan. PSCI, called by HVC, and
/// the architected timer are always in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FdtConfig {
    /// The vCPUs by the affinity fields of their `MPIDR_EL1`, the first one boots; 1 to 512, with a GICv2 1 to 8.
    pub cpus: Vec<u64>,
    /// The interrupt controller.
    pub gic: Gic,
    /// The serial ports at [`SERIAL`] and [`SERIAL_2`]: the first is the console. At most two.
    ///
    /// [`SERIAL`]: crate::aarch64::layout::SERIAL
    /// [`SERIAL_2`]: crate::aarch64::layout::SERIAL_2
    pub serial: Vec<SerialPort>,
    /// There is a PL031 clock at [`RTC`](crate::aarch64::layout::RTC).
    pub has_rtc: bool,
    /// There is a pvpanic device at [`PVPANIC`](crate::aarch64::layout::PVPANIC).
    pub has_pvpanic: bool,
    /// There is a boot timer at [`BOOT_TIMER`](crate::aarch64::layout::BOOT_TIMER): the guest is told where.
    pub has_boot_timer: bool,
    /// The vCPUs have the performance monitors of ARMv8 (`KVM_ARM_VCPU_PMU_V3`), whose interrupt is PPI 7.
    pub has_pmu: bool,
    /// Devices that a guest cannot find by itself, in the order in which it shall find them.
    pub devices: Vec<Device>,
    /// Random bytes for the guest's generator, at most 4096. Linux trusts them if it is built or told to. None: no property.
    pub rng_seed: Vec<u8>,
    /// A random number by which the kernel chooses its virtual address.
    pub kaslr_seed: Option<u64>,
}

impl FdtConfig {
    /// A machine with a GICv3 without ITS, a 16550 as its console, and vCPUs with the affinities that KVM gives.
    pub fn new(cpus: u32) -> Self {
        Self {
            cpus: (0..cpus).map(mpidr).collect(),
            gic: Gic::V3 { has_its: false },
            serial: vec![SerialPort::Ns16550a],
            has_rtc: false,
            has_pvpanic: false,
            has_boot_timer: false,
            has_pmu: false,
            devices: Vec::new(),
            rng_seed: Vec::new(),
            kaslr_seed: None,
        }
    }
}

/// An interrupt controller. Where its registers are: [`layout`](crate::aarch64::layout).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gic {
    /// A GICv2: a distributor and an interface for each CPU at the same address.
    V2,
    /// A GICv3: a distributor and a redistributor for each CPU.
    V3 {
        /// There is an interrupt translation service, for messages (MSIs).
        has_its: bool,
    },
}

/// A serial port. Its interrupt is edge-triggered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SerialPort {
    /// A 16550 whose registers are bytes, one after another: Linux's `ttyS`.
    Ns16550a,
    /// A PL011: Linux's `ttyAMA`.
    Pl011,
}

/// A device of the machine, as a guest finds it below the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The name of its node, without address: what it is, as `virtio_mmio`. 1 to 31 letters, digits and `,._+-`, a letter
    /// first.
    pub name: String,
    /// What it is, for drivers to find: `virtio,mmio`. The most exact first.
    pub compatible: Vec<String>,
    /// Its registers: first address, bytes. The first address is in the name of the node. All are in the window for devices,
    /// from [`DEVICES`](crate::aarch64::layout::DEVICES) on.
    pub reg: Vec<(u64, u64)>,
    /// Its interrupts.
    pub interrupts: Vec<Interrupt>,
    /// What it writes to memory a CPU sees at once: the property `dma-coherent`. So it is with all that a host's program writes.
    pub is_dma_coherent: bool,
}

/// An interrupt of a device, as it arrives at the GIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupt {
    /// The number of the shared peripheral interrupt, from 0 on: for the GIC it is the one with 32 more, for
    /// `KVM_IRQFD` it is the `gsi`. Those of devices: 16 to 255.
    pub spi: u32,
    /// What on the line is an interrupt.
    pub trigger: Trigger,
}

impl Interrupt {
    /// The rising edge: what an irqfd gives.
    pub const fn edge(spi: u32) -> Self {
        Self { spi, trigger: Trigger::Edge }
    }
}

/// What on an interrupt line is an interrupt. The GIC knows no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// The rising edge.
    Edge,
    /// The high level, as long as it lasts.
    Level,
}
