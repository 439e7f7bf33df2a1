//! The alarm of a device: a thread that waits for the moment and signals the device's interrupt.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use vmhatch_devices::{Alarm, Interrupt};

/// What the thread waits for.
enum Wanted {
    Nothing,
    At(Instant),
    /// The device is gone.
    End,
}

struct Shared {
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Waits, signals, and again, until the device is gone.
    fn serve(&self, interrupt: &dyn Interrupt) {
        let mut wanted = self.lock();
        loop {
            let now = Instant::now();
            wanted = match *wanted {
                Wanted::End => return,
                Wanted::Nothing => self.changed.wait(wanted).unwrap_or_else(|poisoned| poisoned.into_inner()),
                Wanted::At(at) if at > now => {
                    let waited = self.changed.wait_timeout(wanted, at - now);
                    waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0
                }
                Wanted::At(_) => {
                    *wanted = Wanted::Nothing;
                    drop(wanted);
                    interrupt.raise();
                    self.lock()
                }
            };
        }
    }
}

/// The alarm of one device. Its thread is started by the first alarm, and ends with the device.
pub(crate) struct AlarmThread {
    shared: Arc<Shared>,
    /// Until the thread has it.
    interrupt: Mutex<Option<Box<dyn Interrupt>>>,
}

impl AlarmThread {
    pub(crate) fn new(interrupt: Box<dyn Interrupt>) -> Self {
        let shared = Shared { wanted: Mutex::new(Wanted::Nothing), changed: Condvar::new() };
        Self { shared: Arc::new(shared), interrupt: Mutex::new(Some(interrupt)) }
    }

    /// A host that has no thread left for us has no alarms.
    fn start(&self) {
        let mut waiting = self.interrupt.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let Some(interrupt) = waiting.take() else { return };
        let shared = Arc::clone(&self.shared);
        let _ = std::thread::Builder::new()
            .name("vmhatch-alarm".to_owned())
            .stack_size(64 * 1024)
            .spawn(move || shared.serve(&*interrupt));
    }
}

impl Alarm for AlarmThread {
    fn set(&self, after: Option<Duration>) {
        // An alarm that is too far away to be expressed never comes.
        let at = after.and_then(|after| Instant::now().checked_add(after));
        if at.is_some() {
            self.start();
        }
        *self.shared.lock() = at.map_or(Wanted::Nothing, Wanted::At);
        self.shared.changed.notify_one();
    }
}

impl Drop for AlarmThread {
    fn drop(&mut self) {
        *self.shared.lock() = Wanted::End;
        self.shared.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};

    const SOON: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(30);

    struct Line(Sender<Instant>);

    impl Interrupt for Line {
        fn raise(&self) {
            let _ = self.0.send(Instant::now());
        }
    }

    fn alarm() -> (AlarmThread, Receiver<Instant>) {
        let (sender, receiver) = channel();
        (AlarmThread::new(Box::new(Line(sender))), receiver)
    }

    #[test]
    fn it_comes_once_and_not_too_early() {
        let (alarm, line) = alarm();
        let start = Instant::now();
        alarm.set(Some(SOON));
        assert!(line.recv_timeout(LONG).unwrap() >= start + SOON);
        assert_eq!(line.recv_timeout(SOON), Err(RecvTimeoutError::Timeout));
        alarm.set(Some(Duration::ZERO));
        line.recv_timeout(LONG).unwrap();
    }

    #[test]
    fn the_last_word_counts() {
        let (alarm, line) = alarm();
        // One that never comes, one that is taken back, and one that takes the place of a later one.
        alarm.set(Some(Duration::MAX));
        alarm.set(Some(SOON * 5));
        alarm.set(None);
        assert_eq!(line.recv_timeout(SOON * 10), Err(RecvTimeoutError::Timeout));
        alarm.set(Some(LONG));
        alarm.set(Some(SOON));
        line.recv_timeout(LONG).unwrap();
    }

    #[test]
    fn the_thread_ends_with_the_device() {
        let (alarm, line) = alarm();
        alarm.set(Some(LONG));
        drop(alarm);
        // The thread had the sender.
        assert_eq!(line.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
        // So it does if there never was one.
        let (alarm, line) = self::alarm();
        drop(alarm);
        assert_eq!(line.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
    }
}
