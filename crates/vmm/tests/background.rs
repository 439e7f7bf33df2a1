//! The background lane: a thread of its own runs the vCPU and waits for the isolate's answers.

mod support;

use kvm_bindings::KVM_EXIT_HLT;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use support::{Shared, bare, ends, eventually, machine, port, ports, ready, regs, step, vcpu};
use vmhatch_test_guests as guests;
use vmhatch_vmm::{
    BackgroundRun, ErrorCode, IsolatePort, NativeDevice, Resume, Status, Target, VcpuCore, VcpuState,
};
use zerocopy::IntoBytes;

/// Waits as an isolate does for a vCPU that wants it.
fn next(port: &IsolatePort, vcpu: &VcpuCore, run: &BackgroundRun) -> u32 {
    let mut number = None;
    eventually("a ready vCPU", || {
        number = port.next_ready();
        number.is_some()
    });
    assert_eq!(number, Some(vcpu.number));
    bare(run.status())
}

#[test]
fn exits_are_handed_over_and_answered() {
    let (port, woken) = port();
    let Some(vm) = machine(&port) else { return };
    let vcpu = vcpu(&vm, &guests::ADD_NUMBERS, |regs| (regs.rax, regs.rbx) = (3, 4));
    let run = BackgroundRun::start(Arc::clone(&vcpu)).unwrap();
    for expected in [b'7', b'\n'] {
        assert_eq!(next(&port, &vcpu, &run), Status::IoOut as u32);
        assert_eq!(vcpu.pages.io(), (0x3f8, 1, 1, vec![expected]));
        run.resume(Resume::Run);
    }
    assert_eq!(next(&port, &vcpu, &run), Status::Exit as u32);
    assert_eq!(vcpu.pages.reason(), KVM_EXIT_HLT);
    assert!(woken.load(Ordering::SeqCst) >= 1);
    run.stop();
    // The vCPU is free at once: registers, the sync lane, another thread.
    assert_eq!(regs(&vcpu).rax as u8, b'\n');
    BackgroundRun::start(Arc::clone(&vcpu)).unwrap().stop();
}

#[test]
fn rust_devices_are_served_on_the_thread() {
    let (port, _) = port();
    let Some(vm) = machine(&port) else { return };
    let console = NativeDevice::debug_console(Arc::clone(&port), false, 0xe9);
    vm.attach(&ports(0x3f8, 1), Target::Native(Arc::clone(&console))).unwrap();
    let vcpu = vcpu(&vm, &guests::STRING_OUT, |_| ());
    let run = BackgroundRun::start(Arc::clone(&vcpu)).unwrap();
    assert_eq!(next(&port, &vcpu, &run), Status::Exit as u32);
    assert!(!console.output().unwrap().take().is_empty());
    run.stop();
}

#[test]
fn completing_keeps_the_reply_and_lets_registers_be_written() {
    let (port, _) = port();
    let Some((_vm, vcpu)) = ready(&port, &guests::PIO_IN_LOOP) else { return };
    let run = BackgroundRun::start(Arc::clone(&vcpu)).unwrap();
    for reply in 1..=20u8 {
        assert_eq!(next(&port, &vcpu, &run), Status::IoIn as u32);
        vcpu.pages.put(vcpu.pages.io_data(), &[reply]);
        run.resume(Resume::Complete);
        assert_eq!(next(&port, &vcpu, &run), Status::Completed as u32);
        let mut now = regs(&vcpu);
        assert_eq!(now.rax as u8, reply);
        now.rbx = u64::from(reply);
        vcpu.set_state(VcpuState::Regs, now.as_bytes()).unwrap();
        run.resume(Resume::Run);
    }
    assert_eq!(next(&port, &vcpu, &run), Status::IoIn as u32);
    run.stop();
    assert_eq!(regs(&vcpu).rbx, 20);
}

#[test]
fn a_kick_brings_the_thread_back() {
    let (port, _) = port();
    let Some((_vm, vcpu)) = ready(&port, &guests::SPIN) else { return };
    for _ in 0..200 {
        let run = BackgroundRun::start(Arc::clone(&vcpu)).unwrap();
        vcpu.kick();
        assert_eq!(next(&port, &vcpu, &run), Status::Kicked as u32);
        run.stop();
    }
}

#[test]
fn one_thread_a_vcpu() {
    let (port, _) = port();
    let Some((_vm, vcpu)) = ready(&port, &guests::SPIN) else { return };
    let run = BackgroundRun::start(Arc::clone(&vcpu)).unwrap();
    let second = BackgroundRun::start(Arc::clone(&vcpu)).map(|_| ());
    assert_eq!(second.unwrap_err().code, ErrorCode::Busy);
    vcpu.kick();
    assert_eq!(next(&port, &vcpu, &run), Status::Kicked as u32);
    run.stop();
}

#[test]
fn closing_ends_the_thread_and_lets_go() {
    let (port, _) = port();
    let Some((vm, vcpu)) = ready(&port, &guests::SPIN) else { return };
    let run = BackgroundRun::start(Arc::clone(&vcpu)).unwrap();
    vm.close();
    assert_eq!(next(&port, &vcpu, &run), Status::Closed as u32);
    // Nobody answers: the thread ends by itself.
    eventually("the thread's end", || Arc::strong_count(&run) == 1);
    assert_eq!(vcpu.mp_state().unwrap_err().code, ErrorCode::Closed);
}

#[test]
fn the_end_of_the_isolate_frees_the_vcpu_for_another() {
    let (first, _) = port();
    let Some((_vm, vcpu)) = ready(&first, &guests::SPIN) else { return };
    let run = BackgroundRun::start(Arc::clone(&vcpu)).unwrap();
    first.end();
    eventually("the thread's end", || Arc::strong_count(&run) == 1);
    let (second, _) = port();
    vcpu.set_isolate(Arc::clone(&second));
    let run = BackgroundRun::start(Arc::clone(&vcpu)).unwrap();
    vcpu.kick();
    assert_eq!(next(&second, &vcpu, &run), Status::Kicked as u32);
    run.stop();
    ends("the sync lane", move || {
        vcpu.kick();
        assert_eq!(step(&vcpu), Status::Kicked as u32);
    });
}
