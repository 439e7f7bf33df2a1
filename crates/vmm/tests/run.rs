//! The run loop: exits, Rust devices, slices, and completing an access.

mod support;

use kvm_bindings::{KVM_EXIT_HLT, KVM_EXIT_IO};
use std::sync::Arc;
use support::{Shared, bare, eventually, machine, port, ports, posted, ready, regs, step, vcpu};
use vmhatch_test_guests as guests;
use vmhatch_vmm::{ErrorCode, NativeDevice, RunPages, Status, Target, VcpuState};
use zerocopy::IntoBytes;

#[test]
fn add_numbers_prints_the_sum_and_halts() {
    let (port, _) = port();
    let Some(vm) = machine(&port) else { return };
    let vcpu = vcpu(&vm, &guests::ADD_NUMBERS, |regs| (regs.rax, regs.rbx) = (2, 3));
    assert_eq!(step(&vcpu), Status::IoOut as u32);
    assert_eq!(vcpu.pages.io(), (0x3f8, 1, 1, b"5".to_vec()));
    assert_eq!(step(&vcpu), Status::IoOut as u32);
    assert_eq!(vcpu.pages.io(), (0x3f8, 1, 1, b"\n".to_vec()));
    assert_eq!(step(&vcpu), Status::Exit as u32);
    assert_eq!(vcpu.pages.reason(), KVM_EXIT_HLT);
    let counters = vcpu.pages.counters();
    let count = |reason: u32| counters.by_reason[reason as usize].load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!((count(KVM_EXIT_IO), count(KVM_EXIT_HLT)), (2, 1));
}

#[test]
fn a_read_that_nobody_answers_is_all_ones() {
    let (port, _) = port();
    let Some((vm, vcpu)) = ready(&port, &guests::STRING_IN) else { return };
    loop {
        match step(&vcpu) {
            status if status == Status::IoIn as u32 => {}
            status => break assert_eq!(status, Status::Exit as u32),
        }
    }
    let mut read = [0; 16];
    vm.memory.read(0x2000, &mut read).unwrap();
    assert_eq!(read, [0xff; 16]);
}

#[test]
fn string_input_arrives_element_by_element_and_in_order() {
    for (guest, size) in
        [(&guests::STRING_IN, 1), (&guests::STRING_IN_WORD, 2), (&guests::STRING_IN_DWORD, 4)]
    {
        let (port, _) = port();
        let Some((vm, vcpu)) = ready(&port, guest) else { return };
        let mut next = 0u8;
        while step(&vcpu) == Status::IoIn as u32 {
            let (from, bytes, count, _) = vcpu.pages.io();
            assert_eq!((from, bytes), (0x500, size));
            let data: Vec<u8> = (0..u32::from(size) * count).map(|at| next.wrapping_add(at as u8)).collect();
            next += data.len() as u8;
            vcpu.pages.put(vcpu.pages.io_data(), &data);
        }
        assert_eq!(vcpu.pages.reason(), KVM_EXIT_HLT);
        let mut read = [0; 16];
        vm.memory.read(0x2000, &mut read).unwrap();
        assert_eq!(read.to_vec(), (0..16).collect::<Vec<u8>>(), "{}", guest.name);
    }
}

#[test]
fn a_rust_device_is_served_without_coming_back() {
    let (port, woken) = port();
    let Some(vm) = machine(&port) else { return };
    let console = NativeDevice::debug_console(Arc::clone(&port), false, 0xe9);
    vm.attach(&ports(0x3f8, 1), Target::Native(Arc::clone(&console))).unwrap();
    let vcpu = vcpu(&vm, &guests::STRING_OUT, |_| ());
    assert_eq!(step(&vcpu), Status::Exit as u32);
    assert_eq!(vcpu.pages.reason(), KVM_EXIT_HLT);
    let output = console.output().unwrap().take();
    assert!(!output.is_empty() && output.is_ascii(), "{output:?}");
    assert_eq!(woken.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[test]
fn a_devices_request_ends_the_run_with_its_code() {
    let (port, _) = port();
    let Some(vm) = machine(&port) else { return };
    vm.attach(&ports(0x3f8, 1), Target::Native(NativeDevice::debug_exit())).unwrap();
    let vcpu = vcpu(&vm, &guests::ADD_NUMBERS, |regs| (regs.rax, regs.rbx) = (1, 1));
    assert_eq!(step(&vcpu), Status::DeviceStop as u32);
    let code = vcpu.pages.control_at(std::mem::offset_of!(vmhatch_vmm::Control, stop_code));
    assert_eq!(code, (u32::from(b'2') << 1) | 1);
    // The run goes on where it ended.
    assert_eq!(step(&vcpu), Status::DeviceStop as u32);
    assert_eq!(step(&vcpu), Status::Exit as u32);
}

#[test]
fn overlapping_claims_are_refused_and_a_detached_range_is_free() {
    let (port, _) = port();
    let Some(vm) = machine(&port) else { return };
    let exit = || Target::Native(NativeDevice::debug_exit());
    vm.attach(&ports(0x100, 8), exit()).unwrap();
    assert_eq!(vm.attach(&ports(0x107, 1), exit()).unwrap_err().code, ErrorCode::RangeClaimed);
    vm.detach(vmhatch_vmm::Bus::Io, 0x100).unwrap();
    vm.attach(&ports(0x107, 1), exit()).unwrap();
}

#[test]
fn a_guest_that_never_exits_comes_back_by_slices() {
    let (port, _) = port();
    let Some((_vm, vcpu)) = ready(&port, &guests::SPIN) else { return };
    for _ in 0..5 {
        assert_eq!(vcpu.step(), Status::Slice as u32);
    }
    assert!(vcpu.pages.counters().slices.load(std::sync::atomic::Ordering::Relaxed) >= 5);
    // A thread that did not run for so long that its timer stopped starts it again.
    std::thread::sleep(std::time::Duration::from_millis(150));
    for _ in 0..5 {
        assert_eq!(vcpu.step(), Status::Slice as u32);
    }
}

/// Answers the open port read, completes it, and gives the registers other values.
fn complete_and_write(vcpu: &vmhatch_vmm::VcpuCore, change: impl FnOnce(&mut kvm_bindings::kvm_regs)) {
    assert_eq!(vcpu.complete(), Status::Completed as u32);
    let mut now = regs(vcpu);
    change(&mut now);
    vcpu.set_state(VcpuState::Regs, now.as_bytes()).unwrap();
}

#[test]
fn completing_keeps_the_reply_of_a_port_read_and_lets_registers_be_written() {
    let (port, _) = port();
    let Some((_vm, vcpu)) = ready(&port, &guests::PIO_IN_LOOP) else { return };
    for reply in 1..=50u8 {
        assert_eq!(step(&vcpu), Status::IoIn as u32);
        vcpu.pages.put(vcpu.pages.io_data(), &[reply]);
        complete_and_write(&vcpu, |regs| {
            assert_eq!(regs.rax & 0xff, u64::from(reply));
            regs.rbx = u64::from(reply) << 8;
        });
        assert_eq!(regs(&vcpu).rbx, u64::from(reply) << 8);
    }
}

#[test]
fn completing_keeps_the_reply_of_string_input() {
    let (port, _) = port();
    let Some((vm, vcpu)) = ready(&port, &guests::STRING_IN) else { return };
    let mut next = 0u8;
    while step(&vcpu) == Status::IoIn as u32 {
        let (_, _, count, _) = vcpu.pages.io();
        let data: Vec<u8> = (next..next + count as u8).collect();
        next += count as u8;
        vcpu.pages.put(vcpu.pages.io_data(), &data);
        match vcpu.complete() {
            // KVM asked for the rest of the string while completing: its exit comes next.
            status if status == Status::Pending as u32 => {
                assert_eq!(vcpu.complete(), Status::Pending as u32, "a second completion must not answer it");
            }
            status => {
                assert_eq!(status, Status::Completed as u32);
                let mut now = regs(&vcpu);
                now.rbx = 0x1234;
                vcpu.set_state(VcpuState::Regs, now.as_bytes()).unwrap();
            }
        }
    }
    let mut read = [0; 16];
    vm.memory.read(0x2000, &mut read).unwrap();
    assert_eq!(read.to_vec(), (0..16).collect::<Vec<u8>>());
    assert_eq!(regs(&vcpu).rbx, 0x1234);
}

#[test]
fn completing_keeps_the_reply_of_a_memory_read() {
    let (port, _) = port();
    let Some((_vm, vcpu)) = ready(&port, &guests::MMIO_READ_LOOP) else { return };
    for reply in [0x1234u16, 0xfedc, 1] {
        assert_eq!(step(&vcpu), Status::MmioRead as u32);
        vcpu.pages.put(vmhatch_vmm::layout::MMIO_DATA_OFFSET, &reply.to_le_bytes());
        complete_and_write(&vcpu, |regs| {
            assert_eq!(regs.rax & 0xffff, u64::from(reply));
            regs.rbp = u64::from(reply);
        });
        assert_eq!(regs(&vcpu).rbp, u64::from(reply));
    }
}

#[test]
fn completing_with_nothing_open_runs_no_guest_code() {
    let (port, _) = port();
    let Some((_vm, vcpu)) = ready(&port, &guests::SINGLE_STEP) else { return };
    for _ in 0..3 {
        assert_eq!(vcpu.complete(), Status::Completed as u32);
        assert_eq!(regs(&vcpu).rip, guests::SINGLE_STEP.entry);
    }
    // The byte that completed it ends no run.
    assert_eq!(step(&vcpu), Status::Exit as u32);
}

#[test]
fn nonsense_in_the_shared_page_is_no_crash() {
    let (port, _) = port();
    let Some((_vm, vcpu)) = ready(&port, &guests::EXIT_STORM) else { return };
    for round in 0..200u32 {
        assert_eq!(bare(step(&vcpu)), Status::IoOut as u32);
        // JavaScript may write anything anywhere; only what KVM itself reads back is left alone here.
        let control = vcpu.pages.control_offset();
        vcpu.pages.put(control, &[round as u8; 64]);
        vcpu.pages.put(64, &[0xff; 128]);
        assert!(posted_is_bounded(&vcpu.pages));
    }
}

fn posted_is_bounded(pages: &RunPages) -> bool {
    pages.put(pages.control_offset() + std::mem::offset_of!(vmhatch_vmm::Control, posted_count), &[0; 4]);
    posted(pages).is_empty()
}

#[test]
fn a_flood_of_output_waits_for_its_listener() {
    let (port, _) = port();
    let Some(vm) = machine(&port) else { return };
    let other = support::OtherIsolate::serving(drop);
    let console = NativeDevice::debug_console(Arc::clone(&other.port), true, 0xe9);
    vm.attach(&ports(0x500, 1), Target::Native(Arc::clone(&console))).unwrap();
    let vcpu = vcpu(&vm, &guests::PIO_OUT_LOOP, |regs| regs.rax = u64::from(b'x'));
    let runner = std::thread::spawn({
        let vcpu = Arc::clone(&vcpu);
        move || step(&vcpu)
    });
    let mut taken = 0;
    eventually("output", || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        let bytes = console.output().unwrap().take();
        assert!(bytes.len() <= 65 * 1024, "{} bytes waited", bytes.len());
        assert!(bytes.iter().all(|byte| *byte == b'x'));
        taken += bytes.len();
        taken > 100_000
    });
    vcpu.kick();
    assert_eq!(runner.join().unwrap(), Status::Kicked as u32);
}
