//! The exit benchmarks' cross-check in Rust: what a program on the kvm-ioctls crate pays for the same guests.
//!
//! ```text
//! cargo run --release -p vmhatch-vmm --example raw-loop -- pioOut            400 blocks, then JSON
//! cargo run --release -p vmhatch-vmm --example raw-loop -- pioOut --serve    for the bench: each line on stdin
//!     asks for one block (after one that is not timed), each line on stdout is its nanoseconds; the first line
//!     is the guest
//! ```

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, BufRead, Write as _};
use std::process::ExitCode;
use std::time::Instant;

use kvm_bindings::{kvm_regs, kvm_userspace_memory_region};
use kvm_ioctls::{IoEventAddress, Kvm, NoDatamatch, VcpuExit, VcpuFd, VmFd};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend as _, GuestMemoryMmap};
use vmhatch_vmm::measure::{ACCESS_PORT, EXITS_PER_BLOCK, ExitKind, GUEST_ADDRESS, MARKER_PORT, guest};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

const BLOCKS: usize = 400;
const WARM_UP: usize = 50;
const MEMORY_SIZE: usize = 0x1000;

struct Peer {
    vcpu: VcpuFd,
    event: Option<EventFd>,
    coalesced: bool,
    sink: u64,
    _vm: VmFd,
    _memory: GuestMemoryMmap,
}

impl Peer {
    fn new(kind: ExitKind) -> Result<Self, Box<dyn Error>> {
        let kvm = Kvm::new()?;
        let vm = kvm.create_vm()?;
        let memory = GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(GUEST_ADDRESS), MEMORY_SIZE)])?;
        memory.write_slice(&guest(kind), GuestAddress(GUEST_ADDRESS))?;
        let region = kvm_userspace_memory_region {
            slot: 0,
            flags: 0,
            guest_phys_addr: GUEST_ADDRESS,
            memory_size: MEMORY_SIZE as u64,
            userspace_addr: memory.get_host_address(GuestAddress(GUEST_ADDRESS))? as u64,
        };
        // SAFETY: the mapping is kept beside the VM and dropped after it.
        unsafe { vm.set_user_memory_region(region)? };
        let port = IoEventAddress::Pio(u64::from(ACCESS_PORT));
        let mut event = None;
        if kind == ExitKind::IoEventFd {
            let fd = EventFd::new(EFD_NONBLOCK)?;
            vm.register_ioevent(&fd, &port, NoDatamatch)?;
            event = Some(fd);
        }
        let mut vcpu = vm.create_vcpu(0)?;
        let coalesced = kind == ExitKind::Coalesced;
        if coalesced {
            vm.register_coalesced_mmio(port, 1)?;
            vcpu.map_coalesced_mmio_ring()?;
        }
        let mut sregs = vcpu.get_sregs()?;
        sregs.cs.base = 0;
        sregs.cs.selector = 0;
        vcpu.set_sregs(&sregs)?;
        vcpu.set_regs(&kvm_regs { rip: GUEST_ADDRESS, rflags: 2, ..Default::default() })?;
        Ok(Self { vcpu, event, coalesced, sink: 0, _vm: vm, _memory: memory })
    }

    fn block(&mut self) -> Result<u64, Box<dyn Error>> {
        let start = Instant::now();
        loop {
            match self.vcpu.run() {
                Ok(VcpuExit::IoIn(_, data)) => data.fill(0x5a),
                Ok(VcpuExit::IoOut(port, data)) => {
                    self.sink = self.sink.wrapping_add(u64::from(data[0]));
                    if port == MARKER_PORT {
                        break;
                    }
                }
                Ok(VcpuExit::MmioRead(_, data)) => data.fill(0x5a),
                Ok(VcpuExit::MmioWrite(_, data)) => {
                    self.sink = self.sink.wrapping_add(u64::from(data[0]));
                }
                Ok(VcpuExit::Hlt) => self.sink = self.sink.wrapping_add(1),
                Ok(exit) => return Err(format!("the guest left with {exit:?}").into()),
                Err(error) if error.errno() == libc::EINTR => {}
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(event) = &self.event {
            self.sink = self.sink.wrapping_add(event.read()?);
        }
        if self.coalesced {
            while let Some(entry) = self.vcpu.coalesced_mmio_read()? {
                self.sink = self.sink.wrapping_add(u64::from(entry.data[0]));
            }
        }
        Ok(start.elapsed().as_nanos() as u64)
    }

    fn serve(&mut self, kind: ExitKind) -> Result<(), Box<dyn Error>> {
        let mut out = io::stdout().lock();
        let hex = guest(kind).iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        writeln!(out, "{hex}")?;
        out.flush()?;
        for line in io::stdin().lock().lines() {
            line?;
            self.block()?;
            writeln!(out, "{}", self.block()?)?;
            out.flush()?;
        }
        Ok(())
    }

    fn report(&mut self, kind: ExitKind) -> Result<(), Box<dyn Error>> {
        for _ in 0..WARM_UP {
            self.block()?;
        }
        let mut blocks = (0..BLOCKS).map(|_| self.block()).collect::<Result<Vec<u64>, _>>()?;
        blocks.sort_unstable();
        let mean = |block: u64| block as f64 / f64::from(EXITS_PER_BLOCK);
        // Bins 100 ns wide, the empty ones left out: how many blocks' mean exit fell into each.
        let bins: Vec<String> = blocks
            .chunk_by(|a, b| bin_of(*a) == bin_of(*b))
            .map(|chunk| {
                let from = bin_of(chunk[0]) * 100;
                format!("{{\"fromNs\":{from},\"toNs\":{},\"count\":{}}}", from + 100, chunk.len())
            })
            .collect();
        println!(
            "{{\"peer\":\"rust\",\"exit\":\"{}\",\"p50Ns\":{:.1},\"p90Ns\":{:.1},\"p99Ns\":{:.1},\"histogram\":[{}]}}",
            kind.name(),
            mean(blocks[BLOCKS / 2]),
            mean(blocks[BLOCKS * 9 / 10]),
            mean(blocks[BLOCKS * 99 / 100]),
            bins.join(",")
        );
        Ok(())
    }
}

fn bin_of(block: u64) -> u64 {
    block / u64::from(EXITS_PER_BLOCK) / 100
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let Some(kind) = arguments.get(1).and_then(|name| ExitKind::from_name(name)) else {
        let names: Vec<&str> = ExitKind::ALL.iter().map(|kind| kind.name()).collect();
        eprintln!("usage: raw-loop {} [--serve]", names.join("|"));
        return ExitCode::from(2);
    };
    let serve = arguments.get(2).is_some_and(|argument| argument == "--serve");
    let done = Peer::new(kind).and_then(|mut peer| if serve { peer.serve(kind) } else { peer.report(kind) });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("raw-loop: {error}");
            ExitCode::FAILURE
        }
    }
}
