//! Accesses to a device of another isolate.

mod support;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use support::{OtherIsolate, ends, eventually, machine, port, ports, regs, step, vcpu};
use vmhatch_test_guests as guests;
use vmhatch_vmm::{Access, ScriptDevice, Status, Target};

/// An isolate that keeps what it is asked and answers nothing.
fn silent() -> (OtherIsolate, Arc<Mutex<Vec<Access>>>) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    (OtherIsolate::serving(move |access| keep.lock().unwrap().push(access)), kept)
}

#[test]
fn another_isolate_answers_reads_and_takes_writes() {
    let (port, _) = port();
    let Some(vm) = machine(&port) else { return };
    let next = AtomicU32::new(0);
    let other = OtherIsolate::serving(move |access| {
        assert_eq!((access.route, access.offset, access.size, access.write), (7, 0, 1, false));
        access.answer(u64::from(next.fetch_add(1, Ordering::Relaxed)));
    });
    vm.attach(&ports(0x500, 4), other.target(7)).unwrap();
    let vcpu = vcpu(&vm, &guests::STRING_IN, |_| ());
    ends("string input", move || {
        assert_eq!(step(&vcpu), Status::Exit as u32);
        let mut read = [0; 16];
        vm.memory.read(0x2000, &mut read).unwrap();
        assert_eq!(read.to_vec(), (0..16).collect::<Vec<u8>>());
    });
    drop(other);
}

#[test]
fn a_written_value_arrives_with_its_size() {
    let (port, _) = port();
    let Some(vm) = machine(&port) else { return };
    let written = Arc::new(Mutex::new(Vec::new()));
    let other = OtherIsolate::serving({
        let written = Arc::clone(&written);
        move |access| {
            written.lock().unwrap().push((access.write, access.offset, access.size, access.value));
            access.answer(0);
        }
    });
    vm.attach(&ports(0x3f0, 16), other.target(0)).unwrap();
    let vcpu = vcpu(&vm, &guests::ADD_NUMBERS, |regs| (regs.rax, regs.rbx) = (4, 4));
    ends("writes", move || assert_eq!(step(&vcpu), Status::Exit as u32));
    assert_eq!(*written.lock().unwrap(), [(true, 8, 1, u64::from(b'8')), (true, 8, 1, u64::from(b'\n'))]);
}

#[test]
fn one_kick_ends_one_wait() {
    let (port, _) = port();
    let Some(vm) = machine(&port) else { return };
    let (other, kept) = silent();
    vm.attach(&ports(0x500, 1), other.target(0)).unwrap();
    let vcpu = vcpu(&vm, &guests::PIO_IN_LOOP, |_| ());
    ends("waiting", move || {
        // While it waits it comes back to its own isolate now and then.
        assert_eq!(vcpu.step(), Status::Slice as u32);
        vcpu.kick();
        assert_eq!(step(&vcpu), Status::Kicked as u32);
        for _ in 0..3 {
            assert_eq!(vcpu.step(), Status::Slice as u32, "the kick was used up");
        }
        eventually("the access", || !kept.lock().unwrap().is_empty());
        kept.lock().unwrap().pop().unwrap().answer(0x42);
        eventually("the next access", || {
            assert_eq!(vcpu.step(), Status::Slice as u32);
            !kept.lock().unwrap().is_empty()
        });
        assert_eq!(regs(&vcpu).rax & 0xff, 0x42);
    });
    drop(other);
}

#[test]
fn closing_ends_the_wait() {
    let (port, _) = port();
    let Some(vm) = machine(&port) else { return };
    let (other, _kept) = silent();
    vm.attach(&ports(0x500, 1), other.target(0)).unwrap();
    let vcpu = vcpu(&vm, &guests::PIO_IN_LOOP, |_| ());
    ends("closing", move || {
        assert_eq!(vcpu.step(), Status::Slice as u32);
        let closer = thread::spawn({
            let vcpu = Arc::clone(&vcpu);
            move || {
                thread::sleep(Duration::from_millis(10));
                vcpu.close();
            }
        });
        assert_eq!(step(&vcpu), Status::Closed as u32);
        closer.join().unwrap();
    });
    drop(other);
}

#[test]
fn an_isolate_that_ends_answers_as_an_empty_bus() {
    let (port, _) = port();
    let Some(vm) = machine(&port) else { return };
    let (other, kept) = silent();
    vm.attach(&ports(0x500, 1), other.target(0)).unwrap();
    let vcpu = vcpu(&vm, &guests::STRING_IN, |_| ());
    ends("the end of an isolate", move || {
        assert_eq!(vcpu.step(), Status::Slice as u32);
        other.port.end();
        // What it had taken and not answered goes with its objects.
        kept.lock().unwrap().clear();
        assert_eq!(step(&vcpu), Status::Exit as u32);
        let mut read = [0; 16];
        vm.memory.read(0x2000, &mut read).unwrap();
        assert_eq!(read, [0xff; 16]);
    });
}

#[test]
fn nobody_waits_for_an_isolate_that_ends_just_then() {
    for _ in 0..50 {
        let (own, _) = port();
        let Some(vm) = machine(&own) else { return };
        let (ending, _) = port();
        vm.attach(&ports(0x500, 1), Target::Script(ScriptDevice::new(0, Arc::clone(&ending)))).unwrap();
        let vcpu = vcpu(&vm, &guests::STRING_IN, |_| ());
        let started = Arc::new(AtomicBool::new(false));
        let runner = thread::spawn({
            let started = Arc::clone(&started);
            move || {
                started.store(true, Ordering::SeqCst);
                step(&vcpu)
            }
        });
        while !started.load(Ordering::SeqCst) {}
        ending.end();
        eventually("the run", || runner.is_finished());
        assert_eq!(runner.join().unwrap(), Status::Exit as u32);
    }
}
