//! Filling a machine's memory, on a thread of libuv's pool.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
use aarch64::{entry, machine_plan};
#[cfg(target_arch = "x86_64")]
use x86_64::{entry, machine_plan};

use crate::vm::NativeVm;
use napi::bindgen_prelude::{AsyncTask, Env, Result, Task, Uint8Array};
use napi_derive::napi;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use vmhatch_vmm::boot::{Image, Loaded, MachinePlan, Protocol};
use vmhatch_vmm::{Error, ErrorCode, VmCore};

/// A file or bytes.
#[napi(object)]
pub struct NativeImage {
    /// The file; or else:
    pub path: Option<String>,
    /// the bytes.
    pub bytes: Option<Uint8Array>,
    /// For a module: what the kernel is told about it.
    pub cmdline: Option<String>,
}

/// A device for the ACPI tables.
#[napi(object)]
pub struct NativeAcpiDevice {
    /// Up to four characters.
    pub name: String,
    /// The id that drivers look for.
    pub hid: String,
    /// Which one of those.
    pub uid: u32,
    /// First address and number of bytes, or nothing.
    pub mmio: Vec<f64>,
    /// First port and number of ports, or nothing.
    pub io: Vec<u32>,
    /// The interrupt line.
    pub interrupt: Option<u32>,
}

/// A device for the device tree.
#[napi(object)]
pub struct NativeFdtDevice {
    /// The name of its node, without address.
    pub name: String,
    /// What drivers look for, the most exact first.
    pub compatible: Vec<String>,
    /// First address and number of bytes.
    pub mmio: Vec<f64>,
    /// The interrupt line.
    pub interrupt: Option<u32>,
}

/// What the device tree of aarch64 tells.
#[napi(object)]
pub struct NativeFdt {
    /// Whether the GIC has an interrupt translation service; without a GICv3 nothing.
    pub has_its: Option<bool>,
    /// The number of serial ports.
    pub serial_ports: u32,
    /// Random bytes for the guest.
    pub rng_seed: Uint8Array,
    /// The caller's devices.
    pub devices: Vec<NativeFdtDevice>,
}

/// What is to be in memory.
#[napi(object)]
pub struct NativeBootPlan {
    /// The kernel.
    pub kernel: NativeImage,
    /// The protocol's name.
    pub protocol: Option<String>,
    /// The initial RAM disk.
    pub initrd: Option<NativeImage>,
    /// The command line.
    pub cmdline: String,
    /// Modules.
    pub modules: Vec<NativeImage>,
    /// For a flat image: its address.
    pub flat_address: f64,
    /// For a flat image: its first instruction.
    pub flat_entry: f64,
    /// For a flat image: `real`, `protected` or `long`.
    pub flat_mode: String,
    /// The number of vCPUs.
    pub cpus: u32,
    /// The devices that the ACPI tables tell; without them there are no tables.
    pub acpi: Option<Vec<NativeAcpiDevice>>,
    /// The first of the three ports of the ACPI power device.
    pub power_port: u32,
    /// On aarch64: what the device tree tells.
    pub fdt: Option<NativeFdt>,
}

/// How the first vCPU begins.
#[napi(object)]
pub struct NativeEntry {
    /// `long`, `protected`, `real` or `reset`; on aarch64 `el1`.
    pub mode: String,
    /// The first instruction; in real mode from `csBase` on.
    pub rip: f64,
    /// The stack.
    pub rsp: f64,
    /// General registers.
    pub rax: f64,
    /// As above.
    pub rbx: f64,
    /// As above.
    pub rsi: f64,
    /// The page tables.
    pub cr3: f64,
    /// The descriptor table.
    pub gdt_base: f64,
    /// The offset of its last byte.
    pub gdt_limit: u32,
    /// In real mode: the base of the code segment.
    pub cs_base: u32,
    /// On aarch64: the device tree. The first instruction is at `rip` there, too.
    pub x0: f64,
}

impl NativeEntry {
    /// One with nothing set.
    fn of(mode: &str) -> Self {
        Self {
            mode: mode.to_owned(),
            rip: 0.0,
            rsp: 0.0,
            rax: 0.0,
            rbx: 0.0,
            rsi: 0.0,
            cr3: 0.0,
            gdt_base: 0.0,
            gdt_limit: 0,
            cs_base: 0,
            x0: 0.0,
        }
    }
}

/// A part of memory that was filled.
#[napi(object)]
pub struct NativePlaced {
    /// What it is.
    pub name: String,
    /// Its first address.
    pub address: f64,
    /// Its bytes.
    pub length: f64,
}

/// What became of it: an entry, or an error's code and message. An error object can only be made by JavaScript.
#[napi(object)]
pub struct NativeBootResult {
    /// The protocol.
    pub protocol: String,
    /// How the first vCPU begins.
    pub entry: Option<NativeEntry>,
    /// What is where.
    pub placed: Vec<NativePlaced>,
    /// The error's code.
    pub code: Option<String>,
    /// The error's message.
    pub message: Option<String>,
}

/// The work for libuv's pool.
pub struct BootTask {
    vm: Arc<VmCore>,
    plan: std::result::Result<MachinePlan, Error>,
}

impl Task for BootTask {
    type Output = std::result::Result<Loaded, Error>;
    type JsValue = NativeBootResult;

    fn compute(&mut self) -> Result<Self::Output> {
        let plan = match &self.plan {
            Ok(plan) => plan,
            Err(error) => return Ok(Err(error.clone())),
        };
        let boot = catch_unwind(AssertUnwindSafe(|| self.vm.boot(plan)));
        Ok(boot.unwrap_or_else(|panic| Err(crate::error::panicked(&*panic))))
    }

    fn resolve(&mut self, _env: Env, output: Self::Output) -> Result<Self::JsValue> {
        Ok(match output {
            Ok(loaded) => NativeBootResult {
                protocol: loaded.protocol.name().to_owned(),
                entry: Some(entry(loaded.entry)),
                placed: loaded
                    .placed
                    .iter()
                    .map(|placed| NativePlaced {
                        name: placed.name.to_owned(),
                        address: placed.start as f64,
                        length: placed.length as f64,
                    })
                    .collect(),
                code: None,
                message: None,
            },
            Err(error) => NativeBootResult {
                protocol: String::new(),
                entry: None,
                placed: Vec::new(),
                code: Some(error.code.as_str().to_owned()),
                message: Some(error.message),
            },
        })
    }
}

#[napi]
impl NativeVm {
    /// Fills the memory. All of the plan is copied before this returns.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeBootResult>")]
    pub fn boot(&self, plan: NativeBootPlan) -> AsyncTask<BootTask> {
        AsyncTask::new(BootTask { vm: Arc::clone(&self.inner), plan: machine_plan(plan) })
    }
}

fn image(image: NativeImage) -> Image {
    match (image.path, image.bytes) {
        (Some(path), _) => Image::Path(path.into()),
        (None, bytes) => Image::Bytes(bytes.map(|bytes| bytes.to_vec()).unwrap_or_default()),
    }
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorCode::Internal, format!("a boot plan without a known {what}"))
}

fn protocol(name: Option<String>) -> std::result::Result<Option<Protocol>, Error> {
    name.map(|name| Protocol::from_name(&name).ok_or_else(|| wrong("protocol"))).transpose()
}
