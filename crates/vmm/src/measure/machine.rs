//! The smallest virtual machine that runs a guest program: memory, one vCPU, real mode.

use std::io;
use std::os::fd::OwnedFd;

use kvm_bindings::{kvm_regs, kvm_run, kvm_userspace_memory_region};

use super::guests::{ExitKind, GUEST_ADDRESS, GUEST_MEMORY_SIZE, guest};
use super::sys::{self, Mapping};

/// Fields fall in this order: the vCPU before its VM, the VM before the memory that it maps.
pub(super) struct Machine {
    run: Mapping,
    pub(super) vcpu: OwnedFd,
    pub(super) vm: OwnedFd,
    memory: Mapping,
    _kvm: OwnedFd,
}

impl Machine {
    pub(super) fn new(kind: ExitKind) -> io::Result<Self> {
        let kvm = sys::open_kvm()?;
        let vm = sys::create_vm(&kvm)?;
        let memory = Mapping::anonymous(GUEST_MEMORY_SIZE)?;
        let program = guest(kind);
        assert!(program.len() <= memory.size());
        // SAFETY: the mapping is larger than the program, and nobody else knows it yet.
        unsafe { memory.start().copy_from_nonoverlapping(program.as_ptr(), program.len()) };
        let region = kvm_userspace_memory_region {
            slot: 0,
            flags: 0,
            guest_phys_addr: GUEST_ADDRESS,
            memory_size: memory.size() as u64,
            userspace_addr: memory.start() as u64,
        };
        // SAFETY: the mapping goes with `memory`, which is dropped after `vm`.
        unsafe { sys::set_memory(&vm, &region)? };
        let vcpu = sys::create_vcpu(&vm)?;
        let run = Mapping::of(&vcpu, sys::vcpu_mmap_size(&kvm)?)?;
        let mut sregs = sys::get_sregs(&vcpu)?;
        sregs.cs.base = 0;
        sregs.cs.selector = 0;
        sys::set_sregs(&vcpu, &sregs)?;
        // Bit 1 of rflags is always one.
        sys::set_regs(&vcpu, &kvm_regs { rip: GUEST_ADDRESS, rflags: 2, ..Default::default() })?;
        Ok(Self { run, vcpu, vm, memory, _kvm: kvm })
    }

    /// The page that KVM_RUN answers in. Valid as long as the machine.
    pub(super) fn run_page(&self) -> *mut kvm_run {
        self.run.start().cast()
    }

    /// Bytes mapped at [`run_page`](Self::run_page).
    pub(super) fn run_size(&self) -> usize {
        self.run.size()
    }

    /// A byte of guest memory, to sum into a sink.
    pub(super) fn first_byte(&self) -> u8 {
        // SAFETY: the mapping lives as long as `self`; the guest may write there, so it is read as volatile.
        unsafe { self.memory.start().read_volatile() }
    }
}
