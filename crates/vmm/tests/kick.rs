//! The kick: it ends the run in progress or the next one, whenever it lands.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use support::{ends, port, ready, regs, step};
use vmhatch_test_guests as guests;
use vmhatch_vmm::{Status, VcpuCore};

const KICKED: u32 = Status::Kicked as u32;

/// Runs until the run is kicked, `times` in a row; `announce` is called before each.
fn run_until_kicked(vcpu: &VcpuCore, times: u32, mut announce: impl FnMut(u32)) {
    for round in 0..times {
        announce(round);
        assert_eq!(step(vcpu), KICKED);
    }
}

#[test]
fn a_kick_with_no_run_ends_the_next_one_and_only_that() {
    let (port, _) = port();
    let Some((_vm, vcpu)) = ready(&port, &guests::SINGLE_STEP) else { return };
    vcpu.kick();
    vcpu.kick();
    assert_eq!(step(&vcpu), KICKED);
    assert_eq!(regs(&vcpu).rip, guests::SINGLE_STEP.entry);
    assert_eq!(step(&vcpu), Status::Exit as u32);
    assert_eq!(vcpu.kicks(), 2);
}

#[test]
fn a_thousand_kicks_end_a_thousand_runs() {
    let (port, _) = port();
    let Some((_vm, vcpu)) = ready(&port, &guests::SPIN) else { return };
    ends("a thousand kicks", move || {
        let (go, wait) = std::sync::mpsc::channel();
        let kicker = thread::spawn({
            let vcpu = Arc::clone(&vcpu);
            move || {
                // Different delays, so that kicks land before the entry, at it, and in the guest.
                while let Ok(round) = wait.recv() {
                    for _ in 0..round % 64 * 50 {
                        std::hint::spin_loop();
                    }
                    vcpu.kick();
                }
            }
        });
        run_until_kicked(&vcpu, 1000, |round| go.send(round).unwrap());
        drop(go);
        kicker.join().unwrap();
        assert_eq!(vcpu.kicks(), 1000);
    });
}

#[test]
fn kicks_that_race_with_every_entry_lose_none() {
    let (port, _) = port();
    let Some((_vm, vcpu)) = ready(&port, &guests::PIO_OUT_LOOP) else { return };
    ends("racing kicks", move || {
        let done = Arc::new(AtomicBool::new(false));
        let kicker = thread::spawn({
            let (vcpu, done) = (Arc::clone(&vcpu), Arc::clone(&done));
            move || {
                let mut kicks = 0;
                while !done.load(Ordering::Relaxed) {
                    vcpu.kick();
                    kicks += 1;
                    if kicks % 16 == 0 {
                        thread::sleep(Duration::from_micros(20));
                    }
                }
            }
        });
        let mut kicked = 0;
        while kicked < 1000 {
            kicked += u32::from(step(&vcpu) == KICKED);
        }
        done.store(true, Ordering::Relaxed);
        kicker.join().unwrap();
    });
}

#[test]
fn a_kick_while_completing_stays_for_the_run() {
    let (port, _) = port();
    let Some((_vm, vcpu)) = ready(&port, &guests::PIO_IN_LOOP) else { return };
    assert_eq!(step(&vcpu), Status::IoIn as u32);
    vcpu.kick();
    assert_eq!(vcpu.complete(), Status::Completed as u32);
    assert_eq!(step(&vcpu), KICKED);
    assert_eq!(step(&vcpu), Status::IoIn as u32);
}

#[test]
fn a_vcpu_that_only_completes_can_be_kicked() {
    // Nothing was run before in this process (under a runner that gives each test its own): without the
    // handler that the first vCPU installs, the signal would end the process.
    let (port, _) = port();
    let Some((_vm, vcpu)) = ready(&port, &guests::SPIN) else { return };
    let done = Arc::new(AtomicBool::new(false));
    let kicker = thread::spawn({
        let (vcpu, done) = (Arc::clone(&vcpu), Arc::clone(&done));
        move || {
            while !done.load(Ordering::Relaxed) {
                vcpu.kick();
            }
        }
    });
    for _ in 0..5000 {
        assert_eq!(vcpu.complete(), Status::Completed as u32);
    }
    done.store(true, Ordering::Relaxed);
    kicker.join().unwrap();
    assert_eq!(step(&vcpu), KICKED);
}

#[test]
fn a_vcpu_in_use_is_busy_at_once() {
    let (port, _) = port();
    let Some((_vm, vcpu)) = ready(&port, &guests::SPIN) else { return };
    ends("busy", move || {
        let runner = thread::spawn({
            let vcpu = Arc::clone(&vcpu);
            move || while step(&vcpu) != KICKED {}
        });
        // Between two slices the vCPU is free for a moment.
        support::eventually("busy", || {
            vcpu.mp_state().is_err_and(|error| error.code == vmhatch_vmm::ErrorCode::Busy)
        });
        support::eventually("busy step", || vcpu.step() == Status::Busy as u32);
        vcpu.kick();
        runner.join().unwrap();
        vcpu.mp_state().unwrap();
    });
}
