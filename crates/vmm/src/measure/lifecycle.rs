//! The control of the creation benchmark: from nothing to the first exit, and back to nothing.

use std::io;
use std::os::fd::AsRawFd;
use std::time::Instant;

use super::guests::ExitKind;
use super::machine::Machine;
use super::sys;

/// How long one virtual machine took to come and to go.
#[derive(Clone, Copy, Debug)]
pub struct Lifetime {
    /// From opening /dev/kvm to the first exit.
    pub create_ns: u64,
    /// Unmapping and closing everything.
    pub dispose_ns: u64,
}

/// Opens /dev/kvm, makes a VM with one page of memory and one vCPU, runs it to its first exit, drops it all.
///
/// # Errors
///
/// What the system calls say.
pub fn create_and_dispose() -> io::Result<Lifetime> {
    let start = Instant::now();
    let machine = Machine::new(ExitKind::PioOut)?;
    while sys::run(machine.vcpu.as_raw_fd()) < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    let first_exit = Instant::now();
    drop(machine);
    Ok(Lifetime {
        create_ns: first_exit.duration_since(start).as_nanos() as u64,
        dispose_ns: first_exit.elapsed().as_nanos() as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_comes_and_goes_without_leaving_descriptors() {
        if !std::path::Path::new("/dev/kvm").exists() {
            eprintln!("skipped: no /dev/kvm");
            return;
        }
        for _ in 0..50 {
            let lifetime = create_and_dispose().expect("a VM");
            assert!(lifetime.create_ns > 0 && lifetime.dispose_ns > 0);
        }
    }
}
