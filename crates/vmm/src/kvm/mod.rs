//! The system file descriptor, /dev/kvm.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod hyperv;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{checked_msrs, msr_request};

use crate::error::IoctlResult;
use crate::{Error, ErrorCode, IsolatePort, VmCore, descriptor};
use kvm_bindings::{KVM_API_VERSION, KVM_CAP_USER_MEMORY};
use std::ffi::CString;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, MutexGuard};

/// An open /dev/kvm.
pub struct KvmCore {
    fd: Mutex<Option<kvm_ioctls::Kvm>>,
}

impl KvmCore {
    /// Opens the device and checks that it speaks the API of this package (version 12).
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unavailable`], [`ErrorCode::Permission`], [`ErrorCode::ApiVersion`].
    pub fn open(path: &str) -> Result<Self, Error> {
        Self::open_with(path, true)
    }

    /// As [`open`](Self::open); with `close_on_exec` false, programs that this process starts have the descriptor too.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with(path: &str, close_on_exec: bool) -> Result<Self, Error> {
        let c_path = CString::new(path)
            .map_err(|_| Error::new(ErrorCode::Unavailable, "the path contains a NUL character"))?;
        let kvm = if close_on_exec {
            kvm_ioctls::Kvm::new_with_path(c_path)
        } else {
            descriptor::open_inheritable(c_path)
        };
        let kvm = kvm.map_err(|error| open_error(path, error.errno()))?;
        let version = kvm.get_api_version();
        if version != KVM_API_VERSION as i32 {
            let found = if version < 0 { "it is no KVM device".into() } else { format!("it has {version}") };
            return Err(Error::new(
                ErrorCode::ApiVersion,
                format!("{path} does not speak KVM API version {KVM_API_VERSION}: {found}"),
            ));
        }
        Ok(Self { fd: Mutex::new(Some(kvm)) })
    }

    fn lock(&self) -> MutexGuard<'_, Option<kvm_ioctls::Kvm>> {
        self.fd.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn with<T>(&self, use_kvm: impl FnOnce(&kvm_ioctls::Kvm) -> Result<T, Error>) -> Result<T, Error> {
        use_kvm(self.lock().as_ref().ok_or_else(|| Error::closed("Kvm"))?)
    }

    /// Closes the descriptor; virtual machines made from it live on.
    pub fn close(&self) {
        self.lock().take();
    }

    /// `KVM_GET_API_VERSION`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Closed`].
    pub fn api_version(&self) -> Result<i32, Error> {
        self.with(|kvm| Ok(kvm.get_api_version()))
    }

    /// `KVM_CHECK_EXTENSION`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Closed`].
    pub fn check_extension(&self, capability: u32) -> Result<i32, Error> {
        // The kernel refuses a question that only a machine can answer: it lacks that, as far as it knows.
        self.with(|kvm| Ok(kvm.check_extension_raw(u64::from(capability)).max(0)))
    }

    /// The limits, in the order vCPU mapping size (bytes), recommended vCPUs, vCPUs, vCPU ids, memory slots.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Closed`].
    pub fn limits(&self) -> Result<[u32; 5], Error> {
        self.with(|kvm| {
            let size = kvm.get_vcpu_mmap_size().ioctl("KVM_GET_VCPU_MMAP_SIZE")?;
            Ok([
                size as u32,
                kvm.get_nr_vcpus() as u32,
                kvm.get_max_vcpus() as u32,
                kvm.get_max_vcpu_id() as u32,
                kvm.get_nr_memslots() as u32,
            ])
        })
    }

    /// The descriptor's number.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Closed`].
    pub fn raw_fd(&self) -> Result<i32, Error> {
        self.with(|kvm| Ok(kvm.as_raw_fd()))
    }

    /// A machine that somebody else made in this process, from its descriptor, which stays theirs.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Descriptor`] for a descriptor that is none of a machine, or of one of another process;
    /// [`ErrorCode::Closed`].
    pub fn create_vm_from_raw_fd(&self, fd: i32, port: Arc<IsolatePort>) -> Result<Arc<VmCore>, Error> {
        self.with(|kvm| {
            let (copy, _) = descriptor::duplicate(fd, descriptor::VM)?;
            let vm = descriptor::vm(kvm, copy)?;
            // KVM answers no process but the one that made the machine.
            if vm.check_extension_raw(u64::from(KVM_CAP_USER_MEMORY) as _) < 0 {
                let message = format!("descriptor {fd} is a machine of another process");
                return Err(Error {
                    message,
                    ..Error::last_os(ErrorCode::Descriptor, "KVM_CHECK_EXTENSION")
                });
            }
            let vm = VmCore::new(vm, port);
            vm.share();
            Ok(vm)
        })
    }

    /// `KVM_CREATE_VM`, retried when a signal interrupts it.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`], [`ErrorCode::Closed`].
    pub fn create_vm(&self, kind: u64, port: Arc<IsolatePort>) -> Result<Arc<VmCore>, Error> {
        self.with(|kvm| {
            let fd = retry(|| kvm.create_vm_with_type(kind)).ioctl("KVM_CREATE_VM")?;
            Ok(VmCore::new(fd, port))
        })
    }
}

/// Repeats a call that a signal interrupted, as long as that is its only complaint.
pub(crate) fn retry<T>(
    mut call: impl FnMut() -> Result<T, kvm_ioctls::Error>,
) -> Result<T, kvm_ioctls::Error> {
    loop {
        match call() {
            Err(error) if error.errno() == libc::EINTR => {}
            result => return result,
        }
    }
}

fn open_error(path: &str, errno: i32) -> Error {
    let (code, hint) = match errno {
        libc::EACCES | libc::EPERM => {
            (ErrorCode::Permission, "you may not open it: add your user to the group that owns it (kvm)")
        }
        libc::ENOENT | libc::ENODEV | libc::ENXIO | libc::ENOTDIR => (
            ErrorCode::Unavailable,
            "the host has no KVM: load kvm_intel or kvm_amd, or enable (nested) virtualisation",
        ),
        _ => (ErrorCode::Unavailable, "it could not be opened"),
    };
    let mut error = Error::os(code, "open", errno);
    error.message = format!("{path}: {hint} ({})", error.message);
    error
}
