//! The pages that a vCPU shares with JavaScript: KVM's own (`kvm_run`, port data, coalesced ring), then our
//! control page, then the posted page, in one range so that one ArrayBuffer covers them.
//!
//! # Rules
//!
//! The pages are given back as soon as nobody can reach them: the vCPU has let go of its descriptor, and every
//! buffer that JavaScript had over them is detached ([`Exposure`]). Until both hold, KVM's part is replaced by
//! fresh pages instead. A kick comes from any thread at any time and writes one byte here, so it pins the pages
//! while it does.
//!
//! JavaScript can write any byte at any time. So nothing read from here decides where Rust reads or writes
//! before it is checked, every field is read once (volatile), and no reference into the pages is ever made
//! but to atomics.

use crate::control::{Control, Counters};
use crate::memory::page_size;
use crate::{Error, ErrorCode};
use kvm_bindings::kvm_run;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// The size of each of our pages, which lie one behind the other whatever the host's pages have.
const PAGE: usize = 4096;

/// Port I/O of an exit: one read of `kvm_run.io`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IoExit {
    pub(crate) write: bool,
    pub(crate) size: usize,
    pub(crate) port: u64,
    pub(crate) count: usize,
    pub(crate) data_offset: usize,
}

/// A memory access of an exit: one read of `kvm_run.mmio`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MmioExit {
    pub(crate) write: bool,
    pub(crate) size: usize,
    pub(crate) address: u64,
}

/// The shared pages of one vCPU.
pub struct RunPages {
    start: *mut u8,
    run_size: usize,
    holders: Mutex<Holders>,
    /// Set before the pages go; a kick that sees it does nothing.
    gone: AtomicBool,
    /// Kicks that are writing at this moment.
    pins: AtomicUsize,
}

/// Who can still reach the pages.
#[derive(Default)]
struct Holders {
    /// The vCPU has let go of its descriptor: no run and no ioctl uses the pages any more.
    let_go: bool,
    /// Buffers of JavaScript's over the pages.
    exposures: usize,
    unmapped: bool,
}

// SAFETY: the pages are shared with the kernel and JavaScript by design; all access is volatile or atomic.
unsafe impl Send for RunPages {}
// SAFETY: as above.
unsafe impl Sync for RunPages {}

impl RunPages {
    /// Maps the vCPU's pages (`run_size` bytes from its descriptor) and ours behind them.
    pub(crate) fn map(vcpu_fd: i32, run_size: usize) -> Result<Self, Error> {
        let length = run_size + 2 * PAGE;
        let failed = || Error::last_os(ErrorCode::Memory, "mmap(kvm_run)");
        // SAFETY: no address is asked for, so nothing that exists is replaced; the result is checked.
        let start = unsafe {
            libc::mmap(
                null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(failed());
        }
        let pages = Self {
            start: start.cast(),
            run_size,
            holders: Mutex::default(),
            gone: AtomicBool::new(false),
            pins: AtomicUsize::new(0),
        };
        // SAFETY: MAP_FIXED replaces the first part of the range that was reserved just above.
        let run = unsafe {
            libc::mmap(
                start,
                run_size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_FIXED,
                vcpu_fd,
                0,
            )
        };
        if run == libc::MAP_FAILED {
            return Err(failed());
        }
        // As guest memory: a child process that shared them would take them from the run loop.
        // SAFETY: the range is ours.
        unsafe { libc::madvise(start, length, libc::MADV_DONTFORK) };
        Ok(pages)
    }

    /// The first byte of all pages.
    pub fn as_ptr(&self) -> *mut u8 {
        self.start
    }

    /// The length of all pages in bytes.
    pub fn length(&self) -> usize {
        self.run_size + 2 * PAGE
    }

    /// Where the control page starts, in bytes.
    pub fn control_offset(&self) -> usize {
        self.run_size
    }

    fn run(&self) -> *mut kvm_run {
        self.start.cast()
    }

    pub(crate) fn control(&self) -> *mut Control {
        self.start.wrapping_add(self.run_size).cast()
    }

    pub(crate) fn posted(&self) -> *mut u8 {
        self.start.wrapping_add(self.run_size + PAGE)
    }

    /// KVM's ring of collected writes, if the host maps one.
    pub(crate) fn ring(&self) -> Option<*mut u8> {
        let offset = crate::posted::RING_PAGE * page_size();
        (offset + page_size() <= self.run_size).then(|| self.start.wrapping_add(offset))
    }

    /// The counters; they are atomics, so a reference is sound.
    pub fn counters(&self) -> &Counters {
        // SAFETY: the control page is mapped as long as this value lives and holds only atomics here.
        unsafe { &(*self.control()).counters }
    }

    pub(crate) fn immediate_exit(&self) -> &AtomicU8 {
        // SAFETY: the byte is mapped as long as this value lives; the kernel reads it like an atomic.
        unsafe { AtomicU8::from_ptr(&raw mut (*self.run()).immediate_exit) }
    }

    #[inline]
    pub(crate) fn exit_reason(&self) -> u32 {
        // SAFETY: a volatile read of a mapped, aligned field.
        unsafe { (&raw const (*self.run()).exit_reason).read_volatile() }
    }

    /// Reads `kvm_run.io` and checks that its data lies in the pages and its size is one of the CPU's.
    #[inline]
    pub(crate) fn io_exit(&self) -> Option<IoExit> {
        // SAFETY: a volatile read of plain integers in a mapped page; any bytes are a valid value.
        let io = unsafe { (&raw const (*self.run()).__bindgen_anon_1.io).read_volatile() };
        let exit = IoExit {
            write: u32::from(io.direction) == kvm_bindings::KVM_EXIT_IO_OUT,
            size: io.size as usize,
            port: u64::from(io.port),
            count: io.count as usize,
            data_offset: usize::try_from(io.data_offset).ok()?,
        };
        let end = exit.data_offset.checked_add(exit.size.checked_mul(exit.count)?)?;
        (matches!(exit.size, 1 | 2 | 4) && exit.count > 0 && end <= self.run_size).then_some(exit)
    }

    /// Reads `kvm_run.mmio`.
    #[inline]
    pub(crate) fn mmio_exit(&self) -> Option<MmioExit> {
        // SAFETY: as in `io_exit`.
        let mmio = unsafe { (&raw const (*self.run()).__bindgen_anon_1.mmio).read_volatile() };
        let size = mmio.len as usize;
        let exit = MmioExit { write: mmio.is_write != 0, size, address: mmio.phys_addr };
        (1..=8).contains(&size).then_some(exit)
    }

    /// Where `kvm_run.mmio.data` is.
    pub(crate) const MMIO_DATA: usize = std::mem::offset_of!(kvm_run, __bindgen_anon_1)
        + std::mem::offset_of!(kvm_bindings::kvm_run__bindgen_ty_1__bindgen_ty_6, data);

    /// Copies `N <= 8` bytes out of the run pages. `offset` was checked by [`io_exit`](Self::io_exit).
    #[inline]
    pub(crate) fn load(&self, offset: usize, data: &mut [u8]) {
        debug_assert!(offset + data.len() <= self.run_size);
        // SAFETY: the range was checked to lie in the pages; the target is a separate local buffer.
        unsafe {
            std::ptr::copy_nonoverlapping(self.start.add(offset), data.as_mut_ptr(), data.len());
        }
    }

    /// Copies bytes into the run pages.
    #[inline]
    pub(crate) fn store(&self, offset: usize, data: &[u8]) {
        debug_assert!(offset + data.len() <= self.run_size);
        // SAFETY: as in `load`.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), self.start.add(offset), data.len()) };
    }

    /// Copies bytes out of any of the pages, unless they are gone.
    pub(crate) fn copy_out(&self, offset: usize, data: &mut [u8]) {
        assert!(offset + data.len() <= self.length());
        self.pinned(|_| {
            // SAFETY: the range lies in the pages, which are pinned; the target is a separate local buffer.
            unsafe { std::ptr::copy_nonoverlapping(self.start.add(offset), data.as_mut_ptr(), data.len()) };
        });
    }

    /// Copies bytes into any of the pages, unless they are gone.
    pub(crate) fn copy_in(&self, offset: usize, data: &[u8]) {
        assert!(offset + data.len() <= self.length());
        self.pinned(|_| {
            // SAFETY: as above.
            unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), self.start.add(offset), data.len()) };
        });
    }

    /// Fills part of the run pages: the default answer of a read is all ones.
    #[inline]
    pub(crate) fn fill_ones(&self, offset: usize, length: usize) {
        debug_assert!(offset + length <= self.run_size);
        if length <= 8 && offset + 8 <= self.run_size {
            // One store instead of a call; the bytes behind a short access mean nothing.
            // SAFETY: the eight bytes lie in the run pages, as just checked.
            unsafe { self.start.add(offset).cast::<u64>().write_unaligned(u64::MAX) };
            return;
        }
        // SAFETY: as in `load`.
        unsafe { std::ptr::write_bytes(self.start.add(offset), 0xff, length) };
    }

    /// Writes down whether the exit leaves an access open, for JavaScript.
    #[inline]
    pub(crate) fn set_open_access(&self, open: bool) {
        // SAFETY: a volatile write to a plain field of the mapped control page, here and below.
        unsafe { (&raw mut (*self.control()).open_access).write_volatile(u32::from(open)) };
    }

    /// Writes down an access to a device of JavaScript's.
    #[inline]
    pub(crate) fn describe_access(&self, route: u32, offset: u64, size: usize, count: usize, data: usize) {
        let control = self.control();
        // SAFETY: as above.
        unsafe {
            (&raw mut (*control).route).write_volatile(route);
            (&raw mut (*control).size).write_volatile(size as u32);
            (&raw mut (*control).count).write_volatile(count as u32);
            (&raw mut (*control).data_offset).write_volatile(data as u32);
            (&raw mut (*control).offset).write_volatile(offset as f64);
        }
    }

    /// Writes down which device ended the run, and with what code.
    pub(crate) fn describe_stop(&self, device: u32, code: u32) {
        let control = self.control();
        // SAFETY: as above.
        unsafe {
            (&raw mut (*control).stop_device).write_volatile(device);
            (&raw mut (*control).stop_code).write_volatile(code);
        }
    }

    fn holders(&self) -> MutexGuard<'_, Holders> {
        self.holders.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Notes that JavaScript gets a buffer over the pages.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Closed`] when the pages are gone.
    pub fn expose(self: &Arc<Self>) -> Result<Exposure, Error> {
        let mut holders = self.holders();
        if holders.unmapped {
            return Err(Error::closed("Vcpu"));
        }
        holders.exposures += 1;
        Ok(Exposure { pages: Arc::clone(self), ended: AtomicBool::new(false) })
    }

    fn end_exposure(&self) {
        let mut holders = self.holders();
        holders.exposures -= 1;
        if holders.let_go && holders.exposures == 0 {
            self.unmap(&mut holders);
        }
    }

    /// The vCPU has let go of its descriptor. KVM's pages go, which lets go of the vCPU's file; a view that
    /// JavaScript still holds reads zeros of its own from then on.
    pub(crate) fn retire(&self) {
        let mut holders = self.holders();
        if std::mem::replace(&mut holders.let_go, true) {
            return;
        }
        if holders.exposures == 0 {
            self.unmap(&mut holders);
            return;
        }
        // SAFETY: MAP_FIXED replaces a part of the range that this value owns.
        unsafe {
            libc::mmap(
                self.start.cast(),
                self.run_size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
                -1,
                0,
            )
        };
    }

    fn unmap(&self, holders: &mut Holders) {
        if std::mem::replace(&mut holders.unmapped, true) {
            return;
        }
        self.gone.store(true, Ordering::SeqCst);
        while self.pins.load(Ordering::SeqCst) > 0 {
            std::hint::spin_loop();
        }
        // SAFETY: the range was made by `map`. No run uses it (the vCPU has let go, or this is the last owner), no
        // buffer covers it, and no kick is writing: those that come find `gone`.
        unsafe { libc::munmap(self.start.cast(), self.length()) };
    }

    /// Lets a kick write to the pages, unless they are gone. Both sides are sequentially consistent: either the
    /// kick sees `gone`, or whoever sets it sees the pin and waits the few instructions that it lasts.
    pub(crate) fn pinned(&self, kick: impl FnOnce(&AtomicU8)) {
        self.pins.fetch_add(1, Ordering::SeqCst);
        if !self.gone.load(Ordering::SeqCst) {
            kick(self.immediate_exit());
        }
        self.pins.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for RunPages {
    fn drop(&mut self) {
        let mut holders = std::mem::take(&mut *self.holders());
        self.unmap(&mut holders);
    }
}

/// A buffer of JavaScript's over the pages, from when it is made until it is detached or collected.
pub struct Exposure {
    pages: Arc<RunPages>,
    ended: AtomicBool,
}

impl Exposure {
    /// The buffer is detached: nothing of JavaScript's reaches the pages through it. Twice is quiet.
    pub fn end(&self) {
        if !self.ended.swap(true, Ordering::SeqCst) {
            self.pages.end_exposure();
        }
    }
}

impl Drop for Exposure {
    fn drop(&mut self) {
        self.end();
    }
}
