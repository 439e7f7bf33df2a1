//! The control of the exit benchmarks: what a C program does around KVM_RUN.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

use kvm_bindings::{
    KVM_COALESCED_MMIO_PAGE_OFFSET, KVM_EXIT_HLT, KVM_EXIT_IO, KVM_EXIT_IO_IN, KVM_EXIT_MMIO,
    kvm_coalesced_mmio, kvm_coalesced_mmio_ring, kvm_coalesced_mmio_zone, kvm_ioeventfd,
    kvm_ioeventfd_flag_nr_pio, kvm_run,
};

use super::guests::{ACCESS_PORT, ExitKind, MARKER_PORT};
use super::machine::Machine;
use super::sys;

const PAGE_SIZE: usize = 4096;

/// One virtual machine that runs the guest program of one kind of exit, a block at a time.
pub struct NativeLoop {
    machine: Machine,
    /// Counts the writes that never become exits.
    event: Option<OwnedFd>,
    coalesced: bool,
    /// What the guest wrote is summed here, so that no read of it can be optimised away.
    sink: u64,
}

impl NativeLoop {
    /// Opens /dev/kvm and makes the machine.
    ///
    /// # Errors
    ///
    /// What the system calls say: no /dev/kvm, no permission, or a kernel without ioeventfd or coalesced ports.
    pub fn new(kind: ExitKind) -> io::Result<Self> {
        let machine = Machine::new(kind)?;
        let mut event = None;
        if kind == ExitKind::IoEventFd {
            let fd = sys::eventfd()?;
            sys::set_ioeventfd(
                &machine.vm,
                &kvm_ioeventfd {
                    addr: u64::from(ACCESS_PORT),
                    len: 1,
                    fd: fd.as_raw_fd(),
                    flags: 1 << kvm_ioeventfd_flag_nr_pio,
                    ..Default::default()
                },
            )?;
            event = Some(fd);
        }
        if kind == ExitKind::Coalesced {
            let mut zone =
                kvm_coalesced_mmio_zone { addr: u64::from(ACCESS_PORT), size: 1, ..Default::default() };
            zone.__bindgen_anon_1.pio = 1;
            sys::set_coalesced(&machine.vm, &zone)?;
        }
        Ok(Self { machine, event, coalesced: kind == ExitKind::Coalesced, sink: 0 })
    }

    /// Runs the guest to its next marker, and gives the nanoseconds from there to the one after: one block. The
    /// first part brings the caches back that other peers used meanwhile; every peer has it.
    ///
    /// # Errors
    ///
    /// What KVM_RUN says, or an exit that the guest programs do not have.
    pub fn block(&mut self) -> io::Result<u64> {
        self.run_to_marker()?;
        let start = Instant::now();
        self.run_to_marker()?;
        Ok(start.elapsed().as_nanos() as u64)
    }

    /// The sum of what the guest wrote.
    #[must_use]
    pub fn sink(&self) -> u64 {
        self.sink.wrapping_add(u64::from(self.machine.first_byte()))
    }

    fn run_to_marker(&mut self) -> io::Result<()> {
        self.serve_exits()?;
        // What the kernel kept for us is part of the block: a peer must take it as well.
        if let Some(event) = &self.event {
            self.sink = self.sink.wrapping_add(sys::take_count(event));
        }
        if self.coalesced {
            self.drain_ring();
        }
        Ok(())
    }

    /// The exits up to a marker and the marker itself.
    fn serve_exits(&mut self) -> io::Result<()> {
        let vcpu = self.machine.vcpu.as_raw_fd();
        let run = self.machine.run_page();
        loop {
            if sys::run(vcpu) < 0 {
                let error = io::Error::last_os_error();
                if error.kind() == io::ErrorKind::Interrupted {
                    continue;
                }
                return Err(error);
            }
            // SAFETY: the page lives as long as `self.machine`; KVM has left the exit of this KVM_RUN in it, and
            // writes again only at the next one.
            match unsafe { (&raw const (*run).exit_reason).read_volatile() } {
                // SAFETY: as above; `io` is the live member of the union for this reason, and KVM puts the data
                // inside the mapping.
                KVM_EXIT_IO => unsafe {
                    let io = (&raw const (*run).__bindgen_anon_1.io).read_volatile();
                    let data = run.cast::<u8>().add(io.data_offset as usize);
                    if u32::from(io.direction) == KVM_EXIT_IO_IN {
                        data.write_volatile(0x5a);
                    } else {
                        self.sink = self.sink.wrapping_add(u64::from(data.read_volatile()));
                        if io.port == MARKER_PORT {
                            return Ok(());
                        }
                    }
                },
                // SAFETY: as above; `mmio` is the live member of the union for this reason.
                KVM_EXIT_MMIO => unsafe {
                    let mmio = &raw mut (*run).__bindgen_anon_1.mmio;
                    let data = (&raw mut (*mmio).data).cast::<u8>();
                    if (&raw const (*mmio).is_write).read_volatile() == 0 {
                        data.write_volatile(0x5a);
                    } else {
                        self.sink = self.sink.wrapping_add(u64::from(data.read_volatile()));
                    }
                },
                KVM_EXIT_HLT => self.sink = self.sink.wrapping_add(1),
                reason => {
                    return Err(io::Error::other(format!("the bench's guest left with exit {reason}")));
                }
            }
        }
    }

    fn drain_ring(&mut self) {
        let offset = KVM_COALESCED_MMIO_PAGE_OFFSET as usize * PAGE_SIZE;
        assert!(offset + PAGE_SIZE <= self.machine.run_size());
        let page: *mut kvm_run = self.machine.run_page();
        // SAFETY: the ring's page is inside the mapping (asserted).
        let ring: *mut kvm_coalesced_mmio_ring = unsafe { page.cast::<u8>().add(offset) }.cast();
        let entries = (PAGE_SIZE - size_of::<kvm_coalesced_mmio_ring>()) / size_of::<kvm_coalesced_mmio>();
        // SAFETY: KVM writes `last` and entries up to it, only inside KVM_RUN on this thread; `first` is ours.
        // Both are taken modulo the entries that the page has room for.
        unsafe {
            let last = (&raw const (*ring).last).read_volatile() as usize % entries;
            let mut first = (&raw const (*ring).first).read_volatile() as usize % entries;
            let start: *const kvm_coalesced_mmio = (&raw const (*ring).coalesced_mmio).cast();
            while first != last {
                let byte = (&raw const (*start.add(first)).data).cast::<u8>().read_volatile();
                self.sink = self.sink.wrapping_add(u64::from(byte));
                first = (first + 1) % entries;
            }
            (&raw mut (*ring).first).write_volatile(first as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_runs_block_after_block() {
        if !std::path::Path::new("/dev/kvm").exists() {
            eprintln!("skipped: no /dev/kvm");
            return;
        }
        for kind in ExitKind::ALL {
            let mut peer = NativeLoop::new(kind).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
            for _ in 0..20 {
                let nanoseconds = peer.block().unwrap_or_else(|error| panic!("{kind:?}: {error}"));
                assert!(nanoseconds > 0);
            }
            if matches!(kind, ExitKind::IoEventFd) {
                assert!(peer.sink() >= 20 * 63, "{kind:?}: the event counted {}", peer.sink());
            }
        }
    }

    #[test]
    fn the_coalesced_ring_is_drained_at_each_marker() {
        let Ok(mut peer) = NativeLoop::new(ExitKind::Coalesced) else {
            eprintln!("skipped: no coalesced ports here");
            return;
        };
        // 20 blocks of 63 writes are more than the ring holds: without draining, the loop would see exits.
        for _ in 0..20 {
            peer.block().expect("a block");
        }
        let offset = KVM_COALESCED_MMIO_PAGE_OFFSET as usize * PAGE_SIZE;
        // SAFETY: inside the mapping, and the vCPU does not run.
        let ring: *const kvm_coalesced_mmio_ring =
            unsafe { peer.machine.run_page().cast::<u8>().add(offset) }.cast();
        // SAFETY: as above.
        let (first, last) = unsafe { ((*ring).first, (*ring).last) };
        assert_eq!(first, last);
    }
}
