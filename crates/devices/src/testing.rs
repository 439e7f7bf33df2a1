//! What the devices' tests share: recorders behind the outgoing traits, and a guest that tries everything.

use std::sync::{Arc, Mutex};

use crate::{BusDevice, DeviceState, Interrupt, MachineRequest, Output, Request, RestoreError};

/// Remembers what a device sent out; clones share one memory.
#[derive(Clone, Default)]
pub(crate) struct Recorder {
    edges: Arc<Mutex<u32>>,
    bytes: Arc<Mutex<Vec<u8>>>,
    requests: Arc<Mutex<Vec<MachineRequest>>>,
}

impl Recorder {
    pub(crate) fn take_edges(&self) -> u32 {
        std::mem::take(&mut self.edges.lock().unwrap())
    }

    pub(crate) fn take_bytes(&self) -> Vec<u8> {
        std::mem::take(&mut self.bytes.lock().unwrap())
    }

    pub(crate) fn take_requests(&self) -> Vec<MachineRequest> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

impl Interrupt for Recorder {
    fn raise(&self) {
        *self.edges.lock().unwrap() += 1;
    }
}

impl Output for Recorder {
    fn write(&self, bytes: &[u8]) {
        self.bytes.lock().unwrap().extend_from_slice(bytes);
    }
}

impl Request for Recorder {
    fn request(&self, request: MachineRequest) {
        self.requests.lock().unwrap().push(request);
    }
}

/// Reads one byte.
pub(crate) fn inb(device: &mut dyn BusDevice, offset: u64) -> u8 {
    let mut data = [0x5a];
    device.read(offset, &mut data);
    data[0]
}

/// Writes one byte.
pub(crate) fn outb(device: &mut dyn BusDevice, offset: u64, value: u8) {
    device.write(offset, &[value]);
}

/// Accesses of every size from 0 to 9 at offsets low, high and at every power of two. Beyond `known`
/// offsets, everything must read as all ones.
pub(crate) fn hostile_accesses(device: &mut dyn BusDevice, known: u64) {
    let offsets = (0..16)
        .chain((4..64).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1]))
        .chain([u64::MAX - 1, u64::MAX]);
    for offset in offsets {
        for size in 0..=9 {
            for fill in [0x00, 0x7f, 0x80, 0xfe, 0xff] {
                device.write(offset, &vec![fill; size]);
                let mut data = vec![0x5a; size];
                device.read(offset, &mut data);
                if offset >= known || !matches!(size, 1 | 2 | 4) {
                    assert_eq!(data, vec![0xff; size], "offset {offset:#x}, size {size}");
                }
            }
        }
    }
}

/// A device must refuse states that it did not make: another kind, another version, and its own bytes
/// cut short or with one more.
pub(crate) fn refuses_foreign_states(device: &mut dyn BusDevice) {
    let good = device.save();
    assert_eq!(good.kind, device.name());
    assert_eq!(device.restore(&good), Ok(()));
    let other_kind = DeviceState { kind: "toaster".into(), ..good.clone() };
    assert!(matches!(device.restore(&other_kind), Err(RestoreError::Kind { .. })));
    let other_version = DeviceState { version: good.version + 1, ..good.clone() };
    assert!(matches!(device.restore(&other_version), Err(RestoreError::Version { .. })));
    for length in 0..good.data.len() {
        let cut = DeviceState { data: good.data[..length].to_vec(), ..good.clone() };
        assert!(matches!(device.restore(&cut), Err(RestoreError::Length { .. })));
    }
    let mut long = good.clone();
    long.data.push(0);
    assert!(matches!(device.restore(&long), Err(RestoreError::Length { .. })));
    // No byte string makes it panic, and a refused one leaves the device as it was.
    for index in 0..good.data.len() {
        for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
            let mut changed = good.clone();
            changed.data[index] = value;
            let before = device.save();
            if device.restore(&changed).is_err() {
                assert_eq!(device.save(), before);
            }
        }
    }
    assert_eq!(device.restore(&good), Ok(()));
    assert_eq!(device.save(), good);
}
