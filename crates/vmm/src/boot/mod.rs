//! Fills a machine's memory before its first instruction: reads the images, and lets vmhatch-boot place them.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub use aarch64::*;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;

use crate::{Error, ErrorCode};
use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use vmhatch_boot::BootError;

pub use vmhatch_boot::{Placed, Protocol};

/// Where an image is.
#[derive(Debug, Clone)]
pub enum Image {
    /// A file of the host.
    Path(PathBuf),
    /// Its bytes.
    Bytes(Vec<u8>),
}

impl Image {
    fn read(&self, field: &str, limit: u64) -> Result<Cow<'_, [u8]>, Error> {
        match self {
            Self::Bytes(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::Path(path) => read_file(path, limit).map(Cow::Owned).map_err(|error| error.context(field)),
        }
    }
}

/// All of a file that is no larger than the machine's memory. A file that grows meanwhile does not change that.
fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let unreadable =
        |error: std::io::Error| Error::new(ErrorCode::Boot, format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let mut bytes = Vec::with_capacity(length.min(limit) as usize);
    file.take(limit + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > limit {
        let message = format!("{} has more bytes than the machine's memory, {limit}", path.display());
        return Err(Error::new(ErrorCode::Boot, message));
    }
    Ok(bytes)
}

impl From<BootError> for Error {
    fn from(error: BootError) -> Self {
        Self::new(ErrorCode::Boot, format!("{}: {error}", error.field()))
    }
}
