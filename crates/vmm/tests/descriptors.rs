//! Closing gives every descriptor back, whoever still holds the objects. The only test of its process: others
//! beside it would open descriptors of their own.

mod support;

use std::sync::Arc;
use support::{port, region, step, vcpu};
use vmhatch_test_guests as guests;
use vmhatch_vmm::{Backing, EventFd, NativeDevice, RegionConfig, Status, Target};

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn closing_returns_every_descriptor() {
    let (port, _) = port();
    let before = descriptors();
    let Some(kvm) = support::kvm() else { return };
    let mut kept = Vec::new();
    for _ in 0..3 {
        let vm = kvm.create_vm(0, Arc::clone(&port)).unwrap();
        vm.map_memory(&RegionConfig { backing: Backing::Memfd, ..region(0, 0x8000) }).unwrap();
        let interrupt = EventFd::new(0, false).unwrap();
        let serial = NativeDevice::serial(Arc::clone(&port), false, interrupt.interrupt().unwrap());
        vm.attach(&support::ports(0x3f8, 8), Target::Native(serial)).unwrap();
        let vcpu = vcpu(&vm, &guests::ADD_NUMBERS, |_| ());
        assert_eq!(step(&vcpu), Status::Exit as u32);
        let view = {
            let (region, offset) = vm.memory.window(0, 0x1000).unwrap();
            region.open_view(offset, 0x1000, false)
        };
        interrupt.close();
        vm.close();
        // The objects live on, as they do in JavaScript until they are collected.
        kept.push((vm, vcpu, view));
    }
    kvm.close();
    assert_eq!(descriptors(), before);
}
