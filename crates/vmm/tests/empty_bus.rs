//! An empty bus: what nobody claims is answered in the run loop.

mod support;

use kvm_bindings::{KVM_EXIT_HLT, KVM_EXIT_IO};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use support::{Shared, ends, eventually, machine, port, ports, ready, regs, step, vcpu};
use vmhatch_test_guests as guests;
use vmhatch_vmm::{Bus, IsolatePort, NativeDevice, ScriptDevice, Status, Target, VmCore};

fn empty(port: &Arc<IsolatePort>) -> Option<Arc<VmCore>> {
    let vm = machine(port)?;
    vm.set_empty_bus(true).unwrap();
    Some(vm)
}

#[test]
fn reads_are_all_ones_and_writes_are_dropped_without_coming_back() {
    for guest in [&guests::STRING_IN, &guests::STRING_IN_WORD, &guests::STRING_IN_DWORD] {
        let (port, _) = port();
        let Some(vm) = empty(&port) else { return };
        let vcpu = vcpu(&vm, guest, |_| ());
        assert_eq!(step(&vcpu), Status::Exit as u32);
        assert_eq!(vcpu.pages.reason(), KVM_EXIT_HLT);
        let mut read = [0; 16];
        vm.memory.read(0x2000, &mut read).unwrap();
        assert_eq!(read, [0xff; 16], "{}", guest.name);
    }
    let (port, _) = port();
    let Some(vm) = empty(&port) else { return };
    let vcpu = vcpu(&vm, &guests::ADD_NUMBERS, |regs| (regs.rax, regs.rbx) = (2, 3));
    assert_eq!(step(&vcpu), Status::Exit as u32);
    assert_eq!(vcpu.pages.reason(), KVM_EXIT_HLT);
    let counters = vcpu.pages.counters();
    assert_eq!(counters.by_reason[KVM_EXIT_IO as usize].load(Ordering::Relaxed), 2);
    // The accesses are Rust's; the end is what came back.
    let routes = (counters.rust.load(Ordering::Relaxed), counters.javascript.load(Ordering::Relaxed));
    assert_eq!(routes, (2, 1));
}

#[test]
fn memory_that_is_not_there_likewise() {
    // The loops read or write 2 bytes at 0x10000 for ever.
    for guest in [&guests::MMIO_READ_LOOP, &guests::MMIO_WRITE_LOOP] {
        let (port, _) = port();
        let Some(vm) = empty(&port) else { return };
        let vcpu = vcpu(&vm, guest, |_| ());
        let runs = Arc::clone(&vcpu);
        let kicked = std::thread::spawn(move || step(&runs));
        eventually("accesses", || vcpu.pages.counters().rust.load(Ordering::Relaxed) > 100);
        vcpu.kick();
        assert_eq!(kicked.join().unwrap(), Status::Kicked as u32);
    }
}

#[test]
fn what_is_claimed_is_not_empty() {
    let (port, _) = port();
    let Some(vm) = empty(&port) else { return };
    let console = NativeDevice::debug_console(Arc::clone(&port), false, 0xe9);
    vm.attach(&ports(0x3f8, 1), Target::Native(Arc::clone(&console))).unwrap();
    let vcpu = vcpu(&vm, &guests::ADD_NUMBERS, |regs| (regs.rax, regs.rbx) = (2, 3));
    assert_eq!(step(&vcpu), Status::Exit as u32);
    assert_eq!(console.output().unwrap().take(), b"5\n");
}

#[test]
fn a_script_device_is_asked_and_when_it_is_gone_nobody_is() {
    let (port, _) = port();
    let Some(vm) = empty(&port) else { return };
    vm.attach(&ports(0x500, 1), Target::Script(ScriptDevice::new(3, Arc::clone(&port)))).unwrap();
    let vcpu = vcpu(&vm, &guests::PIO_OUT_LOOP, |_| ());
    assert_eq!(step(&vcpu), Status::DeviceWrite as u32);
    vm.detach(Bus::Io, 0x500).unwrap();
    let runs = Arc::clone(&vcpu);
    let kicked = std::thread::spawn(move || step(&runs));
    let before = vcpu.pages.counters().rust.load(Ordering::Relaxed);
    eventually("accesses", || vcpu.pages.counters().rust.load(Ordering::Relaxed) > before + 100);
    vcpu.kick();
    assert_eq!(kicked.join().unwrap(), Status::Kicked as u32);
}

#[test]
fn it_can_be_changed_while_a_vcpu_runs() {
    let (port, _) = port();
    let Some(vm) = empty(&port) else { return };
    let vcpu = vcpu(&vm, &guests::PIO_IN_LOOP, |_| ());
    let other = Arc::clone(&vm);
    let runs = Arc::clone(&vcpu);
    ends("the change", move || {
        let first = std::thread::spawn(move || step(&runs));
        eventually("accesses", || vcpu.pages.counters().rust.load(Ordering::Relaxed) > 100);
        other.set_empty_bus(false).unwrap();
        assert_eq!(first.join().unwrap(), Status::IoIn as u32);
        assert_eq!(vcpu.pages.io().0, 0x500);
    });
}

#[test]
fn an_access_that_waits_when_the_bus_becomes_empty_is_still_answered() {
    let (port, _) = port();
    let Some((vm, vcpu)) = ready(&port, &guests::STRING_IN) else { return };
    assert_eq!(step(&vcpu), Status::IoIn as u32);
    vm.set_empty_bus(true).unwrap();
    let (_, _, count, _) = vcpu.pages.io();
    vcpu.pages.put(vcpu.pages.io_data(), &vec![0x42; count as usize]);
    assert_eq!(step(&vcpu), Status::Exit as u32);
    let mut read = [0; 16];
    vm.memory.read(0x2000, &mut read).unwrap();
    assert!(read[..count as usize].iter().all(|byte| *byte == 0x42));
    assert!(read[count as usize..].iter().all(|byte| *byte == 0xff));
    assert_eq!(regs(&vcpu).rip & 0xf000, 0x1000);
}

#[test]
fn a_closed_machine_has_no_bus() {
    let (port, _) = port();
    let Some(vm) = machine(&port) else { return };
    vm.close();
    assert!(vm.set_empty_bus(true).is_err());
}
