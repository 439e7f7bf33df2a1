//! Devices that KVM makes for a machine (`KVM_CREATE_DEVICE`) and their attributes.

use super::VmCore;
use crate::error::IoctlResult;
use crate::host::lacks_ioctl;
use crate::raw_ioctl;
use crate::{Error, ErrorCode};
use kvm_bindings::{KVM_CAP_DEVICE_CTRL, KVM_CREATE_DEVICE_TEST, kvm_create_device, kvm_device_attr};
use kvm_ioctls::DeviceFd;
use std::sync::{Arc, Mutex, MutexGuard};

/// One device that KVM made.
pub struct KvmDevice {
    fd: Mutex<Option<DeviceFd>>,
    /// Its memory is what the device works on.
    vm: Arc<VmCore>,
}

/// Larger than the value of any attribute is on x86_64 and aarch64: KVM copies as much as the attribute has, whatever
/// it is given.
pub(crate) const LARGEST_ATTRIBUTE: usize = 4096;

impl VmCore {
    /// Whether the host can make a device of this type for this machine (`KVM_CREATE_DEVICE_TEST`).
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`], [`ErrorCode::Closed`].
    pub fn has_device_type(&self, kind: u32) -> Result<bool, Error> {
        self.require(KVM_CAP_DEVICE_CTRL, "KVM_CAP_DEVICE_CTRL")?;
        let mut request = kvm_create_device { type_: kind, fd: 0, flags: KVM_CREATE_DEVICE_TEST };
        self.with(|vm| Ok(raw_ioctl::test_device(vm, &mut request).is_ok()))
    }

    /// `KVM_CREATE_DEVICE`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`] for a type that this host does not have, [`ErrorCode::Ioctl`],
    /// [`ErrorCode::Closed`].
    pub fn create_kvm_device(self: &Arc<Self>, kind: u32) -> Result<Arc<KvmDevice>, Error> {
        const SYSCALL: &str = "KVM_CREATE_DEVICE";
        self.require(KVM_CAP_DEVICE_CTRL, "KVM_CAP_DEVICE_CTRL")?;
        let mut request = kvm_create_device { type_: kind, fd: 0, flags: 0 };
        let refused = |error: kvm_ioctls::Error| match error.errno() {
            libc::ENODEV => lacks_ioctl(&format!("devices of type {kind}"), SYSCALL, libc::ENODEV),
            errno => Error::os(ErrorCode::Ioctl, SYSCALL, errno),
        };
        let fd = self.with(|vm| vm.create_device(&mut request).map_err(refused))?;
        let device = Arc::new(KvmDevice { fd: Mutex::new(Some(fd)), vm: Arc::clone(self) });
        let mut devices = self.devices.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        devices.retain(|device| device.strong_count() > 0);
        devices.push(Arc::downgrade(&device));
        drop(devices);
        if self.is_closed() {
            // `close` took the list before this device was on it.
            device.close();
            return Err(Error::closed("Vm"));
        }
        Ok(device)
    }

    pub(super) fn close_devices(&self) {
        let devices =
            std::mem::take(&mut *self.devices.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        devices.iter().filter_map(std::sync::Weak::upgrade).for_each(|device| device.close());
    }
}

impl KvmDevice {
    fn lock(&self) -> MutexGuard<'_, Option<DeviceFd>> {
        self.fd.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn with<T>(&self, use_device: impl FnOnce(&DeviceFd) -> Result<T, Error>) -> Result<T, Error> {
        use_device(self.lock().as_ref().ok_or_else(|| Error::closed("KvmDevice"))?)
    }

    /// Lets go of the device; the machine keeps it until it is closed itself. Twice is quiet.
    pub fn close(&self) {
        self.lock().take();
    }

    /// Whether it is closed, here or with its machine.
    pub fn is_closed(&self) -> bool {
        self.vm.is_closed() || self.lock().is_none()
    }

    /// `KVM_HAS_DEVICE_ATTR`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Closed`].
    pub fn has_attribute(&self, group: u32, attribute: u64) -> Result<bool, Error> {
        let request = kvm_device_attr { group, attr: attribute, ..Default::default() };
        self.with(|device| Ok(device.has_device_attr(&request).is_ok()))
    }

    /// `KVM_SET_DEVICE_ATTR`; the attribute's value is `data`, empty for one that has none.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::NoAttribute`] for one that the device does not have, [`ErrorCode::State`] for a value that is
    /// larger than any, [`ErrorCode::Ioctl`], [`ErrorCode::Closed`].
    pub fn set_attribute(&self, group: u32, attribute: u64, data: &[u8]) -> Result<(), Error> {
        let padded = padded_attribute(data)?;
        let addr = if data.is_empty() { 0 } else { padded.as_ptr() as u64 };
        let request = kvm_device_attr { group, attr: attribute, addr, ..Default::default() };
        self.with(|device| {
            let done = device.set_device_attr(&request).ioctl("KVM_SET_DEVICE_ATTR");
            done.map_err(|error| no_attribute(error, group, attribute))
        })
    }

    /// `KVM_GET_DEVICE_ATTR` into `target`, which has as many bytes as the attribute.
    ///
    /// # Errors
    ///
    /// As [`set_attribute`](Self::set_attribute).
    pub fn get_attribute(&self, group: u32, attribute: u64, target: &mut [u8]) -> Result<(), Error> {
        let mut padded = padded_attribute(target)?;
        let mut request = kvm_device_attr { group, attr: attribute, ..Default::default() };
        self.with(|device| {
            let done = raw_ioctl::get_device_attribute(device, &mut request, &mut padded);
            done.map_err(|error| no_attribute(error, group, attribute))
        })?;
        target.copy_from_slice(&padded[..target.len()]);
        Ok(())
    }
}

/// The value with room for what KVM reads or writes beyond it.
fn padded_attribute(data: &[u8]) -> Result<[u8; LARGEST_ATTRIBUTE], Error> {
    let mut padded = [0; LARGEST_ATTRIBUTE];
    let room = padded.get_mut(..data.len()).ok_or_else(|| {
        let given = data.len();
        Error::new(
            ErrorCode::State,
            format!("an attribute has {LARGEST_ATTRIBUTE} bytes at most, not {given}"),
        )
    })?;
    room.copy_from_slice(data);
    Ok(padded)
}

/// Tells an attribute that does not exist from one whose value is refused.
fn no_attribute(error: Error, group: u32, attribute: u64) -> Error {
    if error.errno != Some(libc::ENXIO) {
        return error;
    }
    let message = format!("there is no attribute {attribute:#x} in group {group}");
    Error { code: ErrorCode::NoAttribute, message, ..error }
}
