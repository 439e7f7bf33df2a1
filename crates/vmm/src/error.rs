//! The one error type of this crate: a code that JavaScript sees, a message, and what the host said.

use crate::ErrorCode;

/// What the host could not do, or what a caller asked for and may not have.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The code that a program can act on.
    pub code: ErrorCode,
    /// What happened, for a person.
    pub message: String,
    /// The host's `errno`, where a system call failed.
    pub errno: Option<i32>,
    /// The ioctl or system call that failed, by its kernel name.
    pub syscall: Option<&'static str>,
}

impl Error {
    /// An error that no system call stands behind.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), errno: None, syscall: None }
    }

    /// A failed system call.
    pub fn os(code: ErrorCode, syscall: &'static str, errno: i32) -> Self {
        let reason = std::io::Error::from_raw_os_error(errno);
        Self { code, message: format!("{syscall}: {reason}"), errno: Some(errno), syscall: Some(syscall) }
    }

    /// A failed system call, its `errno` taken from the thread.
    pub fn last_os(code: ErrorCode, syscall: &'static str) -> Self {
        Self::os(code, syscall, errno())
    }

    /// The object was closed.
    pub fn closed(what: &str) -> Self {
        Self::new(ErrorCode::Closed, format!("the {what} is closed"))
    }

    /// The vCPU runs, here or on another thread.
    pub fn busy() -> Self {
        Self::new(
            ErrorCode::Busy,
            "the vCPU is running: kick it first, or call this from one of its handlers",
        )
    }

    /// The same error with a sentence that says where it happened.
    #[must_use]
    pub fn context(mut self, text: &str) -> Self {
        self.message = format!("{text}: {}", self.message);
        self
    }
}

/// This thread's `errno`.
pub(crate) fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Names the ioctl that a kvm-ioctls call stands for.
pub(crate) trait IoctlResult<T> {
    /// Turns the bare errno into an [`Error`] that names the ioctl.
    fn ioctl(self, name: &'static str) -> Result<T, Error>;
}

impl<T> IoctlResult<T> for Result<T, kvm_ioctls::Error> {
    fn ioctl(self, name: &'static str) -> Result<T, Error> {
        self.map_err(|error| Error::os(ErrorCode::Ioctl, name, error.errno()))
    }
}
