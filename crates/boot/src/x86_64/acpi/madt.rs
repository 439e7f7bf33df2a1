//! The MADT: CPUs and interrupt controllers.

use super::config::Oem;
use crate::x86_64::layout;
use acpi_tables::madt::{EnabledStatus, IoApic, LocalInterruptController, MADT, ProcessorLocalApic};
use acpi_tables::{Aml, AmlSink};
use zerocopy::{Immutable, IntoBytes};

/// Local APIC NMI (ACPI 6.5, section 5.2.12.7).
#[repr(C)]
#[derive(Clone, Copy, IntoBytes, Immutable)]
struct LocalApicNmi {
    kind: u8,
    length: u8,
    processor_uid: u8,
    flags: [u8; 2],
    lint: u8,
}

impl LocalApicNmi {
    /// NMIs arrive at LINT1 of every CPU, as the bus conforms: edge-triggered, active high.
    const ALL_LINT1: Self = Self { kind: 4, length: 6, processor_uid: 0xff, flags: [0; 2], lint: 1 };
}

impl Aml for LocalApicNmi {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        sink.vec(self.as_bytes());
    }
}

/// The table (ACPI 6.5, section 5.2.12) for CPUs with the APIC ids 0 to `cpus` - 1, and one IOAPIC with the first id
/// after those, as an MP table has it too.
///
/// No flag PCAT_COMPAT, and no interrupt source overrides: a hardware-reduced machine has no ISA interrupts of fixed
/// routing. Each device says in the DSDT which pin is its own and how it is driven.
pub(super) fn madt(oem: &Oem, cpus: u8) -> Vec<u8> {
    let local_apic = LocalInterruptController::Address(layout::LOCAL_APIC as u32);
    let mut table = MADT::new(oem.id, oem.table_id, 1, local_apic);
    for cpu in 0..cpus {
        table.add_structure(ProcessorLocalApic::new(cpu, cpu, EnabledStatus::Enabled));
    }
    table.add_structure(IoApic::new(cpus, layout::IO_APIC as u32, 0));
    table.add_structure(LocalApicNmi::ALL_LINT1);
    let mut bytes = Vec::new();
    table.to_aml_bytes(&mut bytes);
    bytes
}
