//! Port and memory accesses: who answers them, and how the answer gets back.

use super::run_loop::{Lane, Pass};
use super::{Forward, Local, RunPages, VcpuCore};
use crate::control::{Counters, Status};
use crate::device::{DeviceOutput, NativeDevice};
use crate::isolate::Access;
use crate::kick::{Interrupted, shutting_down};
use crate::routes::{Bus, Target};
use crate::{Error, ErrorCode, IsolatePort};
use std::sync::Arc;
use std::time::Duration;

/// How long a wait sleeps before it looks whether the run should end.
const PATIENCE: Duration = Duration::from_millis(5);

/// One access as the run loop serves it: `count` elements of `size` bytes at `data_offset` of the pages.
#[derive(Debug, Clone, Copy)]
struct Transfer {
    write: bool,
    /// The first port or guest-physical address.
    address: u64,
    size: usize,
    count: usize,
    data_offset: usize,
}

impl VcpuCore {
    #[inline]
    pub(super) fn io(&self, local: &mut Local, lane: Lane) -> Pass {
        let Some(exit) = self.pages.io_exit() else {
            return Pass::Return(self.fail(nonsense("port")));
        };
        let transfer = Transfer {
            write: exit.write,
            address: exit.port,
            size: exit.size,
            count: exit.count,
            data_offset: exit.data_offset,
        };
        let unclaimed = if exit.write { Status::IoOut } else { Status::IoIn };
        self.route(local, lane, Bus::Io, transfer, unclaimed)
    }

    #[inline]
    pub(super) fn mmio(&self, local: &mut Local, lane: Lane) -> Pass {
        let Some(exit) = self.pages.mmio_exit() else {
            return Pass::Return(self.fail(nonsense("memory")));
        };
        if let Err(error) = self.vm.memory.check_backing(exit.address, exit.write) {
            return Pass::Return(self.fail(error));
        }
        let transfer = Transfer {
            write: exit.write,
            address: exit.address,
            size: exit.size,
            count: 1,
            data_offset: RunPages::MMIO_DATA,
        };
        let unclaimed = if exit.write { Status::MmioWrite } else { Status::MmioRead };
        self.route(local, lane, Bus::Mmio, transfer, unclaimed)
    }

    #[inline]
    fn route(&self, local: &mut Local, lane: Lane, bus: Bus, transfer: Transfer, unclaimed: Status) -> Pass {
        // Port writes are complete when KVM reports them; all else is completed by the next entry. The loop may
        // come back before that (a slice is over), so this holds for accesses that are served right here, too.
        self.pages.set_open_access(!transfer.write || bus == Bus::Mmio);
        // A read that nobody answers is all ones, as on an empty bus.
        if !transfer.write {
            self.pages.fill_ones(transfer.data_offset, transfer.size * transfer.count);
        }
        let counters = self.pages.counters();
        let claim = local.routes.map(bus).lookup(transfer.address, transfer.size as u64);
        let Some(claim) = claim else {
            if local.routes.empty_bus {
                Counters::add(&counters.rust, 1);
                return Pass::Again;
            }
            Counters::add(&counters.javascript, 1);
            return Pass::Return(unclaimed);
        };
        match claim.value {
            Target::Native(device) => {
                Counters::add(&counters.rust, 1);
                self.serve(device, claim.offset, transfer, lane)
            }
            Target::Script(script) if script.isolate == self.isolate_id() => {
                Counters::add(&counters.javascript, 1);
                let Transfer { size, count, data_offset, .. } = transfer;
                self.pages.describe_access(script.route, claim.offset, size, count, data_offset);
                Pass::Return(if transfer.write { Status::DeviceWrite } else { Status::DeviceRead })
            }
            Target::Script(script) => {
                Counters::add(&counters.javascript, 1);
                let (route, port, offset) = (script.route, Arc::clone(&script.port), claim.offset);
                local.forward = Some(self.forward(port, route, offset, transfer, 0));
                self.await_forward(local, lane)
            }
        }
    }

    /// Lets a Rust device answer, element by element.
    #[inline]
    fn serve(&self, device: &NativeDevice, offset: u64, transfer: Transfer, lane: Lane) -> Pass {
        let mut buffer = [0xff; 8];
        let data = &mut buffer[..transfer.size];
        for element in 0..transfer.count {
            let at = transfer.data_offset + element * transfer.size;
            if transfer.write {
                self.pages.load(at, data);
                device.write(offset, data);
            } else {
                data.fill(0xff);
                device.read(offset, data);
                self.pages.store(at, data);
            }
        }
        if let Some((stop_device, code)) = device.take_request() {
            self.pages.describe_stop(stop_device, code);
            return Pass::Return(Status::DeviceStop);
        }
        if transfer.write
            && let Some(output) = device.output()
            && output.is_urgent()
        {
            if lane == Lane::Sync && output.port().id == self.isolate_id() {
                return Pass::Return(Status::Attention);
            }
            self.await_listener(output, lane);
        }
        Pass::Again
    }

    /// Lets a guest that floods its listener wait until there is room, if the listener is another thread.
    pub(super) fn await_listener(&self, output: &DeviceOutput, lane: Lane) {
        match lane {
            Lane::Sync if output.port().id == self.isolate_id() => {}
            // The access is completed first; the next run brings the output.
            Lane::Complete => {}
            Lane::Sync | Lane::Background => while !output.wait_for_room(PATIENCE) && !self.should_end() {},
        }
    }

    fn should_end(&self) -> bool {
        self.kick.is_requested() || self.is_closed() || shutting_down()
    }

    /// Whether a run that should end ends now. A kick is taken with that, or the runs after it would end as
    /// well; where no more than the completion of an access ends, it stays for the run.
    fn ends_wait(&self, lane: Lane) -> bool {
        let kicked =
            lane != Lane::Complete && self.kick.take(self.pages.immediate_exit()) == Interrupted::Kicked;
        kicked || self.should_end()
    }

    /// Sends one element of an access to the isolate that owns the device.
    fn forward(
        &self,
        port: Arc<IsolatePort>,
        route: u32,
        offset: u64,
        transfer: Transfer,
        element: usize,
    ) -> Forward {
        let mut buffer = [0; 8];
        let data = &mut buffer[..transfer.size];
        self.pages.load(transfer.data_offset + element * transfer.size, data);
        let value = u64::from_le_bytes(buffer);
        let access = Access::new(route, transfer.write, offset, transfer.size as u32, value);
        Forward {
            reply: port.forward(access),
            element,
            address: offset,
            write: transfer.write,
            size: transfer.size,
            count: transfer.count,
            data_offset: transfer.data_offset,
            route,
            port,
        }
    }

    /// Waits for another isolate's answer. On the sync lane it comes back to JavaScript in between, so that
    /// a Worker can be ended and two isolates that wait for each other both get to answer.
    pub(super) fn await_forward(&self, local: &mut Local, lane: Lane) -> Pass {
        while let Some(forward) = local.forward.take() {
            let Some(value) = forward.reply.wait(PATIENCE) else {
                local.forward = Some(forward);
                if self.should_end() && self.ends_wait(lane) {
                    return Pass::Return(Status::Kicked);
                }
                if lane == Lane::Sync {
                    return Pass::Return(Status::Slice);
                }
                continue;
            };
            let at = forward.data_offset + forward.element * forward.size;
            if !forward.write {
                self.pages.store(at, &value.to_le_bytes()[..forward.size]);
            }
            if forward.element + 1 < forward.count {
                let transfer = Transfer {
                    write: forward.write,
                    address: forward.address,
                    size: forward.size,
                    count: forward.count,
                    data_offset: forward.data_offset,
                };
                let (port, route, offset) = (forward.port, forward.route, forward.address);
                local.forward = Some(self.forward(port, route, offset, transfer, forward.element + 1));
            }
        }
        Pass::Again
    }
}

fn nonsense(what: &str) -> Error {
    Error::new(ErrorCode::Internal, format!("KVM reported a {what} access that no CPU can make"))
}
