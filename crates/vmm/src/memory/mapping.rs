//! The host side of guest memory: one range of this process's address space.
//!
//! # Rules
//!
//! A range stays reserved until the last holder of its [`Mapping`] is gone: regions, views in JavaScript
//! (their finalizers hold one) and vCPU threads. Closing a machine cannot wait for those, so it *retires*
//! the range: fresh anonymous pages are mapped over it. Whoever still has the address then reads zeros of
//! its own, never another object's memory and never a fault.

use super::{page_size, sigbus};
use crate::{Error, ErrorCode};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr::null_mut;
use std::sync::Mutex;

/// The size of a large page in bytes, which a page full of entries of 8 bytes describes: 2 MiB where pages have 4 KiB,
/// 32 MiB where they have 16 KiB.
fn huge_page() -> usize {
    page_size() / 8 * page_size()
}

/// Where a region's bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backing {
    /// Anonymous private memory.
    Anonymous,
    /// A memfd of the region's size, sealed against shrinking and growing.
    Memfd,
    /// A file of the host.
    File {
        /// The file's path.
        path: String,
        /// Where in the file the region starts, in bytes; a multiple of the page size.
        offset: u64,
    },
}

/// One reserved range of the address space, readable and writable as long as this value lives.
#[derive(Debug)]
pub struct Mapping {
    address: *mut u8,
    length: usize,
    /// The slot in the table of ranges that may fault with SIGBUS, for mapped user files.
    watch: Option<sigbus::Watch>,
    /// How many bytes the backing file must have.
    file_end: u64,
    /// The backing file, for as long as the range has its pages: its descriptor goes with them, because a
    /// memfd that is open keeps its memory.
    backing: Mutex<Contents>,
}

/// What is behind a range.
#[derive(Debug)]
enum Contents {
    Live { file: Option<File> },
    Retired,
}

// SAFETY: the range is plain memory that any thread may access; all access to its bytes goes through raw
// pointers or volatile slices, never through Rust references that would assume exclusiveness.
unsafe impl Send for Mapping {}
// SAFETY: as above; `backing` is behind a lock and the other fields never change.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `length` bytes of `backing`. `shared` makes writes visible to others who map the same file.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Memory`] when the file cannot be opened or is too short, or the host has no room.
    pub fn new(backing: &Backing, length: usize, shared: bool) -> Result<Self, Error> {
        let visibility = if shared { libc::MAP_SHARED } else { libc::MAP_PRIVATE };
        let (file, offset, watched) = match backing {
            Backing::Anonymous => (None, 0, false),
            Backing::Memfd => (Some(sealed_memfd(length)?), 0, false),
            Backing::File { path, offset } => (Some(open(path, *offset, length, shared)?), *offset, true),
        };
        let flags = match &file {
            Some(_) => visibility | libc::MAP_NORESERVE,
            None => visibility | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
        };
        let fd = file.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        let offset = libc::off_t::try_from(offset)
            .map_err(|_| Error::new(ErrorCode::Memory, "the file offset is too large"))?;
        // SAFETY: no address is asked for, so nothing that exists is replaced; the result is checked.
        let address =
            unsafe { libc::mmap(null_mut(), length, libc::PROT_READ | libc::PROT_WRITE, flags, fd, offset) };
        if address == libc::MAP_FAILED {
            return Err(Error::last_os(ErrorCode::Memory, "mmap"));
        }
        let mut mapping = Self {
            address: address.cast(),
            length,
            watch: None,
            file_end: (offset as u64).saturating_add(length as u64),
            backing: Mutex::new(Contents::Live { file }),
        };
        // A child process between fork and exec has no business with guest memory. Sharing it, copy on write,
        // takes every page from the guest again and again: a spawn beside running guests takes seconds instead
        // of milliseconds.
        // SAFETY: the range was mapped just above and is ours.
        unsafe { libc::madvise(address, length, libc::MADV_DONTFORK) };
        if watched {
            mapping.watch = Some(sigbus::watch(mapping.address as usize, length)?);
        }
        Ok(mapping)
    }

    /// The same range where large pages fit, and the host asked to use such pages. Not for mapped files.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Memory`] when the host has no room for the move.
    pub fn with_huge_pages(mut self) -> Result<Self, Error> {
        if self.length < huge_page() || self.is_file() {
            return Ok(self);
        }
        if !(self.address as usize).is_multiple_of(huge_page()) {
            self.address = self.move_to_boundary()?;
        }
        // Advice: a host without such pages has no use for it.
        // SAFETY: the range is ours.
        unsafe {
            libc::madvise(self.address.cast(), self.length, libc::MADV_HUGEPAGE);
        }
        Ok(self)
    }

    /// Moves the range, which nobody has used yet, to a multiple of [`huge_page`]; the new address.
    fn move_to_boundary(&self) -> Result<*mut u8, Error> {
        let room = self.length + huge_page();
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: no address is asked for, so nothing that exists is replaced; the result is checked.
        let start = unsafe { libc::mmap(null_mut(), room, libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(Error::last_os(ErrorCode::Memory, "mmap"));
        }
        let head = (start as usize).next_multiple_of(huge_page()) - start as usize;
        let target = start.wrapping_byte_add(head);
        // SAFETY: the target lies in the room made above, which nobody else knows, and has our length there; nobody
        // has the address of the old range yet.
        let moved = unsafe {
            libc::mremap(
                self.address.cast(),
                self.length,
                self.length,
                libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED,
                target,
            )
        };
        let failure = (moved == libc::MAP_FAILED).then(|| Error::last_os(ErrorCode::Memory, "mremap"));
        let tail = if failure.is_some() { head } else { head + self.length };
        // SAFETY: what is left of the room: before the target, and from behind it (or from it, if nothing came there).
        unsafe {
            if head > 0 {
                libc::munmap(start, head);
            }
            libc::munmap(start.wrapping_byte_add(tail), room - tail);
        }
        match failure {
            Some(error) => Err(error),
            None => Ok(moved.cast()),
        }
    }

    /// The first byte.
    pub fn as_ptr(&self) -> *mut u8 {
        self.address
    }

    /// The length in bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether the bytes are those of a user's file, which can shrink.
    pub fn is_file(&self) -> bool {
        self.watch.is_some()
    }

    /// Whether the backing file shrank: pages of it had to be replaced by zeros, or would have to be.
    pub fn lost(&self) -> bool {
        let Some(watch) = &self.watch else { return false };
        if watch.lost() {
            return true;
        }
        let backing = self.backing.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match &*backing {
            Contents::Live { file: Some(file) } => file.metadata().is_ok_and(|now| {
                now.is_file() && now.len().next_multiple_of(page_size() as u64) < self.file_end
            }),
            _ => false,
        }
    }

    /// Replaces the contents by fresh anonymous pages, so that memory is given back to the host while
    /// addresses that others still hold stay harmless. Twice is quiet.
    pub fn retire(&self) {
        let mut backing = self.backing.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if matches!(*backing, Contents::Retired) {
            return;
        }
        // SAFETY: MAP_FIXED replaces exactly the range that this value owns; no Rust reference into it
        // exists (see the rules at the head of this file).
        let result = unsafe {
            libc::mmap(
                self.address.cast(),
                self.length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED,
                -1,
                0,
            )
        };
        // On failure (out of memory map entries) the old pages stay until the last holder is gone, which is
        // wasteful and still sound.
        if result != libc::MAP_FAILED {
            *backing = Contents::Retired;
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.watch.take();
        // SAFETY: the range was made by `new` and this is its only owner; nobody holds its address.
        unsafe { libc::munmap(self.address.cast(), self.length) };
    }
}

fn sealed_memfd(length: usize) -> Result<File, Error> {
    // SAFETY: the name is a NUL-terminated constant; the result is checked.
    let fd = unsafe {
        libc::memfd_create(c"vmhatch-guest-memory".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING)
    };
    if fd < 0 {
        return Err(Error::last_os(ErrorCode::Memory, "memfd_create"));
    }
    // SAFETY: the descriptor was just made and nobody else has it.
    let file = unsafe { File::from_raw_fd(fd) };
    file.set_len(length as u64)
        .map_err(|error| Error::os(ErrorCode::Memory, "ftruncate", error.raw_os_error().unwrap_or(0)))?;
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    // SAFETY: plain fcntl on a descriptor that we hold.
    if unsafe { libc::fcntl(fd, libc::F_ADD_SEALS, seals) } < 0 {
        return Err(Error::last_os(ErrorCode::Memory, "fcntl(F_ADD_SEALS)"));
    }
    Ok(file)
}

fn open(path: &str, offset: u64, length: usize, shared: bool) -> Result<File, Error> {
    let failed = |error: std::io::Error| {
        Error::os(ErrorCode::Memory, "open", error.raw_os_error().unwrap_or(libc::EINVAL)).context(path)
    };
    let file = File::options().read(true).write(shared).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(Error::os(ErrorCode::Memory, "open", libc::EISDIR).context(path));
    }
    let needed = offset.saturating_add(length as u64);
    // Block devices report a length of zero and say no by themselves.
    if metadata.is_file() && metadata.len().next_multiple_of(page_size() as u64) < needed {
        let have = metadata.len();
        return Err(Error::new(
            ErrorCode::Memory,
            format!("{path} has {have} bytes, the region wants bytes up to {needed}"),
        ));
    }
    Ok(file)
}
