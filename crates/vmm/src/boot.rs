//! Fills a machine's memory before its first instruction: reads the images, and lets vmhatch-boot place them.

use crate::{Error, ErrorCode, VmCore};
use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use vm_memory::{GuestMemoryBackend, GuestMemoryRegion};
use vmhatch_boot::BootError;
use vmhatch_boot::x86_64::acpi::{Reset, Sleep};
use vmhatch_boot::x86_64::{Module, Plan};
use vmhatch_devices::AcpiPower;

pub use vmhatch_boot::x86_64::acpi::{AcpiConfig, Device as AcpiDevice, Interrupt};
pub use vmhatch_boot::x86_64::{Entry, Flat, FlatMode, Loaded};
pub use vmhatch_boot::{Placed, Protocol};

/// Where an image is.
#[derive(Debug, Clone)]
pub enum Image {
    /// A file of the host.
    Path(PathBuf),
    /// Its bytes.
    Bytes(Vec<u8>),
}

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

impl Image {
    fn read(&self, field: &str, limit: u64) -> Result<Cow<'_, [u8]>, Error> {
        match self {
            Self::Bytes(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::Path(path) => read_file(path, limit).map(Cow::Owned).map_err(|error| error.context(field)),
        }
    }
}

/// All of a file that is no larger than the machine's memory. A file that grows meanwhile does not change that.
fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let unreadable =
        |error: std::io::Error| Error::new(ErrorCode::Boot, format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let mut bytes = Vec::with_capacity(length.min(limit) as usize);
    file.take(limit + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > limit {
        let message = format!("{} has more bytes than the machine's memory, {limit}", path.display());
        return Err(Error::new(ErrorCode::Boot, message));
    }
    Ok(bytes)
}

impl From<BootError> for Error {
    fn from(error: BootError) -> Self {
        Self::new(ErrorCode::Boot, format!("{}: {error}", error.field()))
    }
}
