//! Closing: in any order, from any thread, twice.

mod support;

use std::sync::Arc;
use std::thread;
use std::time::Duration;
use support::{bare, ends, kvm, machine, port, ready, step, vcpu};
use vmhatch_test_guests as guests;
use vmhatch_vmm::{ErrorCode, Status};

#[test]
fn closing_from_another_thread_ends_a_run() {
    for round in 0..100 {
        let (port, _) = port();
        let Some((vm, vcpu)) = ready(&port, &guests::SPIN) else { return };
        ends("a closed run", move || {
            let closer = thread::spawn({
                let (vm, vcpu) = (Arc::clone(&vm), Arc::clone(&vcpu));
                move || {
                    thread::sleep(Duration::from_micros(round * 10));
                    if round % 2 == 0 { vm.close() } else { vcpu.close() }
                }
            });
            assert_eq!(step(&vcpu), Status::Closed as u32);
            closer.join().unwrap();
            assert_eq!(vcpu.step(), Status::Closed as u32);
            assert_eq!(vcpu.complete(), Status::Closed as u32);
            assert_eq!(vcpu.mp_state().unwrap_err().code, ErrorCode::Closed);
        });
    }
}

#[test]
fn a_guest_that_still_runs_sees_zeros_when_its_memory_goes() {
    // The guest jumps to itself; with zeros under it (add [bx+si],al) it walks to the end of memory. Whatever
    // it does then, the host stays whole and the run ends.
    for _ in 0..20 {
        let (port, _) = port();
        let Some((vm, vcpu)) = ready(&port, &guests::EXIT_STORM) else { return };
        ends("memory closed under a guest", move || {
            let runner = thread::spawn({
                let vcpu = Arc::clone(&vcpu);
                move || while bare(step(&vcpu)) != Status::Closed as u32 {}
            });
            thread::sleep(Duration::from_millis(1));
            let _ = vm.unmap_memory(0);
            vm.close();
            runner.join().unwrap();
        });
    }
}

#[test]
fn the_order_of_closing_does_not_matter() {
    for order in 0..6 {
        let (port, _) = port();
        let Some(kvm) = kvm() else { return };
        let vm = kvm.create_vm(0, Arc::clone(&port)).unwrap();
        vm.map_memory(&support::region(0, 0x8000)).unwrap();
        let vcpu = vcpu(&vm, &guests::SINGLE_STEP, |_| ());
        for step in 0..3 {
            match (order + step * (1 + order % 2)) % 3 {
                0 => kvm.close(),
                1 => vm.close(),
                _ => vcpu.close(),
            }
        }
        vm.close();
        vcpu.close();
        kvm.close();
        assert!(vm.is_closed() && vcpu.is_closed());
        assert_eq!(kvm.api_version().unwrap_err().code, ErrorCode::Closed);
        assert_eq!(vm.check_extension(0).unwrap_err().code, ErrorCode::Closed);
        assert_eq!(
            vm.map_memory(&support::region(0, 0x1000)).map(|_| ()).unwrap_err().code,
            ErrorCode::Closed
        );
        assert_eq!(vm.memory.read(0, &mut [0]).unwrap_err().code, ErrorCode::Closed);
    }
}

#[test]
fn a_machine_outlives_its_kvm() {
    let (port, _) = port();
    let Some((_vm, vcpu)) = ready(&port, &guests::SINGLE_STEP) else { return };
    // `ready` has dropped its KvmCore already.
    assert_eq!(step(&vcpu), Status::Exit as u32);
}

#[test]
fn a_vcpu_made_while_the_machine_closes_is_closed() {
    for _ in 0..200 {
        let (port, _) = port();
        let Some(vm) = machine(&port) else { return };
        let closer = thread::spawn({
            let vm = Arc::clone(&vm);
            move || vm.close()
        });
        let made: Vec<_> = (0..4).filter_map(|id| vm.create_vcpu(id).ok()).collect();
        closer.join().unwrap();
        assert!(made.iter().all(|vcpu| vcpu.is_closed()));
    }
}

#[test]
fn a_step_that_meets_a_close_says_closed_not_busy() {
    let (port, _) = port();
    for round in 0..400 {
        let Some((vm, vcpu)) = ready(&port, &guests::PIO_OUT_LOOP) else { return };
        let stepping = Arc::clone(&vcpu);
        let runner = thread::spawn(move || {
            loop {
                let status = step(&stepping);
                if status == Status::Closed as u32 || status == Status::Busy as u32 {
                    return status;
                }
            }
        });
        // Closes at another point of the runner's loop each time.
        for _ in 0..round * 50 {
            std::hint::spin_loop();
        }
        vm.close();
        assert_eq!(runner.join().unwrap(), Status::Closed as u32, "round {round}");
    }
}
