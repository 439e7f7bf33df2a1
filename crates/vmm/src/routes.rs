//! Who answers which ports and addresses.

use crate::device::NativeDevice;
use crate::{Error, ErrorCode, IsolatePort};
use std::sync::Arc;
use vmhatch_devices::{InsertError, RangeMap};

/// The two address spaces that exits come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bus {
    /// The 65,536 ports of x86.
    Io,
    /// Guest-physical memory that no region backs.
    Mmio,
}

/// Who answers a claim.
#[derive(Clone)]
pub enum Target {
    /// A Rust device: served in the run loop.
    Native(Arc<NativeDevice>),
    /// A JavaScript device: served by the isolate that attached it.
    Script(Arc<ScriptDevice>),
}

/// A JavaScript device, by its number. The isolate may use the number for another device when the last claim on it
/// is gone: detached, or its machine closed or collected, and no vCPU uses an old set of claims any more.
pub struct ScriptDevice {
    /// The number in the isolate's table.
    pub(crate) route: u32,
    /// The isolate's number, here so that the run loop need not follow another pointer for it.
    pub(crate) isolate: u32,
    /// The isolate.
    pub(crate) port: Arc<IsolatePort>,
}

impl ScriptDevice {
    /// Device `route` of an isolate.
    pub fn new(route: u32, port: Arc<IsolatePort>) -> Arc<Self> {
        Arc::new(Self { route, isolate: port.id, port })
    }
}

impl Drop for ScriptDevice {
    fn drop(&mut self) {
        self.port.release_route(self.route);
    }
}

/// A range to be claimed.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// The address space.
    pub bus: Bus,
    /// The first port or address.
    pub base: u64,
    /// How many ports or bytes.
    pub length: u64,
    /// The part whose writes are collected by KVM and arrive later, without an exit of their own.
    pub posted: Option<PostedRange>,
}

/// The part of a claim whose writes are posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostedRange {
    /// Where it starts, from the claim's base.
    pub offset: u64,
    /// How many ports or bytes.
    pub length: u64,
}

/// All claims of one virtual machine. It is replaced whole, so vCPUs read it without a lock.
#[derive(Clone, Default)]
pub(crate) struct Routes {
    pub(crate) io: RangeMap<Target>,
    pub(crate) mmio: RangeMap<Target>,
    /// Whether an access that nobody claims is answered as an empty bus does, without an exit to JavaScript.
    pub(crate) empty_bus: bool,
}

impl Routes {
    pub(crate) fn map(&self, bus: Bus) -> &RangeMap<Target> {
        match bus {
            Bus::Io => &self.io,
            Bus::Mmio => &self.mmio,
        }
    }

    pub(crate) fn map_mut(&mut self, bus: Bus) -> &mut RangeMap<Target> {
        match bus {
            Bus::Io => &mut self.io,
            Bus::Mmio => &mut self.mmio,
        }
    }

    pub(crate) fn insert(&mut self, claim: &Claim, target: Target) -> Result<(), Error> {
        self.map_mut(claim.bus)
            .insert(claim.base, claim.length, target)
            .map_err(|error: InsertError| Error::new(ErrorCode::RangeClaimed, error.to_string()))
    }
}
