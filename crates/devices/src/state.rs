//! The saved state of a device, and the reader and writer of its bytes.
//!
//! Encoding, the same for every device: fields follow each other without padding, integers are
//! little-endian, a byte string is its length as `u32` and then its bytes. Which fields there are, each
//! device's file says; when they change, the device's version goes up.

/// The saved state of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceState {
    /// The name of the kind of device, as its `name()` says it.
    pub kind: String,
    /// The version of the encoding of `data`, counted for each kind of device from 1.
    pub version: u32,
    /// The fields, as the device's file documents them.
    pub data: Vec<u8>,
}

/// Why a device cannot take over a state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The state was saved by another kind of device.
    #[error("the state is of a device '{actual}', not of '{expected}'")]
    Kind {
        /// The device that should have taken it.
        expected: &'static str,
        /// The device that the state names.
        actual: String,
    },
    /// The state was saved in an encoding that this build does not read.
    #[error("the state of '{kind}' has version {actual}, this build reads version {expected}")]
    Version {
        /// The device.
        kind: &'static str,
        /// The version that is understood.
        expected: u32,
        /// The version that the state has.
        actual: u32,
    },
    /// The state has too few or too many bytes.
    #[error("the state of '{kind}' is {actual} bytes long, which does not fit its fields")]
    Length {
        /// The device.
        kind: &'static str,
        /// The number of bytes that the state has.
        actual: usize,
    },
    /// A field has a value that the device never saves.
    #[error("the state of '{kind}' has an impossible value in its field '{field}'")]
    Content {
        /// The device.
        kind: &'static str,
        /// The field.
        field: &'static str,
    },
}

/// Puts fields one after another.
pub(crate) struct StateWriter {
    data: Vec<u8>,
}

impl StateWriter {
    pub(crate) fn new() -> Self {
        Self { data: Vec::new() }
    }

    pub(crate) fn u8(mut self, value: u8) -> Self {
        self.data.push(value);
        self
    }

    pub(crate) fn u64(mut self, value: u64) -> Self {
        self.data.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(crate) fn array(mut self, bytes: &[u8]) -> Self {
        self.data.extend_from_slice(bytes);
        self
    }

    /// A byte string of any length. Devices bound theirs far below 4 GiB.
    pub(crate) fn string(mut self, bytes: &[u8]) -> Self {
        self.data.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.data.extend_from_slice(bytes);
        self
    }

    pub(crate) fn finish(self, kind: &'static str, version: u32) -> DeviceState {
        DeviceState { kind: kind.to_owned(), version, data: self.data }
    }
}

/// Takes fields off the front, and at the end insists that nothing is left.
pub(crate) struct StateReader<'a> {
    kind: &'static str,
    total: usize,
    rest: &'a [u8],
}

impl<'a> StateReader<'a> {
    pub(crate) fn open(
        state: &'a DeviceState,
        kind: &'static str,
        version: u32,
    ) -> Result<Self, RestoreError> {
        if state.kind != kind {
            return Err(RestoreError::Kind { expected: kind, actual: state.kind.clone() });
        }
        if state.version != version {
            return Err(RestoreError::Version { kind, expected: version, actual: state.version });
        }
        Ok(Self { kind, total: state.data.len(), rest: &state.data })
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], RestoreError> {
        let (field, rest) = self.rest.split_at_checked(length).ok_or_else(|| self.length_error())?;
        self.rest = rest;
        Ok(field)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], RestoreError> {
        let (field, rest) = self.rest.split_first_chunk::<N>().ok_or_else(|| self.length_error())?;
        self.rest = rest;
        Ok(*field)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, RestoreError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, RestoreError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A byte string of at most `limit` bytes.
    pub(crate) fn string(&mut self, field: &'static str, limit: usize) -> Result<&'a [u8], RestoreError> {
        let length = u32::from_le_bytes(self.array()?) as usize;
        if length > limit {
            return Err(self.content(field));
        }
        self.take(length)
    }

    pub(crate) fn finish(self) -> Result<(), RestoreError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.length_error()) }
    }

    pub(crate) fn content(&self, field: &'static str) -> RestoreError {
        RestoreError::Content { kind: self.kind, field }
    }

    fn length_error(&self) -> RestoreError {
        RestoreError::Length { kind: self.kind, actual: self.total }
    }
}
