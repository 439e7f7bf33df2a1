//! The system calls of the native controls, as thin as a C program's: one call each, `errno` as `io::Error`.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;

use kvm_bindings::{
    kvm_coalesced_mmio_zone, kvm_ioeventfd, kvm_regs, kvm_sregs, kvm_userspace_memory_region,
};
use libc::{Ioctl, c_int};

// <asm-generic/ioctl.h>: direction in bits 30-31, size in bits 16-29, type (KVMIO, 0xae) in bits 8-15, number below.
pub(super) const fn request(direction: Ioctl, number: Ioctl, size: usize) -> Ioctl {
    direction << 30 | (size as Ioctl) << 16 | 0xae << 8 | number
}
pub(super) const NONE: Ioctl = 0;
pub(super) const WRITE: Ioctl = 1;
pub(super) const READ: Ioctl = 2;

// <linux/kvm.h>
const KVM_CREATE_VM: Ioctl = request(NONE, 0x01, 0);
const KVM_GET_VCPU_MMAP_SIZE: Ioctl = request(NONE, 0x04, 0);
const KVM_CREATE_VCPU: Ioctl = request(NONE, 0x41, 0);
const KVM_SET_USER_MEMORY_REGION: Ioctl = request(WRITE, 0x46, size_of::<kvm_userspace_memory_region>());
const KVM_REGISTER_COALESCED_MMIO: Ioctl = request(WRITE, 0x67, size_of::<kvm_coalesced_mmio_zone>());
const KVM_IOEVENTFD: Ioctl = request(WRITE, 0x79, size_of::<kvm_ioeventfd>());
const KVM_RUN: Ioctl = request(NONE, 0x80, 0);
const KVM_SET_REGS: Ioctl = request(WRITE, 0x82, size_of::<kvm_regs>());
const KVM_GET_SREGS: Ioctl = request(READ, 0x83, size_of::<kvm_sregs>());
const KVM_SET_SREGS: Ioctl = request(WRITE, 0x84, size_of::<kvm_sregs>());

/// `-1` is `errno`, everything else is the answer.
pub(super) fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn owned(result: c_int) -> io::Result<OwnedFd> {
    let fd = check(result)?;
    // SAFETY: the kernel has just made this descriptor for us, nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(super) fn open_kvm() -> io::Result<OwnedFd> {
    // SAFETY: the path is a C string that lives for ever.
    owned(unsafe { libc::open(c"/dev/kvm".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) })
}

/// KVM_CREATE_VM, again when a signal came between (it takes long enough for that).
pub(super) fn create_vm(kvm: &OwnedFd) -> io::Result<OwnedFd> {
    loop {
        // SAFETY: the request takes a number, no memory.
        match owned(unsafe { libc::ioctl(kvm.as_raw_fd(), KVM_CREATE_VM, 0) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

pub(super) fn create_vcpu(vm: &OwnedFd) -> io::Result<OwnedFd> {
    // SAFETY: the request takes a number, no memory.
    owned(unsafe { libc::ioctl(vm.as_raw_fd(), KVM_CREATE_VCPU, 0) })
}

pub(super) fn vcpu_mmap_size(kvm: &OwnedFd) -> io::Result<usize> {
    // SAFETY: the request takes nothing.
    let size = check(unsafe { libc::ioctl(kvm.as_raw_fd(), KVM_GET_VCPU_MMAP_SIZE, 0) })?;
    Ok(size as usize)
}

pub(super) fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: takes two numbers.
    owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })
}

/// Takes what an eventfd has counted; 0 if there is nothing.
pub(super) fn take_count(fd: &OwnedFd) -> u64 {
    let mut count = 0u64;
    // SAFETY: the buffer is the 8 bytes that an eventfd gives; a failed read leaves 0 in it.
    unsafe { libc::read(fd.as_raw_fd(), (&raw mut count).cast(), 8) };
    count
}

/// # Safety
///
/// `region.userspace_addr` is mapped, and stays so as long as the VM lives.
pub(super) unsafe fn set_memory(vm: &OwnedFd, region: &kvm_userspace_memory_region) -> io::Result<()> {
    // SAFETY: the request reads one such structure; the mapping is the caller's promise.
    check(unsafe { libc::ioctl(vm.as_raw_fd(), KVM_SET_USER_MEMORY_REGION, region) }).map(drop)
}

pub(super) fn get_sregs(vcpu: &OwnedFd) -> io::Result<kvm_sregs> {
    let mut sregs = kvm_sregs::default();
    // SAFETY: the request writes one such structure.
    check(unsafe { libc::ioctl(vcpu.as_raw_fd(), KVM_GET_SREGS, &mut sregs) })?;
    Ok(sregs)
}

pub(super) fn set_sregs(vcpu: &OwnedFd, sregs: &kvm_sregs) -> io::Result<()> {
    // SAFETY: the request reads one such structure.
    check(unsafe { libc::ioctl(vcpu.as_raw_fd(), KVM_SET_SREGS, sregs) }).map(drop)
}

pub(super) fn set_regs(vcpu: &OwnedFd, regs: &kvm_regs) -> io::Result<()> {
    // SAFETY: the request reads one such structure.
    check(unsafe { libc::ioctl(vcpu.as_raw_fd(), KVM_SET_REGS, regs) }).map(drop)
}

pub(super) fn set_ioeventfd(vm: &OwnedFd, event: &kvm_ioeventfd) -> io::Result<()> {
    // SAFETY: the request reads one such structure.
    check(unsafe { libc::ioctl(vm.as_raw_fd(), KVM_IOEVENTFD, event) }).map(drop)
}

pub(super) fn set_coalesced(vm: &OwnedFd, zone: &kvm_coalesced_mmio_zone) -> io::Result<()> {
    // SAFETY: the request reads one such structure.
    check(unsafe { libc::ioctl(vm.as_raw_fd(), KVM_REGISTER_COALESCED_MMIO, zone) }).map(drop)
}

/// KVM_RUN. Not a function that checks: the loop looks at the result itself.
#[inline(always)]
pub(super) fn run(vcpu: RawFd) -> c_int {
    // SAFETY: the request takes nothing; what it writes is the kvm_run page, which is read as volatile.
    unsafe { libc::ioctl(vcpu, KVM_RUN, 0) }
}

/// A mapping that is unmapped with its owner.
pub(super) struct Mapping {
    start: NonNull<u8>,
    size: usize,
}

impl Mapping {
    /// Fresh anonymous pages.
    pub(super) fn anonymous(size: usize) -> io::Result<Self> {
        Self::new(size, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE, -1, 0)
    }

    /// The start of what a descriptor holds.
    pub(super) fn of(fd: &OwnedFd, size: usize) -> io::Result<Self> {
        Self::at(fd, size, 0)
    }

    /// A part of what a descriptor holds.
    pub(super) fn at(fd: &OwnedFd, size: usize, offset: libc::off_t) -> io::Result<Self> {
        Self::new(size, libc::MAP_SHARED, fd.as_raw_fd(), offset)
    }

    fn new(size: usize, flags: c_int, fd: RawFd, offset: libc::off_t) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the kernel chooses the address, nothing that exists is replaced.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), size, protection, flags, fd, offset) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { start, size })
    }

    pub(super) fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` mapped, and the owner is going.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.size) };
    }
}
