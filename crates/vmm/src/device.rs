//! The Rust devices as a virtual machine holds them: a model, where its output goes, and what it asks for.

use crate::{Error, ErrorCode, IsolatePort};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;
use vmhatch_devices::{
    BusDevice, Cmos, DebugConsole, DebugExit, DeviceState, I8042, Interrupt, MachineRequest, MemorySize,
    Output, Request, Serial,
};

/// How much output waits for JavaScript before the guest has to wait, in bytes.
const OUTPUT_LIMIT: usize = 64 * 1024;

/// From here on a run comes back to JavaScript at once, in bytes.
const OUTPUT_URGENT: usize = OUTPUT_LIMIT / 2;

/// What a guest printed and JavaScript has not seen yet.
pub struct DeviceOutput {
    port: Arc<IsolatePort>,
    /// Whether a callback takes the bytes. Without one the last [`OUTPUT_LIMIT`] bytes are kept.
    has_listener: AtomicBool,
    bytes: Mutex<VecDeque<u8>>,
    urgent: AtomicBool,
    drained: Condvar,
}

impl DeviceOutput {
    fn new(port: Arc<IsolatePort>, has_listener: bool) -> Arc<Self> {
        Arc::new(Self {
            port,
            has_listener: AtomicBool::new(has_listener),
            bytes: Mutex::default(),
            urgent: AtomicBool::new(false),
            drained: Condvar::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<u8>> {
        self.bytes.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Takes all that waits.
    pub fn take(&self) -> Vec<u8> {
        let mut bytes = self.lock();
        self.urgent.store(false, Ordering::Relaxed);
        let taken = std::mem::take(&mut *bytes);
        self.drained.notify_all();
        taken.into()
    }

    /// Nobody takes the bytes any more, other than by [`take`](Self::take): from now on the last 64 KiB
    /// are kept, and no guest waits for room.
    pub fn stop_listening(&self) {
        // Under the lock: a write in progress has seen the old state and is done.
        let _bytes = self.lock();
        self.has_listener.store(false, Ordering::Relaxed);
        self.urgent.store(false, Ordering::Relaxed);
        self.drained.notify_all();
    }

    fn is_heard(&self) -> bool {
        self.has_listener.load(Ordering::Relaxed) && !self.port.ended()
    }

    /// Whether the owning isolate shall take it now: a line is complete, or much waits.
    pub fn is_urgent(&self) -> bool {
        self.urgent.load(Ordering::Relaxed)
    }

    /// The isolate that listens.
    pub(crate) fn port(&self) -> &IsolatePort {
        &self.port
    }

    /// Waits a little for room; `true` when there is some.
    pub(crate) fn wait_for_room(&self, patience: Duration) -> bool {
        let bytes = self.lock();
        if !self.is_heard() || bytes.len() < OUTPUT_LIMIT {
            return true;
        }
        match self.drained.wait_timeout(bytes, patience) {
            Ok((bytes, _)) => !self.is_heard() || bytes.len() < OUTPUT_LIMIT,
            Err(_) => true,
        }
    }
}

/// The writing end of a [`DeviceOutput`], as a device model knows it.
struct OutputEnd(Arc<DeviceOutput>);

impl Output for OutputEnd {
    fn write(&self, new: &[u8]) {
        let output = &self.0;
        let mut bytes = output.lock();
        bytes.extend(new);
        if !output.is_heard() {
            let excess = bytes.len().saturating_sub(OUTPUT_LIMIT);
            bytes.drain(..excess);
            return;
        }
        if new.contains(&b'\n') || bytes.len() >= OUTPUT_URGENT {
            output.urgent.store(true, Ordering::Relaxed);
        }
        drop(bytes);
        output.port.notify();
    }
}

/// What a device asked of the machine, until the run loop takes it.
#[derive(Default)]
struct Asked(AtomicU64);

const ASKED: u64 = 1 << 63;

struct RequestEnd {
    asked: Arc<Asked>,
    /// The number in `Control::stop_device`.
    device: u32,
}

impl Request for RequestEnd {
    fn request(&self, request: MachineRequest) {
        let code = match request {
            MachineRequest::Reset => 0,
            MachineRequest::Exit(code) => code,
        };
        self.asked.0.store(ASKED | u64::from(self.device) << 32 | u64::from(code), Ordering::Release);
    }
}

enum Model {
    Serial(Serial),
    Other(Box<dyn BusDevice>),
}

impl Model {
    fn bus(&mut self) -> &mut dyn BusDevice {
        match self {
            Self::Serial(serial) => serial,
            Self::Other(device) => device.as_mut(),
        }
    }
}

/// One Rust device. It can be attached to several ranges.
pub struct NativeDevice {
    model: Mutex<Model>,
    output: Option<Arc<DeviceOutput>>,
    asked: Arc<Asked>,
}

impl NativeDevice {
    fn new(model: Model, output: Option<Arc<DeviceOutput>>, asked: Arc<Asked>) -> Arc<Self> {
        Arc::new(Self { model: Mutex::new(model), output, asked })
    }

    /// A 16550 serial port whose output goes to `port`'s isolate.
    pub fn serial(port: Arc<IsolatePort>, has_listener: bool, interrupt: Box<dyn Interrupt>) -> Arc<Self> {
        let output = DeviceOutput::new(port, has_listener);
        let serial = Serial::new(interrupt, Box::new(OutputEnd(Arc::clone(&output))));
        Self::new(Model::Serial(serial), Some(output), Arc::default())
    }

    /// A debug console that reads as `readback`.
    pub fn debug_console(port: Arc<IsolatePort>, has_listener: bool, readback: u8) -> Arc<Self> {
        let output = DeviceOutput::new(port, has_listener);
        let console = DebugConsole::new(Box::new(OutputEnd(Arc::clone(&output))), readback);
        Self::new(Model::Other(Box::new(console)), Some(output), Arc::default())
    }

    /// An isa-debug-exit device.
    pub fn debug_exit() -> Arc<Self> {
        let asked = Arc::<Asked>::default();
        let device = DebugExit::new(Box::new(RequestEnd { asked: Arc::clone(&asked), device: 0 }));
        Self::new(Model::Other(Box::new(device)), None, asked)
    }

    /// A keyboard controller that only knows how to reset.
    pub fn i8042() -> Arc<Self> {
        let asked = Arc::<Asked>::default();
        let device = I8042::new(Box::new(RequestEnd { asked: Arc::clone(&asked), device: 1 }));
        Self::new(Model::Other(Box::new(device)), None, asked)
    }

    /// A CMOS clock. `fixed_time` (seconds since 1970) stops the clock there.
    pub fn cmos(memory_size: u64, fixed_time: Option<u64>) -> Arc<Self> {
        let now = move || {
            fixed_time.unwrap_or_else(|| {
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                now.map_or(0, |since| since.as_secs())
            })
        };
        let cmos = Cmos::new(MemorySize::with_hole_at_3_gib(memory_size), Box::new(now));
        Self::new(Model::Other(Box::new(cmos)), None, Arc::default())
    }

    fn lock(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Lets the device answer a read: fills all of `data`, little-endian.
    pub fn read(&self, offset: u64, data: &mut [u8]) {
        self.lock().bus().read(offset, data);
    }

    /// Gives the device a write of `data`, little-endian.
    pub fn write(&self, offset: u64, data: &[u8]) {
        self.lock().bus().write(offset, data);
    }

    /// What the device asked of the machine since the last call: its number and the code.
    pub fn take_request(&self) -> Option<(u32, u32)> {
        if self.asked.0.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let asked = self.asked.0.swap(0, Ordering::AcqRel);
        Some((((asked & !ASKED) >> 32) as u32, asked as u32))
    }

    /// Where the output waits, for a device that has any.
    pub fn output(&self) -> Option<&Arc<DeviceOutput>> {
        self.output.as_ref()
    }

    /// Gives bytes to the serial port's receiver and returns how many it took.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unsupported`] for a device without an input.
    pub fn input(&self, bytes: &[u8]) -> Result<usize, Error> {
        match &mut *self.lock() {
            Model::Serial(serial) => Ok(serial.input(bytes)),
            Model::Other(_) => Err(Error::new(ErrorCode::Unsupported, "this device has no input")),
        }
    }

    /// The device's state.
    pub fn save(&self) -> DeviceState {
        self.lock().bus().save()
    }

    /// Takes over a saved state.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::State`] for a state of another kind or version.
    pub fn restore(&self, state: &DeviceState) -> Result<(), Error> {
        self.lock().bus().restore(state).map_err(|error| Error::new(ErrorCode::State, error.to_string()))
    }
}
