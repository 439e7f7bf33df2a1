//! The Rust devices as a virtual machine holds them: a model, where its output goes, and what it asks for.

use crate::alarm::AlarmThread;
use crate::{Error, ErrorCode, IsolatePort};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use vmhatch_devices::{
    AcpiPower, Alarm, BootTime, BootTimer, BusDevice, Cmos, DebugConsole, DebugExit, DeviceState, I8042,
    Ignore, Interrupt, MachineRequest, MemorySize, Output, Pl031, PvPanic, Request, Serial,
};

/// How much output waits for JavaScript before the guest has to wait, in bytes.
const OUTPUT_LIMIT: usize = 64 * 1024;

/// Beyond this the oldest bytes are lost: a listener that takes none, and a vCPU on a thread that cannot wait for it.
const OUTPUT_BOUND: usize = 4 * OUTPUT_LIMIT;

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

    /// Somebody takes the bytes from now on: none is dropped any more, the guest waits for room.
    pub fn start_listening(&self) {
        let bytes = self.lock();
        self.has_listener.store(true, Ordering::Relaxed);
        let waiting = !bytes.is_empty();
        self.urgent.store(waiting, Ordering::Relaxed);
        drop(bytes);
        if waiting {
            self.port.notify();
        }
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

    /// Whether the guest that prints has to wait for the listener.
    pub(crate) fn is_full(&self) -> bool {
        self.is_urgent() && self.is_heard() && self.lock().len() >= OUTPUT_LIMIT
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
        let heard = output.is_heard();
        let bound = if heard { OUTPUT_BOUND } else { OUTPUT_LIMIT };
        let excess = bytes.len().saturating_sub(bound);
        if excess > 0 {
            bytes.drain(..excess);
        }
        if !heard {
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

/// Who asks, as `Control::stop_device` has it; lib/internal/stop-devices.ts has the names in the same order.
#[derive(Clone, Copy)]
#[repr(u32)]
enum StopDevice {
    DebugExit = 0,
    I8042 = 1,
    AcpiSleep = 2,
    AcpiReset = 3,
    PvPanic = 4,
}

struct RequestEnd {
    asked: Arc<Asked>,
    /// Who asks, if not by a register that has a number of its own.
    device: StopDevice,
}

impl Request for RequestEnd {
    fn request(&self, request: MachineRequest) {
        let (device, code) = match request {
            MachineRequest::Reset | MachineRequest::Panic => (self.device, 0),
            MachineRequest::PowerOff => (StopDevice::AcpiSleep, 0),
            MachineRequest::Exit(code) => (self.device, code),
        };
        self.asked.0.store(ASKED | u64::from(device as u32) << 32 | u64::from(code), Ordering::Release);
    }
}

/// When the clock of a boot timer began, and what the guest said by it.
struct BootClock {
    began: Arc<Mutex<Instant>>,
    time: BootTime,
}

fn moment(began: &Mutex<Instant>) -> MutexGuard<'_, Instant> {
    began.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A device's interrupt line, which its owner can let go of before the device is gone.
#[derive(Clone)]
struct Line(Arc<Mutex<Option<Box<dyn Interrupt>>>>);

impl Line {
    fn lock(&self) -> MutexGuard<'_, Option<Box<dyn Interrupt>>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Interrupt for Line {
    fn raise(&self) {
        if let Some(line) = self.lock().as_ref() {
            line.raise();
        }
    }
}

/// The host's seconds since 1970, or always the same ones.
fn clock(fixed_time: Option<u64>) -> Box<dyn Fn() -> u64 + Send> {
    Box::new(move || {
        fixed_time.unwrap_or_else(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.map_or(0, |since| since.as_secs())
        })
    })
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
    boot_clock: Option<BootClock>,
    line: Option<Line>,
}

impl NativeDevice {
    fn new(model: Model, output: Option<Arc<DeviceOutput>>, asked: Arc<Asked>) -> Arc<Self> {
        Arc::new(Self { model: Mutex::new(model), output, asked, boot_clock: None, line: None })
    }

    /// A device that asks something of its machine.
    fn asking(device: StopDevice, make: impl FnOnce(Box<dyn Request>) -> Box<dyn BusDevice>) -> Arc<Self> {
        let asked = Arc::<Asked>::default();
        let model = make(Box::new(RequestEnd { asked: Arc::clone(&asked), device }));
        Self::new(Model::Other(model), None, asked)
    }

    /// A 16550 serial port whose output goes to `port`'s isolate.
    pub fn serial(port: Arc<IsolatePort>, has_listener: bool, interrupt: Box<dyn Interrupt>) -> Arc<Self> {
        let output = DeviceOutput::new(port, has_listener);
        let line = Line(Arc::new(Mutex::new(Some(interrupt))));
        let serial = Serial::new(Box::new(line.clone()), Box::new(OutputEnd(Arc::clone(&output))));
        let (model, asked) = (Mutex::new(Model::Serial(serial)), Arc::default());
        Arc::new(Self { model, output: Some(output), asked, boot_clock: None, line: Some(line) })
    }

    /// Lets go of the interrupt line and its descriptor: from now on the device calls nobody.
    pub fn disconnect(&self) {
        if let Some(line) = &self.line {
            line.lock().take();
        }
    }

    /// A debug console that reads as `readback`.
    pub fn debug_console(port: Arc<IsolatePort>, has_listener: bool, readback: u8) -> Arc<Self> {
        let output = DeviceOutput::new(port, has_listener);
        let console = DebugConsole::new(Box::new(OutputEnd(Arc::clone(&output))), readback);
        Self::new(Model::Other(Box::new(console)), Some(output), Arc::default())
    }

    /// An isa-debug-exit device.
    pub fn debug_exit() -> Arc<Self> {
        Self::asking(StopDevice::DebugExit, |request| Box::new(DebugExit::new(request)))
    }

    /// A keyboard controller that only knows how to reset.
    pub fn i8042() -> Arc<Self> {
        Self::asking(StopDevice::I8042, |request| Box::new(I8042::new(request)))
    }

    /// The registers by which an ACPI guest powers off or resets.
    pub fn acpi_power() -> Arc<Self> {
        Self::asking(StopDevice::AcpiReset, |request| Box::new(AcpiPower::new(request)))
    }

    /// The register by which a guest's kernel tells its panic.
    pub fn pvpanic() -> Arc<Self> {
        Self::asking(StopDevice::PvPanic, |request| Box::new(PvPanic::new(request)))
    }

    /// A boot timer, whose clock begins now.
    pub fn boot_timer() -> Arc<Self> {
        let began = Arc::new(Mutex::new(Instant::now()));
        let clock = Arc::clone(&began);
        let timer = BootTimer::new(Box::new(move || moment(&clock).elapsed().as_nanos() as u64));
        let boot_clock = Some(BootClock { began, time: timer.boot_time() });
        let (model, asked) = (Mutex::new(Model::Other(Box::new(timer))), Arc::default());
        Arc::new(Self { model, output: None, asked, boot_clock, line: None })
    }

    /// Begins a boot timer's clock anew.
    pub fn restart_boot_timer(&self) {
        if let Some(clock) = &self.boot_clock {
            *moment(&clock.began) = Instant::now();
            clock.time.clear();
        }
    }

    /// What a boot timer's clock showed when the guest had booted, in nanoseconds.
    pub fn boot_time(&self) -> Option<u64> {
        self.boot_clock.as_ref()?.time.get()
    }

    /// A CMOS clock. `fixed_time` (seconds since 1970) stops the clock there.
    pub fn cmos(memory_size: u64, fixed_time: Option<u64>) -> Arc<Self> {
        let cmos = Cmos::new(MemorySize::with_hole_at_3_gib(memory_size), clock(fixed_time));
        Self::new(Model::Other(Box::new(cmos)), None, Arc::default())
    }

    /// A PL031 clock with an alarm. `fixed_time` (seconds since 1970) stops the clock there: its alarm comes only if
    /// the guest sets it to that very second.
    pub fn pl031(fixed_time: Option<u64>, interrupt: Box<dyn Interrupt>) -> Arc<Self> {
        let line = Line(Arc::new(Mutex::new(Some(interrupt))));
        let alarm: Box<dyn Alarm> = match fixed_time {
            None => Box::new(AlarmThread::new(Box::new(line.clone()))),
            Some(_) => Box::new(Ignore),
        };
        let pl031 = Pl031::new(clock(fixed_time), Box::new(line.clone()), alarm);
        let (model, asked) = (Mutex::new(Model::Other(Box::new(pl031))), Arc::default());
        Arc::new(Self { model, output: None, asked, boot_clock: None, line: Some(line) })
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

    /// How many bytes [`input`](Self::input) would take now.
    pub fn input_capacity(&self) -> usize {
        match &*self.lock() {
            Model::Serial(serial) => serial.input_capacity(),
            Model::Other(_) => 0,
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
