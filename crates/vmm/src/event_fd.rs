//! An event counter that the kernel, a device and JavaScript can all signal.

use crate::{Error, ErrorCode};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex};
use vmhatch_devices::Interrupt;

/// An eventfd(2), non-blocking and closed on exec.
///
/// Clones share the descriptor: a device that raises interrupts through it keeps it open, whatever the
/// JavaScript object does.
#[derive(Debug, Clone)]
pub struct EventFd {
    fd: Arc<Mutex<Option<Arc<vmm_sys_util::eventfd::EventFd>>>>,
}

impl EventFd {
    /// A counter that starts at `initial`.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`] when the process has no descriptor left.
    pub fn new(initial: u32, semaphore: bool) -> Result<Self, Error> {
        let mut flags = libc::EFD_NONBLOCK | libc::EFD_CLOEXEC;
        if semaphore {
            flags |= libc::EFD_SEMAPHORE;
        }
        let fd = vmm_sys_util::eventfd::EventFd::new(flags)
            .map_err(|error| Error::os(ErrorCode::Ioctl, "eventfd", error.raw_os_error().unwrap_or(0)))?;
        let this = Self { fd: Arc::new(Mutex::new(Some(Arc::new(fd)))) };
        if initial > 0 {
            this.write(u64::from(initial))?;
        }
        Ok(this)
    }

    /// The open descriptor, shared.
    pub(crate) fn get(&self) -> Result<Arc<vmm_sys_util::eventfd::EventFd>, Error> {
        let guard = self.fd.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        guard.clone().ok_or_else(|| Error::closed("EventFd"))
    }

    /// The descriptor's number, for use with other interfaces of the kernel.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Closed`].
    pub fn raw_fd(&self) -> Result<i32, Error> {
        Ok(self.get()?.as_raw_fd())
    }

    /// Adds to the counter.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`] with `EAGAIN` when the counter would overflow.
    pub fn write(&self, value: u64) -> Result<(), Error> {
        self.get()?
            .write(value)
            .map_err(|error| Error::os(ErrorCode::Ioctl, "write(eventfd)", error.raw_os_error().unwrap_or(0)))
    }

    /// Takes the counter (one of it for a semaphore); `None` when it is zero.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`] when the kernel refuses the read.
    pub fn read(&self) -> Result<Option<u64>, Error> {
        match self.get()?.read() {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => {
                Err(Error::os(ErrorCode::Ioctl, "read(eventfd)", error.raw_os_error().unwrap_or(0)))
            }
        }
    }

    /// Lets go of the descriptor; devices and interrupt routes that use it keep theirs.
    pub fn close(&self) {
        self.fd.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
    }

    /// The same descriptor as a device's interrupt line.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Closed`].
    pub fn interrupt(&self) -> Result<Box<dyn Interrupt>, Error> {
        Ok(Box::new(EventLine(self.get()?)))
    }
}

/// An interrupt line that ends in an eventfd, which KVM turns into an interrupt (`KVM_IRQFD`).
struct EventLine(Arc<vmm_sys_util::eventfd::EventFd>);

impl Interrupt for EventLine {
    fn raise(&self) {
        // The only failure is a full counter, which means that the interrupt is pending anyway.
        let _ = self.0.write(1);
    }
}
