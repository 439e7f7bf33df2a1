//! Dirty rings, the dirty log in two steps, and statistics, without Node.
#![cfg(target_arch = "x86_64")]

mod support;

use std::sync::Arc;
use support::{machine, port, region, step, vcpu};
use vmhatch_test_guests as guests;
use vmhatch_vmm::{ErrorCode, RegionConfig, Status, VmCore};

fn logged(guest_address: u64, size: u64) -> RegionConfig {
    RegionConfig { log_dirty_pages: true, ..region(guest_address, size) }
}

/// A machine with rings of 1024 entries, which Intel hosts take as well; `None`, aloud, where there are none.
fn ringed() -> Option<Arc<VmCore>> {
    let vm = support::kvm()?.create_vm(0, port().0).unwrap();
    match vm.enable_dirty_ring(1024, false) {
        Err(error) if error.code == ErrorCode::Unsupported => {
            eprintln!("skipped: {error}");
            None
        }
        result => {
            result.unwrap();
            Some(vm)
        }
    }
}

#[test]
fn a_ring_tells_the_page_once() {
    let Some(vm) = ringed() else { return };
    assert_eq!(vm.dirty_ring_entries(), 1024);
    vm.map_memory(&region(0, 0x4000)).unwrap();
    vm.map_memory(&logged(0x4000, 0x4000)).unwrap();
    let vcpu = vcpu(&vm, &guests::DIRTY_ONE_PAGE, |regs| regs.rsi = 0x5000);
    vm.take_dirty_pages();
    assert_eq!(step(&vcpu), Status::Exit as u32);
    assert!(vm.harvest_dirty_rings().unwrap() >= 1);
    let taken = vm.take_dirty_pages();
    assert!(taken.iter().any(|(slot, pages)| *slot == 1 && pages.contains(&1)), "{taken:?}");
    assert!(vm.reset_dirty_rings().unwrap() >= 1);
    assert_eq!(vm.reset_dirty_rings().unwrap(), 0);
    assert!(vm.take_dirty_pages().is_empty());
    assert!(!vm.collect_dirty_rings().unwrap());
}

#[test]
fn a_vcpu_that_closes_leaves_its_pages() {
    let Some(vm) = ringed() else { return };
    vm.map_memory(&region(0, 0x4000)).unwrap();
    vm.map_memory(&logged(0x4000, 0x4000)).unwrap();
    let vcpu = vcpu(&vm, &guests::DIRTY_ONE_PAGE, |regs| regs.rsi = 0x5000);
    assert_eq!(step(&vcpu), Status::Exit as u32);
    vcpu.close();
    drop(vcpu);
    assert!(vm.dirty_pages(1, true).unwrap().contains(&1));
    vm.close();
    assert_eq!(vm.harvest_dirty_rings().unwrap_err().code, ErrorCode::Closed);
    assert_eq!(vm.reset_dirty_rings().unwrap_err().code, ErrorCode::Closed);
}

#[test]
fn rings_are_refused_at_the_wrong_time_and_in_the_wrong_size() {
    let Some(vm) = ringed() else { return };
    assert_eq!(vm.enable_dirty_ring(1024, false).unwrap_err().errno, Some(libc::EINVAL));
    let Some(late) = machine(&port().0) else { return };
    let _vcpu = late.create_vcpu(0).unwrap();
    let error = late.enable_dirty_ring(1024, false).unwrap_err();
    assert_eq!((error.code, error.errno), (ErrorCode::Ioctl, Some(libc::EINVAL)));
    assert_eq!(late.dirty_ring_entries(), 0);
    assert_eq!(late.harvest_dirty_rings().unwrap_err().errno, Some(libc::EINVAL));
    let Some(large) = machine(&port().0) else { return };
    assert_eq!(large.enable_dirty_ring(1 << 27, false).unwrap_err().errno, Some(libc::E2BIG));
}

#[test]
fn the_log_is_cleared_in_parts() {
    let Some(vm) = machine(&port().0) else { return };
    if let Err(error) = vm.set_manual_protect(true, false) {
        assert_eq!(error.code, ErrorCode::Unsupported);
        eprintln!("skipped: {error}");
        return;
    }
    // Above the 0x8000 that `machine` maps; the guest is moved there by nobody, so the log stays empty.
    let slot = vm.map_memory(&logged(0x10_0000, 200 * 4096)).unwrap().slot;
    assert_eq!(vm.dirty_log_size(slot), 32);
    let mut log = [1; 4];
    vm.dirty_log_into(slot, &mut log).unwrap();
    assert_eq!(log, [0; 4]);
    assert_eq!(vm.dirty_log_into(slot, &mut log[1..]).unwrap_err().code, ErrorCode::State);
    let ones = [0xff; 32];
    for (first, pages, ok) in [
        (0, None, true),
        (192, None, true),
        (192, Some(8), true),
        (64, Some(64), true),
        (64, Some(63), false),
        (1, None, false),
        (256, None, false),
        (u64::MAX, None, false),
        (192, Some(9), false),
    ] {
        let result = vm.clear_dirty_log(slot, first, pages, &ones);
        assert_eq!(result.is_ok(), ok, "{first} {pages:?} {result:?}");
    }
    assert_eq!(vm.clear_dirty_log(slot, 0, Some(128), &ones[..8]).unwrap_err().errno, Some(libc::EINVAL));
    assert_eq!(vm.clear_dirty_log(99, 0, None, &ones).unwrap_err().errno, Some(libc::ENOENT));
}

#[test]
fn statistics_are_read_until_their_owner_closes() {
    let Some(vm) = machine(&port().0) else { return };
    let vcpu = vcpu(&vm, &guests::DIRTY_ONE_PAGE, |regs| regs.rsi = 0x5000);
    let of_vm = match vm.stats() {
        Err(error) if error.code == ErrorCode::Unsupported => return eprintln!("skipped: {error}"),
        result => result.unwrap(),
    };
    let of_vcpu = vcpu.stats().unwrap();
    assert!(Arc::ptr_eq(&of_vm, &vm.stats().unwrap()) && Arc::ptr_eq(&of_vcpu, &vcpu.stats().unwrap()));
    let mut before = vec![0; of_vcpu.values];
    of_vcpu.read(&mut before).unwrap();
    assert_eq!(step(&vcpu), Status::Exit as u32);
    let mut after = vec![0; of_vcpu.values];
    of_vcpu.read(&mut after).unwrap();
    let exits = of_vcpu.schema.iter().find(|one| one.name == "exits").unwrap().index as usize;
    assert!(after[exits] > before[exits]);
    assert_eq!(of_vcpu.read(&mut after[1..]).unwrap_err().code, ErrorCode::State);
    vcpu.close();
    assert_eq!(of_vcpu.read(&mut after).unwrap_err().code, ErrorCode::Closed);
    assert_eq!(vcpu.stats().unwrap_err().code, ErrorCode::Closed);
    vm.close();
    assert_eq!(of_vm.read(&mut vec![0; of_vm.values]).unwrap_err().code, ErrorCode::Closed);
    assert_eq!(vm.stats().unwrap_err().code, ErrorCode::Closed);
}
