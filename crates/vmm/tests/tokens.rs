//! Tokens: a number and a generation that name one vCPU, for as long as it lives.

mod support;

use std::sync::Arc;
use std::thread;
use support::{machine, port, ready, step};
use vmhatch_test_guests as guests;
use vmhatch_vmm::{ErrorCode, Registry, Status};

#[test]
fn a_token_names_its_vcpu_and_nothing_after_it() {
    let (port, _) = port();
    let Some(vm) = machine(&port) else { return };
    let first = vm.create_vcpu(0).unwrap();
    let (number, generation) = (first.number, first.generation);
    let found = Registry::global().get(number, generation).unwrap();
    assert!(Arc::ptr_eq(&found, &first));
    drop(found);
    assert!(Registry::global().get(number, generation + 1).is_none());
    assert!(Registry::global().get(u32::MAX, generation).is_none());
    first.close();
    assert!(Registry::global().get(number, generation).is_some_and(|vcpu| vcpu.is_closed()));
    drop(first);
    assert!(Registry::global().get(number, generation).is_none());
    // Others may have the number by now; nobody has the token.
    let others: Vec<_> = (1..8).map(|id| vm.create_vcpu(id).unwrap()).collect();
    assert!(others.iter().all(|vcpu| (vcpu.number, vcpu.generation) != (number, generation)));
    assert!(Registry::global().get(number, generation).is_none());
}

#[test]
fn live_vcpus_have_different_numbers_whoever_makes_them() {
    let threads: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(|| {
                let (port, _) = port();
                let Some(vm) = machine(&port) else { return Vec::new() };
                (0..4).map(|id| vm.create_vcpu(id).unwrap()).collect()
            })
        })
        .collect();
    let vcpus: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    let mut numbers: Vec<u32> = vcpus.iter().map(|vcpu| vcpu.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), vcpus.len());
}

#[test]
fn an_offer_is_taken_once_and_by_one() {
    let (own, _) = port();
    let Some((_vm, vcpu)) = ready(&own, &guests::PIO_IN_LOOP) else { return };
    assert!(!vcpu.adopt(Arc::clone(&own), 0), "nobody offered it");
    assert!(!vcpu.adopt(Arc::clone(&own), 1), "nobody offered it");
    // The open access is completed by the offer: the new owner cannot answer it.
    assert_eq!(step(&vcpu), Status::IoIn as u32);
    let offer = vcpu.offer().unwrap();
    assert!(!vcpu.adopt(Arc::clone(&own), offer + 1), "another offer");
    let takers: Vec<_> = (0..8)
        .map(|_| {
            let vcpu = Arc::clone(&vcpu);
            thread::spawn(move || vcpu.adopt(port().0, offer))
        })
        .collect();
    let taken: Vec<bool> = takers.into_iter().map(|taker| taker.join().unwrap()).collect();
    assert_eq!(taken.iter().filter(|taken| **taken).count(), 1);
    assert_eq!(support::regs(&vcpu).rax & 0xff, 0xff);
    vcpu.close();
    assert_eq!(vcpu.offer().unwrap_err().code, ErrorCode::Closed);
}

#[test]
fn a_vcpu_that_could_not_be_made_leaves_nothing() {
    let (port, _) = port();
    let Some(vm) = machine(&port) else { return };
    let _first = vm.create_vcpu(0).unwrap();
    assert_eq!(vm.create_vcpu(0).map(|_| ()).unwrap_err().errno, Some(17), "EEXIST");
    assert_eq!(vm.create_vcpu(u32::MAX).map(|_| ()).unwrap_err().code, ErrorCode::TooManyVcpus);
    vm.create_vcpu(1).unwrap();
}
