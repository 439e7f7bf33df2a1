//! ACPI tables: RSDP, XSDT, FADT, MADT and DSDT of a hardware-reduced machine.
//!
//! The specification is ACPI 6.5. What Linux makes of the tables: `arch/x86/kernel/acpi/boot.c` and `drivers/acpi`.

mod check;
mod config;
mod dsdt;
mod fadt;
mod madt;
mod reset_vector;
#[cfg(test)]
mod tests;

pub use config::{AcpiConfig, Device, Interrupt, Oem, Polarity, Reset, Sleep, Trigger};

use crate::x86_64::layout;
use crate::{BootError, Placed, place};
use acpi_tables::Aml;
use acpi_tables::rsdp::Rsdp;
use acpi_tables::xsdt::XSDT;
use vm_memory::GuestMemoryBackend;

/// The RSDP must be at a multiple of this (ACPI 6.5, section 5.2.5.1); the others are there too, to be found by eye.
const ALIGNMENT: u64 = 16;

/// Where the tables are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// The guest address of the RSDP: what the boot protocols hand over. It is also where a guest finds it by
    /// searching, as on a PC.
    pub rsdp: u64,
    /// All of them, and the reset vector.
    pub placed: Vec<Placed>,
}

/// Writes the tables of a machine with `cpus` CPUs to [`layout::ACPI`]; and, if there is a reset register, code that
/// uses it to [`layout::RESET_VECTOR`].
///
/// # Errors
///
/// [`BootError::Cpus`] and [`BootError::Devices`] for a configuration that cannot be; [`BootError::TablesTooBig`]
/// if the devices need more room than there is; [`BootError::NotRam`] if there is no memory at that place. In all
/// but the last case nothing is written.
pub fn build<M: GuestMemoryBackend>(memory: &M, config: &AcpiConfig, cpus: u32) -> Result<Tables, BootError> {
    if !(1..=layout::MAX_CPUS).contains(&cpus) {
        return Err(BootError::Cpus { found: cpus, max: layout::MAX_CPUS });
    }
    check::check(config, cpus)?;

    let mut arranged = Arranged::default();
    let rsdp = arranged.reserve(Rsdp::len() as u64);
    let dsdt = arranged.add("ACPI DSDT", dsdt::dsdt(config, cpus));
    let mut xsdt = XSDT::new(config.oem.id, config.oem.table_id, 1);
    // `cpus` is at most MAX_CPUS.
    xsdt.add_entry(arranged.add("ACPI FADT", fadt::fadt(config, dsdt)));
    xsdt.add_entry(arranged.add("ACPI MADT", madt::madt(&config.oem, cpus as u8)));
    let xsdt = arranged.add("ACPI XSDT", to_bytes(&xsdt));
    arranged.tables.insert(0, ("ACPI RSDP", rsdp, to_bytes(&Rsdp::new(config.oem.id, xsdt))));

    let (needed, room) = (arranged.length, layout::RESET_VECTOR - layout::ACPI);
    if needed > room {
        return Err(BootError::TablesTooBig { what: "the ACPI tables", needed, room });
    }
    if let Some(reset) = config.reset {
        let code = reset_vector::reset_vector(reset);
        arranged.tables.push(("reset vector", layout::RESET_VECTOR, code.to_vec()));
    }
    let placed = arranged.tables.iter().map(|(name, start, bytes)| place::write(memory, name, *start, bytes));
    Ok(Tables { rsdp, placed: placed.collect::<Result<_, _>>()? })
}

fn to_bytes(table: &dyn Aml) -> Vec<u8> {
    let mut bytes = Vec::new();
    table.to_aml_bytes(&mut bytes);
    bytes
}

/// Tables one after another, not yet written.
#[derive(Default)]
struct Arranged {
    tables: Vec<(&'static str, u64, Vec<u8>)>,
    length: u64,
}

impl Arranged {
    fn reserve(&mut self, length: u64) -> u64 {
        let start = self.length.next_multiple_of(ALIGNMENT);
        self.length = start + length;
        layout::ACPI + start
    }

    fn add(&mut self, name: &'static str, bytes: Vec<u8>) -> u64 {
        let start = self.reserve(bytes.len() as u64);
        self.tables.push((name, start, bytes));
        start
    }
}
