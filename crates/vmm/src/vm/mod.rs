//! The virtual machine's file descriptor and what belongs to it.

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod claims;
mod dirty_log;
mod dirty_ring;
#[cfg(target_arch = "x86_64")]
mod encryption;
mod interrupts;
mod kvm_device;
mod memory;
#[cfg(target_arch = "x86_64")]
mod msr_filter;
mod private_memory;
mod routing;
#[cfg(target_arch = "x86_64")]
mod sev_data;
mod stats;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "x86_64")]
pub use encryption::EncryptPointer;
pub use interrupts::IoEvent;
pub use kvm_device::KvmDevice;
#[cfg(target_arch = "x86_64")]
pub use msr_filter::MsrRange;
pub use private_memory::{GuestMemfd, PrivatePart};
pub use routing::ROUTE_NUMBERS;

use crate::error::IoctlResult;
use crate::host::{lacks, lacks_number};
use crate::kvm::retry;
use crate::posted::Posted;
use crate::routes::Routes;
use crate::state::states;
use crate::stats::Stats;
use crate::{Error, ErrorCode, GuestMemory, IsolatePort, VcpuCore, descriptor};
use kvm_bindings::kvm_enable_cap;
use kvm_ioctls::{VcpuFd, VmFd};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

states! {
    /// A structure of the machine that one ioctl reads and one writes.
    VmState {
        /// `struct kvm_irqchip`: an interrupt controller, by its number.
        Irqchip,
        /// `struct kvm_pit_state2`: the timer.
        Pit2,
        /// `struct kvm_clock_data`: the clock.
        Clock,
    }
}

/// What every exit looks at, on one cache line.
#[derive(Default)]
#[repr(C, align(64))]
struct Hot {
    /// Counts the changes of the claims.
    generation: AtomicU64,
    /// Whether KVM collects writes for the machine.
    has_zones: AtomicBool,
}

/// One virtual machine.
pub struct VmCore {
    fd: Mutex<Option<VmFd>>,
    closed: AtomicBool,
    /// The guest's memory.
    pub memory: GuestMemory,
    routes: Mutex<Arc<Routes>>,
    hot: Hot,
    /// What KVM collects; the ring lives in every vCPU's mapping.
    zones: Mutex<Vec<claims::Zone>>,
    pub(crate) posted: Posted,
    vcpus: Mutex<Vec<Weak<VcpuCore>>>,
    /// What `KVM_CREATE_DEVICE` made.
    devices: Mutex<Vec<Weak<KvmDevice>>>,
    /// Whether somebody else may have the machine's descriptor, or a vCPU's: then it lives on when ours is closed.
    shared: AtomicBool,
    dirty: dirty_ring::DirtyTracking,
    /// The open statistics: a descriptor that would keep the machine.
    stats: Mutex<Option<Arc<Stats>>>,
    port: Arc<IsolatePort>,
}

impl VmCore {
    pub(crate) fn new(fd: VmFd, port: Arc<IsolatePort>) -> Arc<Self> {
        Arc::new(Self {
            fd: Mutex::new(Some(fd)),
            closed: AtomicBool::new(false),
            memory: GuestMemory::default(),
            routes: Mutex::default(),
            hot: Hot::default(),
            zones: Mutex::default(),
            posted: Posted::default(),
            vcpus: Mutex::default(),
            devices: Mutex::default(),
            shared: AtomicBool::new(false),
            dirty: dirty_ring::DirtyTracking::default(),
            stats: Mutex::default(),
            port,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<VmFd>> {
        self.fd.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn with<T>(&self, use_vm: impl FnOnce(&VmFd) -> Result<T, Error>) -> Result<T, Error> {
        use_vm(self.lock().as_ref().ok_or_else(|| Error::closed("Vm"))?)
    }

    /// Whether the machine is closed.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Ends every run, closes the vCPUs and gives the memory back. Does not wait: a run on another
    /// thread finds out within microseconds. Twice is quiet.
    pub fn close(&self) {
        if self.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        let vcpus = std::mem::take(&mut *self.vcpus.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        let mut unused = true;
        for vcpu in vcpus.iter().filter_map(Weak::upgrade) {
            vcpu.close();
            unused &= vcpu.has_let_go();
        }
        self.replace_routes(|routes| {
            *routes = Routes::default();
            Ok(())
        })
        .unwrap_or_default();
        self.close_devices();
        self.forget_slots();
        // The machine goes before its memory, which no vCPU may be using when it is unmapped.
        self.lock().take();
        self.close_stats();
        self.memory.close(unused);
    }

    /// `KVM_CHECK_EXTENSION` on the machine.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Closed`].
    pub fn check_extension(&self, capability: u32) -> Result<i32, Error> {
        self.with(|vm| Ok(vm.check_extension_raw(u64::from(capability) as _).max(0)))
    }

    /// The number of the machine's descriptor, for use with other interfaces of the kernel, or of this package.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Closed`].
    pub fn raw_fd(&self) -> Result<i32, Error> {
        self.share();
        self.with(|vm| Ok(vm.as_raw_fd()))
    }

    /// The bytes of a vCPU's shared mapping.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Closed`].
    pub fn run_size(&self) -> Result<usize, Error> {
        self.with(|vm| Ok(vm.run_size()))
    }

    /// Notes that the machine may outlive this object.
    pub(crate) fn share(&self) {
        self.shared.store(true, Ordering::SeqCst);
    }

    /// Takes our memory from a machine that others may still run: what lies at its addresses later is not the guest's.
    fn forget_slots(&self) {
        if self.shared.load(Ordering::SeqCst) {
            let _ = self.with(|vm| {
                self.memory.regions().iter().try_for_each(|region| memory::set_slot(vm, region, 0, None))
            });
        }
    }

    /// The value of a capability that something needs.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`] naming it (by its kernel name) and the host's KVM, [`ErrorCode::Closed`].
    pub fn require(&self, capability: u32, name: &str) -> Result<u32, Error> {
        let value = self.check_extension(capability)?;
        u32::try_from(value).ok().filter(|value| *value > 0).ok_or_else(|| lacks(name))
    }

    /// `KVM_ENABLE_CAP`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`] when the host does not know the capability, [`ErrorCode::Ioctl`].
    pub fn enable_cap(&self, capability: u32, arguments: [u64; 4], flags: u32) -> Result<(), Error> {
        let request = kvm_enable_cap { cap: capability, flags, args: arguments, ..Default::default() };
        self.with(|vm| match vm.enable_cap(&request) {
            Err(error) if vm.check_extension_raw(u64::from(capability) as _) <= 0 => {
                Err(lacks_number(capability, "KVM_ENABLE_CAP", error.errno()))
            }
            result => {
                result.ioctl("KVM_ENABLE_CAP")?;
                self.note_enabled(capability, arguments[0]);
                Ok(())
            }
        })
    }

    /// `KVM_CREATE_VCPU`, retried when a signal interrupts it.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::TooManyVcpus`], [`ErrorCode::Ioctl`] (`EEXIST` for an id that is taken).
    pub fn create_vcpu(self: &Arc<Self>, id: u32) -> Result<Arc<VcpuCore>, Error> {
        let (fd, run_size) = self.with(|vm| {
            let fd = retry(|| vm.create_vcpu(u64::from(id))).map_err(|error| match error.errno() {
                libc::EINVAL => too_many_vcpus(vm),
                errno => Error::os(ErrorCode::Ioctl, "KVM_CREATE_VCPU", errno),
            })?;
            Ok((fd, vm.run_size()))
        })?;
        self.enter_vcpu(fd, id, run_size)
    }

    /// A vCPU that somebody else made, from its descriptor, which stays theirs.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Descriptor`] for a descriptor that is none of a vCPU, [`ErrorCode::Ioctl`], [`ErrorCode::Closed`].
    pub fn create_vcpu_from_raw_fd(self: &Arc<Self>, fd: i32) -> Result<Arc<VcpuCore>, Error> {
        self.with(|_| Ok(()))?;
        let (copy, rest) = descriptor::duplicate(fd, descriptor::VCPU)?;
        // `:3`; kernels before 5.2 say no id.
        let id = rest.trim_start_matches(':').parse().unwrap_or(0);
        self.share();
        let (fd, run_size) = self.with(|vm| Ok((descriptor::vcpu(vm, copy)?, vm.run_size())))?;
        self.enter_vcpu(fd, id, run_size)
    }

    fn enter_vcpu(self: &Arc<Self>, fd: VcpuFd, id: u32, run_size: usize) -> Result<Arc<VcpuCore>, Error> {
        let vcpu = VcpuCore::new(Arc::clone(self), fd, id, run_size, Arc::clone(&self.port))?;
        let mut vcpus = self.vcpus.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        vcpus.retain(|vcpu| vcpu.strong_count() > 0);
        vcpus.push(Arc::downgrade(&vcpu));
        drop(vcpus);
        if self.is_closed() {
            // `close` took the list before this vCPU was on it.
            vcpu.close();
            return Err(Error::closed("Vm"));
        }
        Ok(vcpu)
    }
}

impl Drop for VmCore {
    fn drop(&mut self) {
        self.forget_slots();
    }
}

/// What `EINVAL` of `KVM_CREATE_VCPU` means. The limits are asked only now: each is a system call.
fn too_many_vcpus(vm: &VmFd) -> Error {
    let limit = |capability: u32| vm.check_extension_raw(u64::from(capability) as _);
    Error {
        message: format!(
            "this host allows {} vCPUs, ids below {}",
            limit(kvm_bindings::KVM_CAP_MAX_VCPUS),
            limit(kvm_bindings::KVM_CAP_MAX_VCPU_ID)
        ),
        ..Error::os(ErrorCode::TooManyVcpus, "KVM_CREATE_VCPU", libc::EINVAL)
    }
}
