//! Binary statistics of a machine or a vCPU: a file of the kernel with a header, descriptors, and values.
//!
//! The descriptors never change, so they are read once. The values are one `pread`.

use crate::raw_ioctl::stats::get_stats_fd;
use crate::{Error, ErrorCode};
use kvm_bindings::{kvm_stats_desc, kvm_stats_header};
use std::fs::File;
use std::mem::offset_of;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use zerocopy::IntoBytes;

/// As many bytes as are read at a time: more than a vCPU or a machine has today.
const CHUNK: usize = 2048;

/// More than any kernel has of anything here: what says more is not believed.
const MOST: usize = 1 << 20;

/// One statistic, as its descriptor has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statistic {
    /// The kernel's name.
    pub name: String,
    /// Type, unit and base, as `KVM_STATS_…` has them.
    pub flags: u32,
    /// The power of the base that a value is multiplied with.
    pub exponent: i16,
    /// How many values: more than one for histograms.
    pub count: u16,
    /// The width of a bucket of a linear histogram.
    pub bucket_size: u32,
    /// Which value is the first of it: they are 64-bit words.
    pub index: u32,
}

/// The open statistics of one machine or vCPU.
#[derive(Debug)]
pub struct Stats {
    /// What the values mean, in the kernel's order.
    pub schema: Vec<Statistic>,
    /// The kernel's name of the machine or vCPU: `kvm-1234`, `kvm-1234/vcpu-0`.
    pub id: String,
    /// How many values there are.
    pub values: usize,
    data_offset: u64,
    /// Gone when its machine is: an open file would keep that.
    file: Mutex<Option<File>>,
    what: &'static str,
}

impl Stats {
    /// Opens the statistics of a descriptor and reads what they are.
    pub(crate) fn open(of: &impl AsRawFd, what: &'static str) -> Result<Arc<Self>, Error> {
        let file = File::from(get_stats_fd(of)?);
        let header = read(&file, 0, size_of::<kvm_stats_header>())?;
        let field = |offset: usize| u32_at(&header, offset) as usize;
        let name_size = field(offset_of!(kvm_stats_header, name_size));
        let descriptors = field(offset_of!(kvm_stats_header, num_desc));
        let id = read(&file, field(offset_of!(kvm_stats_header, id_offset)) as u64, name_size)?;
        let stride = size_of::<kvm_stats_desc>() + name_size;
        let descriptor_offset = field(offset_of!(kvm_stats_header, desc_offset)) as u64;
        let bytes = read(&file, descriptor_offset, descriptors.saturating_mul(stride))?;
        let schema: Vec<_> = bytes.chunks_exact(stride).map(statistic).collect();
        let values = schema.iter().map(|one| one.index as usize + usize::from(one.count)).max().unwrap_or(0);
        Ok(Arc::new(Self {
            id: text(&id),
            values,
            data_offset: field(offset_of!(kvm_stats_header, data_offset)) as u64,
            schema,
            file: Mutex::new(Some(file)),
            what,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Option<File>> {
        self.file.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The values as they are now, into `target`, which has as many. Never waits for a vCPU that runs.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::State`] for a target of another size, [`ErrorCode::Closed`], [`ErrorCode::Ioctl`].
    pub fn read(&self, target: &mut [u64]) -> Result<(), Error> {
        if target.len() != self.values {
            let (have, given) = (self.values, target.len());
            return Err(Error::new(
                ErrorCode::State,
                format!("the statistics have {have} values, not {given}"),
            ));
        }
        let guard = self.lock();
        let file = guard.as_ref().ok_or_else(|| Error::closed(self.what))?;
        file.read_exact_at(target.as_mut_bytes(), self.data_offset).map_err(|error| read_error(&error))
    }

    /// Closes the file, with its machine or vCPU. Twice is quiet.
    pub(crate) fn close(&self) {
        self.lock().take();
    }
}

/// A buffer for values that JavaScript sees as well: made once, filled again and again.
pub struct StatsBuffer {
    stats: Arc<Stats>,
    /// Atomics, because JavaScript may write there; nobody here reads them.
    words: Box<[AtomicU64]>,
}

impl StatsBuffer {
    /// A buffer for these statistics.
    pub fn new(stats: &Arc<Stats>) -> Arc<Self> {
        let words = (0..stats.values).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { stats: Arc::clone(stats), words })
    }

    /// The first value.
    pub fn as_ptr(&self) -> *mut u8 {
        self.words.as_ptr().cast_mut().cast()
    }

    /// The bytes of all values.
    pub fn length(&self) -> usize {
        self.words.len() * 8
    }

    /// The values as they are now.
    ///
    /// # Errors
    ///
    /// As [`Stats::read`].
    pub fn read(&self) -> Result<(), Error> {
        let guard = self.stats.lock();
        let file = guard.as_ref().ok_or_else(|| Error::closed(self.stats.what))?;
        let mut values = [0_u8; CHUNK];
        for (index, words) in self.words.chunks(CHUNK / 8).enumerate() {
            let bytes = &mut values[..words.len() * 8];
            let offset = self.stats.data_offset + (index * CHUNK) as u64;
            file.read_exact_at(bytes, offset).map_err(|error| read_error(&error))?;
            for (word, value) in words.iter().zip(bytes.as_chunks().0) {
                word.store(u64::from_ne_bytes(*value), Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

fn statistic(bytes: &[u8]) -> Statistic {
    let u16_at = |offset: usize| u16::from_ne_bytes([bytes[offset], bytes[offset + 1]]);
    Statistic {
        name: text(&bytes[size_of::<kvm_stats_desc>()..]),
        flags: u32_at(bytes, offset_of!(kvm_stats_desc, flags)),
        exponent: u16_at(offset_of!(kvm_stats_desc, exponent)).cast_signed(),
        count: u16_at(offset_of!(kvm_stats_desc, size)),
        bucket_size: u32_at(bytes, offset_of!(kvm_stats_desc, bucket_size)),
        index: u32_at(bytes, offset_of!(kvm_stats_desc, offset)) / 8,
    }
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_ne_bytes([bytes[offset], bytes[offset + 1], bytes[offset + 2], bytes[offset + 3]])
}

/// A string that ends at its first zero.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn read(file: &File, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
    if length > MOST {
        return Err(Error::new(
            ErrorCode::Internal,
            "the kernel's statistics have no format that is known here",
        ));
    }
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, offset).map_err(|error| read_error(&error))?;
    Ok(bytes)
}

fn read_error(error: &std::io::Error) -> Error {
    Error::os(ErrorCode::Ioctl, "pread", error.raw_os_error().unwrap_or(libc::EIO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_is_read_by_the_kernels_layout() {
        let mut bytes = vec![0; size_of::<kvm_stats_desc>() + 48];
        bytes[..4].copy_from_slice(&0x124_u32.to_ne_bytes());
        bytes[4..6].copy_from_slice(&(-9_i16).to_ne_bytes());
        bytes[6..8].copy_from_slice(&32_u16.to_ne_bytes());
        bytes[8..12].copy_from_slice(&16_u32.to_ne_bytes());
        bytes[12..16].copy_from_slice(&1000_u32.to_ne_bytes());
        bytes[16..29].copy_from_slice(b"halt_poll_his");
        let expected = Statistic {
            name: "halt_poll_his".into(),
            flags: 0x124,
            exponent: -9,
            count: 32,
            bucket_size: 1000,
            index: 2,
        };
        assert_eq!(statistic(&bytes), expected);
    }

    #[test]
    fn a_text_that_fills_its_field_has_no_zero() {
        assert_eq!(text(b"abc"), "abc");
        assert_eq!(text(b"ab\0d"), "ab");
        assert_eq!(text(b"\xff"), "\u{fffd}");
    }
}
