//! Pinning the calling thread to one CPU: creation is bimodal on a machine with several, and a ratio of two
//! modes says nothing.

use std::io;
use std::mem::size_of;

use libc::cpu_set_t;

use super::sys::check;

/// The CPU that the calling thread is on right now.
///
/// # Errors
///
/// What the system call says.
pub fn current_cpu() -> io::Result<usize> {
    // SAFETY: takes nothing.
    check(unsafe { libc::sched_getcpu() }).map(|cpu| cpu as usize)
}

/// Keeps the calling thread, and threads that it makes from now on, on one CPU. Gives the CPUs that it might use
/// before, for [`unpin`].
///
/// # Errors
///
/// EINVAL if there is no such CPU, or this process may not use it.
pub fn pin_to_cpu(cpu: usize) -> io::Result<Vec<usize>> {
    let before = allowed()?;
    set_allowed(&[cpu])?;
    Ok(before)
}

/// Gives the calling thread the CPUs back that [`pin_to_cpu`] took.
///
/// # Errors
///
/// EINVAL if none of them exists any more.
pub fn unpin(before: &[usize]) -> io::Result<()> {
    set_allowed(before)
}

fn allowed() -> io::Result<Vec<usize>> {
    // SAFETY: all zeros is an empty set.
    let mut set: cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the call writes at most the size that it is given.
    check(unsafe { libc::sched_getaffinity(0, size_of::<cpu_set_t>(), &mut set) })?;
    // SAFETY: the numbers are below the size of the set.
    Ok((0..libc::CPU_SETSIZE as usize).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect())
}

fn set_allowed(cpus: &[usize]) -> io::Result<()> {
    // SAFETY: all zeros is an empty set.
    let mut set: cpu_set_t = unsafe { std::mem::zeroed() };
    for &cpu in cpus.iter().filter(|&&cpu| cpu < libc::CPU_SETSIZE as usize) {
        // SAFETY: the number is below the size of the set.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    // SAFETY: the call reads at most the size that it is given; an empty set is EINVAL.
    check(unsafe { libc::sched_setaffinity(0, size_of::<cpu_set_t>(), &set) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_pinned_and_let_go() {
        let cpu = current_cpu().expect("a CPU");
        let before = pin_to_cpu(cpu).expect("pinned");
        assert!(before.contains(&cpu));
        assert_eq!(allowed().expect("a set"), [cpu]);
        unpin(&before).expect("let go");
        assert_eq!(allowed().expect("a set"), before);
        assert!(pin_to_cpu(libc::CPU_SETSIZE as usize).is_err());
    }
}
