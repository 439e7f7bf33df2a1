//! What x86_64 has in memory before the first instruction.

use super::Image;
use crate::{Error, VmCore};
use vm_memory::{GuestMemoryBackend, GuestMemoryRegion};
use vmhatch_boot::Protocol;
use vmhatch_boot::x86_64::acpi::{Reset, Sleep};
use vmhatch_boot::x86_64::{Module, Plan};
use vmhatch_devices::AcpiPower;

pub use vmhatch_boot::x86_64::acpi::{AcpiConfig, Device as AcpiDevice, Interrupt};
pub use vmhatch_boot::x86_64::{Entry, Flat, FlatMode, Loaded};

/// A module for kernels that take some.
#[derive(Debug, Clone)]
pub struct ImageModule {
    /// The module.
    pub image: Image,
    /// What the kernel is told about it.
    pub command_line: Vec<u8>,
}

/// What is to be in a machine's memory: [`Plan`], with images that are still to be read.
#[derive(Debug, Clone)]
pub struct MachinePlan {
    /// The kernel.
    pub kernel: Image,
    /// How it is entered; `None`: by what it is.
    pub protocol: Option<Protocol>,
    /// The initial RAM disk.
    pub initrd: Option<Image>,
    /// The command line, without NUL.
    pub command_line: Vec<u8>,
    /// Modules.
    pub modules: Vec<ImageModule>,
    /// Where a flat image goes.
    pub flat: Flat,
    /// The number of vCPUs.
    pub cpus: u32,
    /// The ACPI tables, if there are any.
    pub acpi: Option<AcpiConfig>,
    /// Whether there is an MP table.
    pub mp_table: bool,
}

/// Tables of a machine whose ACPI power device is at `port`. No guest shall look for a keyboard controller or a CMOS
/// clock, which takes time: it resets by the tables' register and has KVM's clock.
pub fn acpi_power_config(port: u16) -> AcpiConfig {
    AcpiConfig {
        reset: Some(Reset { port: port + AcpiPower::RESET_REGISTER, value: AcpiPower::RESET }),
        sleep: Some(Sleep { port, s5: AcpiPower::SLEEP_TYPE_S5 }),
        ..AcpiConfig::default()
    }
}

impl VmCore {
    /// Puts kernel, tables and all else of `plan` into memory. May take a second: not for a thread that must not wait.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Boot`], whose message begins with the field that is wrong; [`ErrorCode::Closed`];
    /// [`ErrorCode::MemoryBounds`] for a machine without memory.
    pub fn boot(&self, plan: &MachinePlan) -> Result<Loaded, Error> {
        // A machine that is closed meanwhile gives back only what nobody holds.
        let _held = self.memory.regions();
        let memory = self.memory.map()?;
        let limit: u64 = memory.iter().map(|region| region.len()).sum();
        let kernel = plan.kernel.read("kernel", limit)?;
        let initrd = plan.initrd.as_ref().map(|image| image.read("initrd", limit)).transpose()?;
        let contents = plan
            .modules
            .iter()
            .map(|module| Ok((module.image.read("modules", limit)?, module.command_line.as_slice())))
            .collect::<Result<Vec<_>, Error>>()?;
        let modules: Vec<Module<'_>> =
            contents.iter().map(|(bytes, command_line)| Module { bytes, command_line }).collect();
        let plan = Plan {
            kernel: &kernel,
            protocol: plan.protocol,
            initrd: initrd.as_deref(),
            command_line: &plan.command_line,
            modules: &modules,
            flat: plan.flat,
            cpus: plan.cpus,
            acpi: plan.acpi.as_ref(),
            mp_table: plan.mp_table,
        };
        let loaded = vmhatch_boot::x86_64::load(&memory, &plan).map_err(Error::from)?;
        // Closed meanwhile: what was written is gone.
        if self.is_closed() { Err(Error::closed("Vm")) } else { Ok(loaded) }
    }
}
