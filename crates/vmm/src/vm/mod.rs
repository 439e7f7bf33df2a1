//! The virtual machine's file descriptor and what belongs to it.

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod claims;
mod interrupts;
mod memory;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub use interrupts::IoEvent;

use crate::error::IoctlResult;
use crate::kvm::retry;
use crate::posted::Posted;
use crate::routes::Routes;
use crate::state::states;
use crate::{Error, ErrorCode, GuestMemory, IsolatePort, VcpuCore};
use kvm_bindings::kvm_enable_cap;
use kvm_ioctls::VmFd;
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
        // The machine goes before its memory, which no vCPU may be using when it is unmapped.
        self.lock().take();
        self.memory.close(unused);
    }

    /// `KVM_CHECK_EXTENSION` on the machine.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Closed`].
    pub fn check_extension(&self, capability: u32) -> Result<i32, Error> {
        self.with(|vm| Ok(vm.check_extension_raw(u64::from(capability) as _)))
    }

    /// `KVM_ENABLE_CAP`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`] when the host does not know the capability, [`ErrorCode::Ioctl`].
    pub fn enable_cap(&self, capability: u32, arguments: [u64; 4], flags: u32) -> Result<(), Error> {
        let request = kvm_enable_cap { cap: capability, flags, args: arguments, ..Default::default() };
        self.with(|vm| match vm.enable_cap(&request) {
            Err(error) if vm.check_extension_raw(u64::from(capability) as _) <= 0 => Err(Error {
                message: format!("this host does not have capability {capability}"),
                ..Error::os(ErrorCode::Unsupported, "KVM_ENABLE_CAP", error.errno())
            }),
            result => result.ioctl("KVM_ENABLE_CAP"),
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
