//! What aarch64 has in memory before the first instruction.

use super::Image;
use crate::{Error, VmCore};
use vm_memory::{GuestMemoryBackend, GuestMemoryRegion};
use vmhatch_boot::Protocol;
use vmhatch_boot::aarch64::Plan;

pub use vmhatch_boot::aarch64::fdt::{Device as FdtDevice, Gic, Interrupt, SerialPort};
pub use vmhatch_boot::aarch64::{Entry, FdtConfig, Flat, Loaded};

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
    /// Where a flat image goes.
    pub flat: Flat,
    /// What the device tree tells.
    pub fdt: FdtConfig,
}

impl VmCore {
    /// Puts kernel, device tree and initrd into memory. May take a second: not for a thread that must not wait.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Boot`](crate::ErrorCode::Boot), whose message begins with the field that is wrong;
    /// [`ErrorCode::Closed`](crate::ErrorCode::Closed);
    /// [`ErrorCode::MemoryBounds`](crate::ErrorCode::MemoryBounds) for a machine without memory.
    pub fn boot(&self, plan: &MachinePlan) -> Result<Loaded, Error> {
        // A machine that is closed meanwhile gives back only what nobody holds.
        let _held = self.memory.regions();
        let memory = self.memory.map()?;
        let limit: u64 = memory.iter().map(|region| region.len()).sum();
        let kernel = plan.kernel.read("kernel", limit)?;
        let initrd = plan.initrd.as_ref().map(|image| image.read("initrd", limit)).transpose()?;
        let plan = Plan {
            kernel: &kernel,
            protocol: plan.protocol,
            initrd: initrd.as_deref(),
            command_line: &plan.command_line,
            flat: plan.flat,
            fdt: &plan.fdt,
        };
        let loaded = vmhatch_boot::aarch64::load(&memory, &plan).map_err(Error::from)?;
        // Closed meanwhile: what was written is gone.
        if self.is_closed() { Err(Error::closed("Vm")) } else { Ok(loaded) }
    }
}
