//! The FADT: what the machine has of fixed hardware, which is almost nothing.

use super::config::AcpiConfig;
use acpi_tables::Aml;
use acpi_tables::fadt::{FADTBuilder, Flags};
use acpi_tables::gas::{AccessSize, AddressSpace, GAS};

/// IA-PC boot architecture flags (ACPI 6.5, section 5.2.9.3).
const BOOT_8042: u16 = 1 << 1;
const BOOT_VGA_NOT_PRESENT: u16 = 1 << 2;
const BOOT_CMOS_RTC_NOT_PRESENT: u16 = 1 << 5;

/// By which a guest may know whose machine it is in.
const HYPERVISOR: [u8; 8] = *b"VMHATCH\0";

/// The table (ACPI 6.5, section 5.2.9), with the DSDT at `dsdt`.
///
/// The machine is hardware-reduced: no power management timer, no SCI, no FACS (Linux ignores one then), and no
/// power button of fixed hardware.
pub(super) fn fadt(config: &AcpiConfig, dsdt: u64) -> Vec<u8> {
    let mut table = FADTBuilder::new(config.oem.id, config.oem.table_id, 1)
        .dsdt_64(dsdt)
        .flag(Flags::Wbinvd)
        // These three say that there is no such thing in fixed hardware.
        .flag(Flags::PwrButton)
        .flag(Flags::SlpButton)
        .flag(Flags::FixRtc)
        .flag(Flags::HwReducedAcpi);
    let mut boot = BOOT_VGA_NOT_PRESENT;
    if config.has_i8042 {
        boot |= BOOT_8042;
    }
    if !config.has_cmos_rtc {
        boot |= BOOT_CMOS_RTC_NOT_PRESENT;
    }
    table.iapc_boot_arch = boot.into();
    table.hypervisor_vendor_identity = u64::from_le_bytes(HYPERVISOR).into();
    if let Some(reset) = config.reset {
        table = table.flag(Flags::ResetRegSup);
        table.reset_reg = port(reset.port);
        table.reset_value = reset.value;
    }
    if let Some(sleep) = config.sleep {
        table.sleep_control_reg = port(sleep.port);
        table.sleep_status_reg = port(sleep.port + 1);
    }
    let mut bytes = Vec::new();
    table.finalize().to_aml_bytes(&mut bytes);
    bytes
}

fn port(port: u16) -> GAS {
    GAS::new(AddressSpace::SystemIo, 8, 0, AccessSize::ByteAccess, port.into())
}
