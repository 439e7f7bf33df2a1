//! Devices that KVM makes for a machine (`KVM_CREATE_DEVICE`) and their attributes.

use super::VmCore;
use crate::host::lacks_ioctl;
use crate::{Error, ErrorCode, attribute, raw_ioctl};
use kvm_bindings::{KVM_CAP_DEVICE_CTRL, KVM_CREATE_DEVICE_TEST, kvm_create_device};
use kvm_ioctls::DeviceFd;
use std::sync::{Arc, Mutex, MutexGuard};

/// One device that KVM made.
pub struct KvmDevice {
    fd: Mutex<Option<DeviceFd>>,
    /// Its memory is what the device works on.
    vm: Arc<VmCore>,
}

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
        self.with(|device| Ok(attribute::has(device, group, attribute)))
    }

    /// `KVM_SET_DEVICE_ATTR`; the attribute's value is `data`, empty for one that has none.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::NoAttribute`] for one that the device does not have, [`ErrorCode::State`] for a value that is
    /// larger than any, [`ErrorCode::Ioctl`], [`ErrorCode::Closed`].
    pub fn set_attribute(&self, group: u32, attribute: u64, data: &[u8]) -> Result<(), Error> {
        self.with(|device| attribute::set(device, group, attribute, data))
    }

    /// `KVM_GET_DEVICE_ATTR` into `target`, which has as many bytes as the attribute.
    ///
    /// # Errors
    ///
    /// As [`set_attribute`](Self::set_attribute); [`ErrorCode::NoAttribute`] for one that cannot be read, too.
    pub fn get_attribute(&self, group: u32, attribute: u64, target: &mut [u8]) -> Result<(), Error> {
        self.with(|device| attribute::get(device, group, attribute, target))
    }
}
