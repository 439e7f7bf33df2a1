//! Closing gives every descriptor back, whoever still holds the objects. The only test of its process: others
//! beside it would open descriptors of their own.

mod support;

use std::sync::Arc;
use support::{port, region, step, vcpu};
use vmhatch_test_guests as guests;
use vmhatch_vmm::{Backing, EventFd, NativeDevice, RegionConfig, Status, Target};

/// `KVM_DEV_TYPE_VFIO`.
const VFIO: u32 = 4;

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
        let same = kvm.create_vm_from_raw_fd(vm.raw_fd().unwrap(), Arc::clone(&port)).unwrap();
        let same_vcpu = vm.create_vcpu_from_raw_fd(vcpu.raw_fd().unwrap()).unwrap();
        let device = match vm.has_device_type(VFIO) {
            Ok(true) => Some(vm.create_kvm_device(VFIO).unwrap()),
            _ => None,
        };
        interrupt.close();
        vm.close();
        same.close();
        assert!(same_vcpu.is_closed() && device.is_none_or(|device| device.is_closed()));
        // The objects live on, as they do in JavaScript until they are collected.
        kept.push((vm, vcpu, view, same, same_vcpu));
    }
    kvm.close();
    assert_eq!(descriptors(), before);
}
