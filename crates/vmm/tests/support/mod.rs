//! What the integration tests share: a machine with a guest in it, and the view of the shared pages that
//! JavaScript has.
#![allow(dead_code, reason = "every test binary uses a part of it")]

use kvm_bindings::{kvm_regs, kvm_run, kvm_sregs};
use std::mem::offset_of;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use vmhatch_test_guests::{Guest, Mode};
use vmhatch_vmm::{
    Access, Backing, Bus, Claim, IsolatePort, KvmCore, PostedWrite, RegionConfig, RunPages, ScriptDevice,
    Status, Target, VcpuCore, VcpuState, ViewGuard, VmCore, flag,
};
use zerocopy::{FromBytes, IntoBytes};

/// Longer than anything here takes on a busy machine: what runs into it hangs.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Opens /dev/kvm, or says aloud that the test is skipped.
pub fn kvm() -> Option<KvmCore> {
    KvmCore::open("/dev/kvm").inspect_err(|error| eprintln!("skipped: {error}")).ok()
}

/// A port of the calling thread that counts how often it is woken.
pub fn port() -> (Arc<IsolatePort>, Arc<AtomicU32>) {
    let woken = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&woken);
    let port = IsolatePort::new(Box::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
    }));
    (port, woken)
}

/// An anonymous region.
pub fn region(guest_address: u64, size: u64) -> RegionConfig {
    RegionConfig {
        slot: None,
        guest_address,
        size,
        backing: Backing::Anonymous,
        shared: true,
        read_only: false,
        log_dirty_pages: false,
        huge_pages: false,
        smm: false,
    }
}

/// A machine with memory below 0x8000 and nothing else.
pub fn machine(port: &Arc<IsolatePort>) -> Option<Arc<VmCore>> {
    let vm = kvm()?.create_vm(0, Arc::clone(port)).unwrap();
    vm.map_memory(&region(0, 0x8000)).unwrap();
    Some(vm)
}

/// A vCPU at the guest's entry, in 16-bit real mode.
pub fn vcpu(vm: &Arc<VmCore>, guest: &Guest, change: impl FnOnce(&mut kvm_regs)) -> Arc<VcpuCore> {
    assert_eq!(guest.mode, Mode::Real16);
    vm.memory.write(guest.load_address, guest.bytes).unwrap();
    let vcpu = vm.create_vcpu(0).unwrap();
    let mut sregs = sregs(&vcpu);
    sregs.cs.base = 0;
    sregs.cs.selector = 0;
    vcpu.set_state(VcpuState::Sregs, sregs.as_bytes()).unwrap();
    let mut start = kvm_regs { rip: guest.entry, rflags: 2, ..Default::default() };
    change(&mut start);
    vcpu.set_state(VcpuState::Regs, start.as_bytes()).unwrap();
    vcpu
}

/// A machine and a vCPU that is about to run `guest`.
pub fn ready(port: &Arc<IsolatePort>, guest: &Guest) -> Option<(Arc<VmCore>, Arc<VcpuCore>)> {
    let vm = machine(port)?;
    let vcpu = vcpu(&vm, guest, |_| ());
    Some((vm, vcpu))
}

pub fn regs(vcpu: &VcpuCore) -> kvm_regs {
    let mut regs = kvm_regs::default();
    vcpu.get_state(VcpuState::Regs, regs.as_mut_bytes()).unwrap();
    regs
}

pub fn sregs(vcpu: &VcpuCore) -> kvm_sregs {
    let mut sregs = kvm_sregs::default();
    vcpu.get_state(VcpuState::Sregs, sregs.as_mut_bytes()).unwrap();
    sregs
}

/// Steps over what the host's clock brings, until the guest or a kick has something.
pub fn step(vcpu: &VcpuCore) -> u32 {
    loop {
        let status = vcpu.step();
        if status != Status::Slice as u32 && status != Status::Attention as u32 {
            return status;
        }
    }
}

/// The status without its flags.
pub fn bare(status: u32) -> u32 {
    status & 0xff
}

/// Whether posted writes came with the status.
pub fn has_posted(status: u32) -> bool {
    status & flag::POSTED != 0
}

/// The JavaScript side of the shared pages.
pub trait Shared {
    fn bytes(&self, offset: usize, length: usize) -> Vec<u8>;
    fn put(&self, offset: usize, bytes: &[u8]);

    fn u32_at(&self, offset: usize) -> u32 {
        u32::read_from_bytes(&self.bytes(offset, 4)).unwrap()
    }

    fn u64_at(&self, offset: usize) -> u64 {
        u64::read_from_bytes(&self.bytes(offset, 8)).unwrap()
    }

    fn control_at(&self, offset: usize) -> u32;

    /// Port, size, count and data of a port exit.
    fn io(&self) -> (u16, u8, u32, Vec<u8>) {
        let size = self.bytes(offset_of!(kvm_run, __bindgen_anon_1.io.size), 1)[0];
        let port = self.bytes(offset_of!(kvm_run, __bindgen_anon_1.io.port), 2);
        let count = self.u32_at(offset_of!(kvm_run, __bindgen_anon_1.io.count));
        let data = self.bytes(self.io_data(), usize::from(size) * count as usize);
        (u16::read_from_bytes(&port).unwrap(), size, count, data)
    }

    /// Address and data of an exit for memory.
    fn mmio(&self) -> (u64, Vec<u8>) {
        let size = self.u32_at(offset_of!(kvm_run, __bindgen_anon_1.mmio.len)) as usize;
        let data = self.bytes(offset_of!(kvm_run, __bindgen_anon_1.mmio.data), size);
        (self.u64_at(offset_of!(kvm_run, __bindgen_anon_1.mmio.phys_addr)), data)
    }

    fn io_data(&self) -> usize {
        self.u64_at(offset_of!(kvm_run, __bindgen_anon_1.io.data_offset)) as usize
    }

    fn reason(&self) -> u32 {
        self.u32_at(offset_of!(kvm_run, exit_reason))
    }
}

impl Shared for RunPages {
    fn bytes(&self, offset: usize, length: usize) -> Vec<u8> {
        assert!(offset + length <= self.length());
        // SAFETY: the range lies in the pages, which live as long as `self`; no vCPU runs while a test looks.
        (0..length).map(|at| unsafe { self.as_ptr().add(offset + at).read_volatile() }).collect()
    }

    fn put(&self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.length());
        for (at, byte) in bytes.iter().enumerate() {
            // SAFETY: as in `bytes`.
            unsafe { self.as_ptr().add(offset + at).write_volatile(*byte) };
        }
    }

    fn control_at(&self, offset: usize) -> u32 {
        self.u32_at(self.control_offset() + offset)
    }
}

/// The posted writes that a status brought: offset, value's first byte, route.
pub fn posted(pages: &RunPages) -> Vec<(f64, u8, u32)> {
    let count = pages.control_at(offset_of!(vmhatch_vmm::Control, posted_count)) as usize;
    (0..count)
        .map(|index| {
            let at = pages.control_offset() + 4096 + index * size_of::<PostedWrite>();
            let offset = pages.u64_at(at + offset_of!(PostedWrite, offset));
            let value = pages.bytes(at + offset_of!(PostedWrite, data), 1)[0];
            (f64::from_bits(offset), value, pages.u32_at(at + offset_of!(PostedWrite, route)))
        })
        .collect()
}

/// One byte of a view, as JavaScript reads it.
pub fn peek(view: &ViewGuard, at: usize) -> u8 {
    assert!(at < view.length());
    // SAFETY: the guard keeps the range mapped, and `at` lies in it.
    unsafe { view.as_ptr().add(at).read_volatile() }
}

/// A claim of `length` ports at `base`.
pub fn ports(base: u64, length: u64) -> Claim {
    Claim { bus: Bus::Io, base, length, posted: None }
}

/// Another isolate with a device at `claim`, served by a thread of its own as JavaScript would serve it.
pub struct OtherIsolate {
    pub port: Arc<IsolatePort>,
    stop: mpsc::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl OtherIsolate {
    pub fn serving(mut serve: impl FnMut(Access) + Send + 'static) -> Self {
        let (give, take) = mpsc::channel();
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let own = thread::current();
            let port = IsolatePort::new(Box::new(move || own.unpark()));
            give.send(Arc::clone(&port)).unwrap();
            while stopped.try_recv().is_err() {
                port.begin_look();
                while let Some(access) = port.next_access() {
                    serve(access);
                }
                thread::park_timeout(PATIENCE);
            }
        });
        Self { port: take.recv().unwrap(), stop, thread: Some(thread) }
    }

    pub fn target(&self, route: u32) -> Target {
        Target::Script(ScriptDevice::new(route, Arc::clone(&self.port)))
    }
}

impl Drop for OtherIsolate {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// Waits until `done` says so; a test that waits too long fails instead of hanging.
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        thread::sleep(Duration::from_micros(200));
    }
}

/// Runs `test` on a thread of its own and fails if it does not end.
pub fn ends(what: &str, test: impl FnOnce() + Send + 'static) {
    let thread = thread::spawn(test);
    eventually(what, || thread.is_finished());
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}
