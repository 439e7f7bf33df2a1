//! The ioctls of dirty page tracking.

use crate::{Error, ErrorCode};
use kvm_bindings::{
    KVMIO, kvm_clear_dirty_log, kvm_clear_dirty_log__bindgen_ty_1, kvm_dirty_log, kvm_dirty_log__bindgen_ty_1,
};
use kvm_ioctls::VmFd;
use std::os::fd::AsRawFd;
use vmm_sys_util::ioctl::ioctl_with_ref;
use vmm_sys_util::{ioctl_io_nr, ioctl_iow_nr, ioctl_iowr_nr};

ioctl_iow_nr!(KVM_GET_DIRTY_LOG, KVMIO, 0x42, kvm_dirty_log);
ioctl_iowr_nr!(KVM_CLEAR_DIRTY_LOG, KVMIO, 0xc0, kvm_clear_dirty_log);
ioctl_io_nr!(KVM_RESET_DIRTY_RINGS, KVMIO, 0xc7);

/// The bytes of a bitmap of so many pages, as the kernel reads and writes them: whole 64-bit words.
pub(crate) fn bitmap_size(pages: u64) -> u64 {
    pages.div_ceil(64) * 8
}

/// Reads a slot's log into `target`. The slot has `pages` pages, and stays as it is for the time of the call.
pub(crate) fn get_dirty_log(vm: &VmFd, slot: u32, pages: u64, target: &mut [u8]) -> Result<(), Error> {
    if (target.len() as u64) < bitmap_size(pages) {
        return Err(Error::new(ErrorCode::Internal, "the buffer is smaller than the slot's dirty log"));
    }
    let dirty_bitmap = target.as_mut_ptr().cast();
    let request =
        kvm_dirty_log { slot, padding1: 0, __bindgen_anon_1: kvm_dirty_log__bindgen_ty_1 { dirty_bitmap } };
    // SAFETY: the kernel writes one bit for each of the slot's pages, in whole words, and the target has so many.
    if unsafe { ioctl_with_ref(vm, KVM_GET_DIRTY_LOG(), &request) } < 0 {
        return Err(Error::last_os(ErrorCode::Ioctl, "KVM_GET_DIRTY_LOG"));
    }
    Ok(())
}

/// Clears those bits of a slot's log that are set in `bitmap`, whose first bit is `first_page`.
pub(crate) fn clear_dirty_log(
    vm: &VmFd,
    slot: u32,
    first_page: u64,
    num_pages: u32,
    bitmap: &[u8],
) -> Result<(), Error> {
    if (bitmap.len() as u64) < bitmap_size(u64::from(num_pages)) {
        return Err(Error::new(ErrorCode::Internal, "the bitmap has fewer bits than pages were named"));
    }
    let dirty_bitmap = bitmap.as_ptr().cast_mut().cast();
    let request = kvm_clear_dirty_log {
        slot,
        num_pages,
        first_page,
        __bindgen_anon_1: kvm_clear_dirty_log__bindgen_ty_1 { dirty_bitmap },
    };
    // SAFETY: the kernel reads one bit for each of the pages, in whole words, and the bitmap has so many. It writes
    // nothing there.
    if unsafe { ioctl_with_ref(vm, KVM_CLEAR_DIRTY_LOG(), &request) } < 0 {
        return Err(Error::last_os(ErrorCode::Ioctl, "KVM_CLEAR_DIRTY_LOG"));
    }
    Ok(())
}

/// Lets KVM log the harvested pages of all rings again; how many there were.
pub(crate) fn reset_dirty_rings(vm: &VmFd) -> Result<u32, Error> {
    // SAFETY: the call takes no argument and writes to the kernel's side of the rings only.
    let reset = unsafe { libc::ioctl(vm.as_raw_fd(), KVM_RESET_DIRTY_RINGS() as _, 0) };
    u32::try_from(reset).map_err(|_| Error::last_os(ErrorCode::Ioctl, "KVM_RESET_DIRTY_RINGS"))
}
