//! Posted writes: collected by KVM, delivered in order, before the exit that comes after them.

mod support;

use std::sync::{Arc, Mutex};
use support::{OtherIsolate, bare, ends, eventually, has_posted, machine, port, ports, posted, vcpu};
use vmhatch_test_guests as guests;
use vmhatch_vmm::{
    Bus, Claim, ErrorCode, IsolatePort, NativeDevice, PostedRange, ScriptDevice, Status, Target, VmCore,
};

const KVM_CAP_COALESCED_PIO: u32 = 162;

/// A claim of ports whose writes are posted; `false` where the host cannot.
fn attach(vm: &VmCore, base: u64, length: u64, target: Target) -> bool {
    if vm.check_extension(KVM_CAP_COALESCED_PIO).unwrap() <= 0 {
        eprintln!("skipped: this host does not collect port writes");
        return false;
    }
    let posted = Some(PostedRange { offset: 0, length });
    vm.attach(&Claim { posted, ..ports(base, length) }, target).unwrap();
    true
}

fn own(port: &Arc<IsolatePort>, route: u32) -> Target {
    Target::Script(ScriptDevice::new(route, Arc::clone(port)))
}

#[test]
fn posted_writes_come_in_order_with_the_tick() {
    let (port, _) = port();
    let Some(vm) = machine(&port) else { return };
    if !attach(&vm, 0x600, 0x100, own(&port, 9)) {
        return;
    }
    let vcpu = vcpu(&vm, &guests::EXIT_STORM, |_| ());
    ends("posted writes", move || {
        let mut expected = 0u8;
        let mut seen = 0;
        while seen < 20_000 {
            let status = vcpu.step();
            let direct = bare(status) == Status::DeviceWrite as u32;
            if has_posted(status) {
                for (offset, value, route) in posted(&vcpu.pages) {
                    assert_eq!((offset, value, route), (f64::from(expected), expected, 9));
                    expected = expected.wrapping_add(1);
                    seen += 1;
                }
            }
            // A full ring makes an ordinary exit, which comes after all that was posted before it.
            if direct {
                let value = support::Shared::io(&*vcpu.pages).3[0];
                assert_eq!(value, expected);
                expected = expected.wrapping_add(1);
                seen += 1;
            } else {
                assert!(
                    matches!(bare(status), s if s == Status::Slice as u32 || s == Status::Attention as u32)
                );
            }
        }
        assert!(vcpu.pages.counters().posted.load(std::sync::atomic::Ordering::Relaxed) > 0);
    });
}

#[test]
fn exits_served_by_rust_do_not_let_posted_writes_pile_up() {
    let (port, _) = port();
    let Some(vm) = machine(&port) else { return };
    // Half of the ports are posted, half a Rust device: each of its exits drains the ring, and far more is
    // posted in a slice than the queue holds.
    if !attach(&vm, 0x600, 0x80, own(&port, 1)) {
        return;
    }
    vm.attach(&ports(0x680, 0x80), Target::Native(NativeDevice::debug_console(Arc::clone(&port), false, 0)))
        .unwrap();
    let vcpu = vcpu(&vm, &guests::EXIT_STORM, |_| ());
    ends("posted writes", move || {
        let mut expected = 0u8;
        let mut seen = 0;
        while seen < 50_000 {
            let status = vcpu.step();
            assert_ne!(bare(status), Status::DeviceWrite as u32, "the ring ran full");
            if has_posted(status) {
                for (_, value, _) in posted(&vcpu.pages) {
                    assert_eq!(value, expected);
                    expected = (expected + 1) % 0x80;
                    seen += 1;
                }
            }
        }
    });
}

#[test]
fn an_exit_waits_until_all_that_was_posted_before_it_is_delivered() {
    let (port, _) = port();
    let Some(vm) = machine(&port) else { return };
    if !attach(&vm, 0x600, 0xff, own(&port, 1)) {
        return;
    }
    // Port 0x6ff is nobody's: 255 posted writes, more than the page holds, and then an exit of its own.
    let vcpu = vcpu(&vm, &guests::EXIT_STORM, |_| ());
    ends("posted writes", move || {
        let mut values = Vec::new();
        for _ in 0..50 {
            loop {
                let status = vcpu.step();
                if has_posted(status) {
                    values.extend(posted(&vcpu.pages).iter().map(|write| write.1));
                }
                match bare(status) {
                    s if s == Status::IoOut as u32 => break,
                    s if s == Status::DeviceWrite as u32 => {
                        values.push(support::Shared::io(&*vcpu.pages).3[0])
                    }
                    _ => {}
                }
            }
            assert_eq!(values, (0..=0xfe).collect::<Vec<u8>>());
            values.clear();
        }
    });
}

#[test]
fn completing_delivers_nothing_and_loses_nothing() {
    let (port, _) = port();
    let Some(vm) = machine(&port) else { return };
    if !attach(&vm, 0x600, 0x10, own(&port, 1)) {
        return;
    }
    let vcpu = vcpu(&vm, &guests::EXIT_STORM, |_| ());
    ends("posted writes", move || {
        let mut values = Vec::new();
        while values.len() < 160 {
            let status = vcpu.step();
            if has_posted(status) {
                values.extend(posted(&vcpu.pages).iter().map(|write| write.1));
            }
            assert_eq!(vcpu.complete(), Status::Completed as u32);
        }
        assert!(values.iter().enumerate().all(|(at, value)| at % 16 == usize::from(*value)));
    });
}

#[test]
fn a_rust_device_gets_its_posted_writes_on_the_way() {
    let (port, _) = port();
    let Some(vm) = machine(&port) else { return };
    let console = NativeDevice::debug_console(Arc::clone(&port), false, 0xe9);
    if !attach(&vm, 0x500, 1, Target::Native(Arc::clone(&console))) {
        return;
    }
    let vcpu = vcpu(&vm, &guests::PIO_OUT_LOOP, |regs| regs.rax = u64::from(b'p'));
    eventually("output", || {
        assert!(!has_posted(vcpu.step()));
        console.output().unwrap().take().contains(&b'p')
    });
}

#[test]
fn another_isolate_gets_its_posted_writes_in_order() {
    let (port, _) = port();
    let Some(vm) = machine(&port) else { return };
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&seen);
    let other = OtherIsolate::serving(move |access| {
        keep.lock().unwrap().push(access.offset);
        access.answer(0);
    });
    if !attach(&vm, 0x600, 0x100, other.target(3)) {
        return;
    }
    let vcpu = vcpu(&vm, &guests::EXIT_STORM, |_| ());
    eventually("posted writes", || {
        assert!(!has_posted(vcpu.step()));
        seen.lock().unwrap().len() > 2000
    });
    drop(other);
    let seen = seen.lock().unwrap();
    assert!(seen.iter().enumerate().all(|(at, offset)| at as u64 % 0x100 == *offset));
}

#[test]
fn a_detached_range_delivers_nothing_more() {
    let (port, _) = port();
    let Some(vm) = machine(&port) else { return };
    if !attach(&vm, 0x600, 0x100, own(&port, 4)) {
        return;
    }
    let vcpu = vcpu(&vm, &guests::EXIT_STORM, |_| ());
    eventually("posted writes", || has_posted(vcpu.step()));
    vm.detach(Bus::Io, 0x600).unwrap();
    assert_eq!(support::step(&vcpu), Status::IoOut as u32, "nobody's now, so it is an exit");
    vm.attach(&ports(0x600, 0x100), own(&port, 5)).unwrap();
    assert_eq!(support::step(&vcpu), Status::DeviceWrite as u32);
}

#[test]
fn what_cannot_be_collected_leaves_no_claim() {
    let (port, _) = port();
    let Some(vm) = machine(&port) else { return };
    let posted = Some(PostedRange { offset: 0, length: 1 << 33 });
    let huge = Claim { bus: Bus::Mmio, base: 1 << 40, length: 1 << 33, posted };
    assert_eq!(vm.attach(&huge, own(&port, 0)).unwrap_err().code, ErrorCode::Unsupported);
    vm.attach(&Claim { posted: None, ..huge }, own(&port, 0)).unwrap();
}
