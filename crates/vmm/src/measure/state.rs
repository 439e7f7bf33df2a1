//! What reading and writing a machine's state costs without JavaScript: the ioctl alone, as a C program makes it.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use kvm_bindings::{
    KVM_CAP_DIRTY_LOG_RING_ACQ_REL, KVM_DIRTY_LOG_PAGE_OFFSET, KVM_MEM_LOG_DIRTY_PAGES, Msrs, kvm_dirty_gfn,
    kvm_dirty_log, kvm_dirty_log__bindgen_ty_1, kvm_enable_cap, kvm_msr_entry, kvm_regs, kvm_sregs,
    kvm_stats_desc, kvm_stats_header, kvm_userspace_memory_region,
};
use libc::Ioctl;

use super::sys::{self, Mapping, NONE, READ, WRITE, check, request};

// <linux/kvm.h>
const KVM_GET_DIRTY_LOG: Ioctl = request(WRITE, 0x42, size_of::<kvm_dirty_log>());
const KVM_GET_REGS: Ioctl = request(READ, 0x81, size_of::<kvm_regs>());
const KVM_SET_REGS: Ioctl = request(WRITE, 0x82, size_of::<kvm_regs>());
const KVM_GET_SREGS: Ioctl = request(READ, 0x83, size_of::<kvm_sregs>());
const KVM_GET_MSRS: Ioctl = request(READ | WRITE, 0x88, 8);
const KVM_ENABLE_CAP: Ioctl = request(WRITE, 0xa3, size_of::<kvm_enable_cap>());
const KVM_RESET_DIRTY_RINGS: Ioctl = request(NONE, 0xc7, 0);
const KVM_GET_STATS_FD: Ioctl = request(NONE, 0xce, 0);

/// The memory whose dirty log is read, in bytes.
pub const LOGGED_MEMORY: u64 = 1 << 30;
/// The entries of the dirty ring.
pub const RING_ENTRIES: u32 = 4096;
/// Where the guest of the dirty ring starts: real mode, segments at base 0.
pub const WRITER_ADDRESS: u64 = 0x1000;
/// What it needs from address 0, in bytes.
pub const WRITER_MEMORY: u64 = 1 << 20;
/// Writes a byte to each of 64 pages, then to port 0x10; again and again.
pub const WRITER: [u8; 21] = [
    0xb8, 0x00, 0x10, //             again: mov ax, 0x1000
    0x8e, 0xc0, //                   next: mov es, ax
    0x26, 0xa2, 0x00, 0x00, //       mov es:[0], al
    0x05, 0x00, 0x01, //             add ax, 0x100
    0x3d, 0x00, 0x50, 0x72, 0xf2, // cmp ax, 0x5000; jb next
    0xe6, 0x10, 0xeb, 0xeb, //       out 0x10, al; jmp again
];

/// The MSRs that are read together.
pub const MSRS: [u32; 8] = [0x10, 0x1b, 0x174, 0x175, 0x176, 0xc000_0080, 0xc000_0081, 0xc000_0082];

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateKind {
    /// `KVM_GET_REGS`.
    GetRegs,
    /// `KVM_SET_REGS`.
    SetRegs,
    /// `KVM_GET_SREGS`.
    GetSregs,
    /// `KVM_GET_MSRS` of [`MSRS`].
    GetMsrs,
    /// `KVM_GET_DIRTY_LOG` of [`LOGGED_MEMORY`].
    DirtyLog,
    /// 64 entries of a dirty ring harvested, and `KVM_RESET_DIRTY_RINGS`.
    DirtyRing,
    /// A `pread` of a vCPU's statistics.
    Stats,
}

impl StateKind {
    /// The kind that lib/bench calls so.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "getRegs" => Self::GetRegs,
            "setRegs" => Self::SetRegs,
            "getSregs" => Self::GetSregs,
            "getMsrs" => Self::GetMsrs,
            "dirtyLog" => Self::DirtyLog,
            "dirtyRing" => Self::DirtyRing,
            "stats" => Self::Stats,
            _ => return None,
        })
    }
}

/// One kind of access, over and over. Fields fall in this order: the VM before the memory that it maps.
pub struct StateLoop {
    kind: StateKind,
    regs: kvm_regs,
    sregs: kvm_sregs,
    msrs: Msrs,
    log: Vec<u64>,
    ring: Option<Mapping>,
    next: usize,
    stats: Option<(File, u64, Vec<u8>)>,
    vcpu: OwnedFd,
    vm: OwnedFd,
    _memory: Mapping,
}

impl StateLoop {
    /// Makes the machine of one kind.
    ///
    /// # Errors
    ///
    /// What the host says: it may lack dirty rings or statistics.
    pub fn new(kind: StateKind) -> io::Result<Self> {
        let kvm = sys::open_kvm()?;
        let vm = sys::create_vm(&kvm)?;
        if kind == StateKind::DirtyRing {
            let size = u64::from(RING_ENTRIES) * size_of::<kvm_dirty_gfn>() as u64;
            let capability = KVM_CAP_DIRTY_LOG_RING_ACQ_REL;
            let cap = kvm_enable_cap { cap: capability, args: [size, 0, 0, 0], ..Default::default() };
            // SAFETY: the request reads one such structure.
            check(unsafe { libc::ioctl(vm.as_raw_fd(), KVM_ENABLE_CAP, &cap) })?;
        }
        let size = if kind == StateKind::DirtyLog { LOGGED_MEMORY } else { WRITER_MEMORY };
        let memory = Mapping::anonymous(size as usize)?;
        // SAFETY: the mapping is larger than the program and its address, and nobody else knows it yet.
        unsafe {
            let target = memory.start().add(WRITER_ADDRESS as usize);
            target.copy_from_nonoverlapping(WRITER.as_ptr(), WRITER.len());
        }
        let region = kvm_userspace_memory_region {
            slot: 0,
            flags: KVM_MEM_LOG_DIRTY_PAGES,
            guest_phys_addr: 0,
            memory_size: size,
            userspace_addr: memory.start() as u64,
        };
        // SAFETY: the mapping goes with `memory`, which is dropped after `vm`.
        unsafe { sys::set_memory(&vm, &region)? };
        let vcpu = sys::create_vcpu(&vm)?;
        let mut sregs = sys::get_sregs(&vcpu)?;
        sregs.cs.base = 0;
        sregs.cs.selector = 0;
        sys::set_sregs(&vcpu, &sregs)?;
        let regs = kvm_regs { rip: WRITER_ADDRESS, rflags: 2, ..Default::default() };
        sys::set_regs(&vcpu, &regs)?;
        let entries: Vec<_> =
            MSRS.iter().map(|index| kvm_msr_entry { index: *index, ..Default::default() }).collect();
        let msrs = Msrs::from_entries(&entries).map_err(|_| io::ErrorKind::InvalidInput)?;
        let ring = (kind == StateKind::DirtyRing).then(|| ring_of(&vcpu)).transpose()?;
        let stats = (kind == StateKind::Stats).then(|| stats_of(&vcpu)).transpose()?;
        let log = vec![0; (size / 4096 / 64) as usize];
        Ok(Self { kind, regs, sregs, msrs, log, ring, next: 0, stats, vcpu, vm, _memory: memory })
    }

    /// Does it so many times; the nanoseconds of one.
    ///
    /// # Errors
    ///
    /// What the host says.
    pub fn block(&mut self, times: u32) -> io::Result<f64> {
        let times = times.max(1);
        let mut nanoseconds = 0;
        if self.kind == StateKind::DirtyRing {
            for _ in 0..times {
                // Dirty pages for the harvest, which is what is timed.
                while let Err(error) = check(sys::run(self.vcpu.as_raw_fd())) {
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
                let start = Instant::now();
                self.once()?;
                nanoseconds += start.elapsed().as_nanos();
            }
        } else {
            let start = Instant::now();
            for _ in 0..times {
                self.once()?;
            }
            nanoseconds = start.elapsed().as_nanos();
        }
        Ok(nanoseconds as f64 / f64::from(times))
    }

    #[inline]
    fn once(&mut self) -> io::Result<()> {
        let (vcpu, vm) = (self.vcpu.as_raw_fd(), self.vm.as_raw_fd());
        // SAFETY: each request reads or writes one structure of the type that its number is made with; the bitmap has
        // a bit for each page of the slot; the list of MSRs says its own length.
        let result = unsafe {
            match self.kind {
                StateKind::GetRegs => libc::ioctl(vcpu, KVM_GET_REGS, &mut self.regs),
                StateKind::SetRegs => libc::ioctl(vcpu, KVM_SET_REGS, &self.regs),
                StateKind::GetSregs => libc::ioctl(vcpu, KVM_GET_SREGS, &mut self.sregs),
                StateKind::GetMsrs => libc::ioctl(vcpu, KVM_GET_MSRS, self.msrs.as_mut_fam_struct_ptr()),
                StateKind::DirtyLog => {
                    let dirty_bitmap = self.log.as_mut_ptr().cast();
                    let log = kvm_dirty_log {
                        slot: 0,
                        padding1: 0,
                        __bindgen_anon_1: kvm_dirty_log__bindgen_ty_1 { dirty_bitmap },
                    };
                    libc::ioctl(vm, KVM_GET_DIRTY_LOG, &log)
                }
                StateKind::DirtyRing => {
                    self.harvest();
                    libc::ioctl(vm, KVM_RESET_DIRTY_RINGS, 0)
                }
                StateKind::Stats => {
                    let Some((file, offset, values)) = &mut self.stats else { return Ok(()) };
                    return file.read_exact_at(values, *offset);
                }
            }
        };
        check(result).map(drop)
    }

    /// Collects the pages as a C program does: into an array.
    fn harvest(&mut self) {
        let Some(ring) = &self.ring else { return };
        let entries: *mut kvm_dirty_gfn = ring.start().cast();
        let mut pages = [0_u64; 256];
        let mut count = 0;
        while count < pages.len() {
            // SAFETY: `next` is below the number of entries, which are mapped; the flags are read as an atomic, the
            // rest as volatile.
            unsafe {
                let entry = entries.add(self.next);
                let flags = AtomicU32::from_ptr(&raw mut (*entry).flags);
                if flags.load(Ordering::Acquire) != 1 {
                    break;
                }
                pages[count] = (&raw const (*entry).offset).read_volatile();
                flags.store(2, Ordering::Release);
            }
            count += 1;
            self.next = (self.next + 1) % RING_ENTRIES as usize;
        }
        std::hint::black_box(&pages);
    }
}

fn ring_of(vcpu: &OwnedFd) -> io::Result<Mapping> {
    let size = RING_ENTRIES as usize * size_of::<kvm_dirty_gfn>();
    Mapping::at(vcpu, size, i64::from(KVM_DIRTY_LOG_PAGE_OFFSET) * 4096)
}

fn stats_of(vcpu: &OwnedFd) -> io::Result<(File, u64, Vec<u8>)> {
    // SAFETY: the request takes nothing.
    let fd = check(unsafe { libc::ioctl(vcpu.as_raw_fd(), KVM_GET_STATS_FD, 0) })?;
    // SAFETY: the kernel has just made this descriptor for us, nobody else knows it.
    let file = unsafe { File::from_raw_fd(fd) };
    let mut header = [0; size_of::<kvm_stats_header>()];
    file.read_exact_at(&mut header, 0)?;
    let word = |index: usize| {
        let bytes: [u8; 4] = header[index * 4..][..4].try_into().unwrap_or_default();
        u64::from(u32::from_ne_bytes(bytes))
    };
    // name_size, num_desc, id_offset, desc_offset, data_offset
    let (name_size, descriptors, first, data) = (word(1), word(2), word(4), word(5));
    let stride = size_of::<kvm_stats_desc>() as u64 + name_size;
    let mut last = vec![0; stride as usize];
    file.read_exact_at(&mut last, first + (descriptors - 1) * stride)?;
    let count = u64::from(u16::from_ne_bytes([last[6], last[7]]));
    let offset = u64::from(u32::from_ne_bytes([last[8], last[9], last[10], last[11]]));
    Ok((file, data, vec![0; (offset + count * 8) as usize]))
}
