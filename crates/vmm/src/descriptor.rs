//! File descriptors of KVM that somebody else opened: each is looked at before it is used.

use crate::error::{IoctlResult, errno};
use crate::{Error, ErrorCode};
use kvm_ioctls::{Kvm, VcpuFd, VmFd};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

/// What the kernel calls a machine's descriptor.
pub(crate) const VM: &str = "anon_inode:kvm-vm";
/// What it calls a vCPU's, and then the vCPU's id.
pub(crate) const VCPU: &str = "anon_inode:kvm-vcpu";

/// A descriptor of the kind `kind` that the kernel calls by this name, duplicated: the original stays the caller's.
/// Also the rest of its name.
///
/// # Errors
///
/// [`ErrorCode::Descriptor`] for anything else.
pub(crate) fn duplicate(fd: i32, kind: &str) -> Result<(OwnedFd, String), Error> {
    // SAFETY: the call takes a number, whatever it stands for; the result is checked.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) };
    if copy < 0 {
        return Err(Error {
            message: format!("descriptor {fd} is not open"),
            ..Error::os(ErrorCode::Descriptor, "fcntl", errno())
        });
    }
    // SAFETY: the descriptor was just made and nobody else has its number.
    let copy = unsafe { OwnedFd::from_raw_fd(copy) };
    // The copy is looked at: the original may become something else meanwhile.
    let link = std::fs::read_link(format!("/proc/self/fd/{}", copy.as_raw_fd()));
    let name = link.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    match name.strip_prefix(kind) {
        Some(rest) if rest.is_empty() || rest.starts_with(':') => {
            let rest = rest.to_owned();
            Ok((copy, rest))
        }
        _ => Err(foreign(fd, kind, if name.is_empty() { "unknown" } else { &name })),
    }
}

fn foreign(fd: i32, kind: &str, found: &str) -> Error {
    Error::new(ErrorCode::Descriptor, format!("descriptor {fd} is {found}, not {kind}"))
}

/// Opens KVM and leaves the descriptor to programs that this process becomes or starts.
pub(crate) fn open_inheritable(path: std::ffi::CString) -> Result<Kvm, kvm_ioctls::Error> {
    let fd = Kvm::open_with_cloexec_at(path, false)?;
    // SAFETY: the descriptor was just opened and nobody else has its number.
    Ok(unsafe { Kvm::from_raw_fd(fd) })
}

/// A machine from a descriptor that [`duplicate`] gave.
pub(crate) fn vm(kvm: &Kvm, fd: OwnedFd) -> Result<VmFd, Error> {
    // SAFETY: the descriptor is owned, and is one of a machine.
    unsafe { kvm.create_vmfd_from_rawfd(fd.into_raw_fd()) }.ioctl("KVM_GET_VCPU_MMAP_SIZE")
}

/// A vCPU from a descriptor that [`duplicate`] gave.
pub(crate) fn vcpu(vm: &VmFd, fd: OwnedFd) -> Result<VcpuFd, Error> {
    // SAFETY: the descriptor is owned, and is one of a vCPU.
    unsafe { vm.create_vcpu_from_rawfd(fd.into_raw_fd()) }.ioctl("mmap(kvm_run)")
}

/// Takes over a descriptor that an ioctl just made.
pub(crate) fn own(fd: i32) -> OwnedFd {
    // SAFETY: the kernel gave the descriptor to the caller, who passes it on.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_machine_is_refused() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let error = duplicate(file.as_raw_fd(), VM).unwrap_err();
        assert_eq!(error.code, ErrorCode::Descriptor);
        assert!(error.message.contains("/dev/null"), "{}", error.message);
        let closed = duplicate(-1, VM).unwrap_err();
        assert_eq!((closed.code, closed.errno), (ErrorCode::Descriptor, Some(libc::EBADF)));
    }
}
