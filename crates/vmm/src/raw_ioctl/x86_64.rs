//! Ioctls of x86_64 that kvm-ioctls lacks, or offers only for buffers of its own making.

use crate::error::errno;
use crate::{Error, ErrorCode};
use kvm_bindings::{
    CpuId, KVMIO, kvm_cpuid2, kvm_fpu, kvm_interrupt, kvm_nested_state, kvm_sregs2, kvm_tpr_access_ctl,
    kvm_vapic_addr, kvm_xen_hvm_config, kvm_xsave,
};
use kvm_ioctls::{VcpuFd, VmFd};
use vmm_sys_util::fam::FamStruct;
use vmm_sys_util::ioctl::{ioctl_with_mut_ptr, ioctl_with_mut_ref, ioctl_with_ptr, ioctl_with_ref};
use vmm_sys_util::{ioctl_ior_nr, ioctl_iow_nr, ioctl_iowr_nr};

ioctl_iow_nr!(KVM_XEN_HVM_CONFIG, KVMIO, 0x7a, kvm_xen_hvm_config);
ioctl_iow_nr!(KVM_INTERRUPT, KVMIO, 0x86, kvm_interrupt);
ioctl_ior_nr!(KVM_GET_FPU, KVMIO, 0x8c, kvm_fpu);
ioctl_iow_nr!(KVM_SET_FPU, KVMIO, 0x8d, kvm_fpu);
ioctl_iowr_nr!(KVM_GET_CPUID2, KVMIO, 0x91, kvm_cpuid2);
ioctl_iowr_nr!(KVM_TPR_ACCESS_REPORTING, KVMIO, 0x92, kvm_tpr_access_ctl);
ioctl_iow_nr!(KVM_SET_VAPIC_ADDR, KVMIO, 0x93, kvm_vapic_addr);
ioctl_ior_nr!(KVM_GET_XSAVE, KVMIO, 0xa4, kvm_xsave);
ioctl_iow_nr!(KVM_SET_XSAVE, KVMIO, 0xa5, kvm_xsave);
ioctl_iowr_nr!(KVM_MEMORY_ENCRYPT_OP, KVMIO, 0xba, libc::c_ulong);
ioctl_iowr_nr!(KVM_GET_NESTED_STATE, KVMIO, 0xbe, kvm_nested_state);
ioctl_iow_nr!(KVM_SET_NESTED_STATE, KVMIO, 0xbf, kvm_nested_state);
ioctl_ior_nr!(KVM_GET_SREGS2, KVMIO, 0xcc, kvm_sregs2);
ioctl_iow_nr!(KVM_SET_SREGS2, KVMIO, 0xcd, kvm_sregs2);
ioctl_ior_nr!(KVM_GET_XSAVE2, KVMIO, 0xcf, kvm_xsave);

/// More than the extended state of any processor grows by features that a process asks for later: AMX is 8 KiB.
const XSAVE_SLACK: usize = 16 * 1024;

fn check(result: i32, syscall: &'static str) -> Result<(), Error> {
    if result < 0 { Err(Error::os(ErrorCode::Ioctl, syscall, errno())) } else { Ok(()) }
}

/// `KVM_GET_CPUID2` into entries that the caller prepared.
pub(crate) fn get_cpuid2(fd: &VcpuFd, cpuid: &mut CpuId) -> Result<(), Error> {
    // SAFETY: the structure says how many entries it has room for, and KVM writes no more than those.
    let done = unsafe { ioctl_with_mut_ptr(fd, KVM_GET_CPUID2(), cpuid.as_mut_fam_struct_ptr()) };
    check(done, "KVM_GET_CPUID2")?;
    debug_assert!(cpuid.as_fam_struct_ref().len() <= kvm_cpuid2::max_len());
    Ok(())
}

/// `KVM_INTERRUPT`: queues an external interrupt with this vector.
pub(crate) fn interrupt(fd: &VcpuFd, vector: u32) -> Result<(), Error> {
    let request = kvm_interrupt { irq: vector };
    // SAFETY: the request is a valid structure that the kernel only reads.
    check(unsafe { ioctl_with_ref(fd, KVM_INTERRUPT(), &request) }, "KVM_INTERRUPT")
}

/// `KVM_TPR_ACCESS_REPORTING`: whether accesses to the task priority register are exits.
pub(crate) fn report_tpr_accesses(fd: &VcpuFd, enabled: bool) -> Result<(), Error> {
    let mut request = kvm_tpr_access_ctl { enabled: u32::from(enabled), ..Default::default() };
    // SAFETY: the request is a valid structure of this type, which the kernel reads and writes back.
    let done = unsafe { ioctl_with_mut_ref(fd, KVM_TPR_ACCESS_REPORTING(), &mut request) };
    check(done, "KVM_TPR_ACCESS_REPORTING")
}

/// `KVM_SET_VAPIC_ADDR`: where in guest memory the task priority is kept, too; 0 for nowhere.
pub(crate) fn set_vapic_address(fd: &VcpuFd, address: u64) -> Result<(), Error> {
    let request = kvm_vapic_addr { vapic_addr: address };
    // SAFETY: the request is a valid structure that the kernel only reads. The address is guest-physical: KVM goes
    // through the memory slots at each use, so that memory which is gone is not written.
    check(unsafe { ioctl_with_ref(fd, KVM_SET_VAPIC_ADDR(), &request) }, "KVM_SET_VAPIC_ADDR")
}

/// A structure that the bindings give no bytes of: its size, its two ioctls and their names.
pub(crate) struct Plain {
    name: &'static str,
    size: usize,
    get: (fn() -> libc::c_ulong, &'static str),
    set: (fn() -> libc::c_ulong, &'static str),
}

/// `struct kvm_fpu`.
pub(crate) const FPU: Plain = Plain {
    name: "kvm_fpu",
    size: size_of::<kvm_fpu>(),
    get: (KVM_GET_FPU, "KVM_GET_FPU"),
    set: (KVM_SET_FPU, "KVM_SET_FPU"),
};

/// `struct kvm_sregs2`.
pub(crate) const SREGS2: Plain = Plain {
    name: "kvm_sregs2",
    size: size_of::<kvm_sregs2>(),
    get: (KVM_GET_SREGS2, "KVM_GET_SREGS2"),
    set: (KVM_SET_SREGS2, "KVM_SET_SREGS2"),
};

impl Plain {
    /// Reads the structure into a target of its size; that size.
    pub(crate) fn get(&self, fd: &VcpuFd, target: &mut [u8]) -> Result<usize, Error> {
        self.check(target.len())?;
        // SAFETY: the kernel writes one structure of this size, and the target has it.
        check(unsafe { ioctl_with_mut_ptr(fd, self.get.0(), target.as_mut_ptr()) }, self.get.1)?;
        Ok(self.size)
    }

    /// Writes the structure.
    pub(crate) fn set(&self, fd: &VcpuFd, bytes: &[u8]) -> Result<(), Error> {
        self.check(bytes.len())?;
        // SAFETY: the kernel reads one structure of this size, and there are as many bytes.
        check(unsafe { ioctl_with_ptr(fd, self.set.0(), bytes.as_ptr()) }, self.set.1)
    }

    fn check(&self, given: usize) -> Result<(), Error> {
        if given == self.size {
            return Ok(());
        }
        let Self { name, size, .. } = self;
        Err(Error::new(ErrorCode::State, format!("{name} has {size} bytes, {given} were given")))
    }
}

/// `KVM_GET_XSAVE`, or `KVM_GET_XSAVE2` (`extended`), into a target of the size that the host gave for this machine.
pub(crate) fn get_xsave(fd: &VcpuFd, target: &mut [u8], extended: bool) -> Result<(), Error> {
    let (request, syscall) =
        if extended { (KVM_GET_XSAVE2(), "KVM_GET_XSAVE2") } else { (KVM_GET_XSAVE(), "KVM_GET_XSAVE") };
    let mut buffer = vec![0; target.len().max(size_of::<kvm_xsave>()) + XSAVE_SLACK];
    // SAFETY: KVM writes as many bytes as it said, or as the process has asked for since: the slack is for those.
    check(unsafe { ioctl_with_mut_ptr(fd, request, buffer.as_mut_ptr()) }, syscall)?;
    target.copy_from_slice(&buffer[..target.len()]);
    Ok(())
}

/// `KVM_SET_XSAVE`, which reads as many bytes as the vCPU's state has.
pub(crate) fn set_xsave(fd: &VcpuFd, bytes: &[u8]) -> Result<(), Error> {
    let mut buffer = vec![0; bytes.len().max(size_of::<kvm_xsave>()) + XSAVE_SLACK];
    buffer[..bytes.len()].copy_from_slice(bytes);
    // SAFETY: KVM only reads, and no more than the buffer with its slack has.
    check(unsafe { ioctl_with_ptr(fd, KVM_SET_XSAVE(), buffer.as_ptr()) }, "KVM_SET_XSAVE")
}

/// Where `size` is in `struct kvm_nested_state`.
const NESTED_SIZE: std::ops::Range<usize> = {
    let start = std::mem::offset_of!(kvm_nested_state, size);
    start..start + size_of::<u32>()
};

/// `KVM_GET_NESTED_STATE`; the bytes that the state has.
pub(crate) fn get_nested_state(fd: &VcpuFd, target: &mut [u8]) -> Result<usize, Error> {
    if target.len() < size_of::<kvm_nested_state>() {
        return Err(nested_size(target.len()));
    }
    let room = target.len() as u32;
    target[NESTED_SIZE].copy_from_slice(&room.to_ne_bytes());
    // SAFETY: the structure says how many bytes there are, and KVM writes no more than those.
    let done = unsafe { ioctl_with_mut_ptr(fd, KVM_GET_NESTED_STATE(), target.as_mut_ptr()) };
    check(done, "KVM_GET_NESTED_STATE")?;
    Ok((said_size(target) as usize).min(target.len()))
}

/// `KVM_SET_NESTED_STATE`.
pub(crate) fn set_nested_state(fd: &VcpuFd, bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() < size_of::<kvm_nested_state>() || said_size(bytes) as usize != bytes.len() {
        return Err(nested_size(bytes.len()));
    }
    // SAFETY: KVM reads as many bytes as the structure says that it has, which is as many as there are.
    check(unsafe { ioctl_with_ptr(fd, KVM_SET_NESTED_STATE(), bytes.as_ptr()) }, "KVM_SET_NESTED_STATE")
}

fn said_size(bytes: &[u8]) -> u32 {
    let mut size = [0; 4];
    size.copy_from_slice(&bytes[NESTED_SIZE]);
    u32::from_ne_bytes(size)
}

fn nested_size(given: usize) -> Error {
    let header = size_of::<kvm_nested_state>();
    Error::new(
        ErrorCode::State,
        format!("kvm_nested_state has {header} bytes or more, and says how many; {given} were given"),
    )
}

/// `KVM_XEN_HVM_CONFIG` without pages of hypercalls, which KVM then makes itself.
pub(crate) fn xen_hvm_config(vm: &VmFd, flags: u32, msr: u32) -> Result<(), Error> {
    let request = kvm_xen_hvm_config { flags, msr, ..Default::default() };
    // SAFETY: the request is a valid structure that the kernel only reads; it holds no addresses.
    check(unsafe { ioctl_with_ref(vm, KVM_XEN_HVM_CONFIG(), &request) }, "KVM_XEN_HVM_CONFIG")
}

/// `KVM_MEMORY_ENCRYPT_OP` without a command, which is how the kernel lets one ask whether it encrypts.
pub(crate) fn encrypt_op(vm: &VmFd) -> Result<(), Error> {
    let null = std::ptr::null_mut::<u8>();
    // SAFETY: KVM reads and writes nothing through a null pointer.
    check(unsafe { ioctl_with_mut_ptr(vm, KVM_MEMORY_ENCRYPT_OP(), null) }, "KVM_MEMORY_ENCRYPT_OP")
}
