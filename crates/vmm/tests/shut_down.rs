//! The end of the process. The only test of its process, since nothing runs after it.

mod support;

use std::sync::Arc;
use support::{eventually, port, ready};
use vmhatch_test_guests as guests;
use vmhatch_vmm::Status;

#[test]
fn no_guest_is_entered_any_more() {
    let (port, _) = port();
    let Some((_vm, vcpu)) = ready(&port, &guests::SPIN) else { return };
    let runner = std::thread::spawn({
        let vcpu = Arc::clone(&vcpu);
        move || support::step(&vcpu)
    });
    vmhatch_vmm::shut_down();
    eventually("the run", || runner.is_finished());
    assert_eq!(runner.join().unwrap(), Status::Kicked as u32);
    let (_vm, later) = ready(&port, &guests::SPIN).unwrap();
    assert_eq!(later.step(), Status::Kicked as u32);
}
