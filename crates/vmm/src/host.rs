//! What this host's KVM is, for errors that say that it lacks something.

use crate::layout::{NAMED_BY_CRATE, OTHERS};
use crate::{Error, ErrorCode};
use std::path::Path;

/// The modules that a KVM can be, in the order in which one is believed: the others may be built in and unused.
const MODULES: [&str; 3] = ["kvm_pvm", "kvm_intel", "kvm_amd"];

/// The name of this host's KVM: its module, or the architecture where KVM is part of the kernel.
pub(crate) fn module() -> &'static str {
    let base = Path::new("/sys/module");
    let loaded = MODULES.iter().find(|name| base.join(name).exists());
    loaded.copied().unwrap_or(std::env::consts::ARCH)
}

/// The error of a capability (by its name in the kernel) that this host does not have.
pub(crate) fn lacks(capability: &str) -> Error {
    Error::new(ErrorCode::Unsupported, format!("this host's KVM ({}) lacks {capability}", module()))
}

/// The kernel's name of a capability, where the tables have it.
fn capability_name(number: u32) -> Option<&'static str> {
    NAMED_BY_CRATE.iter().chain(OTHERS).find(|known| known.number == number).map(|known| known.kernel)
}

/// The error of a capability, by its number.
pub(crate) fn lacks_number(capability: u32, syscall: &'static str, errno: i32) -> Error {
    let unknown = || format!("capability {capability}");
    lacks_ioctl(&capability_name(capability).map_or_else(unknown, str::to_owned), syscall, errno)
}

/// The same for an ioctl that failed for that reason.
pub(crate) fn lacks_ioctl(capability: &str, syscall: &'static str, errno: i32) -> Error {
    Error { message: lacks(capability).message, ..Error::os(ErrorCode::Unsupported, syscall, errno) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_the_capability_and_the_module() {
        let error = lacks("KVM_CAP_X86_SMM");
        assert_eq!(error.code, ErrorCode::Unsupported);
        assert!(error.message.contains("KVM_CAP_X86_SMM") && error.message.contains(module()));
        let numbered = lacks_number(u32::MAX, "KVM_ENABLE_CAP", libc::EINVAL);
        assert!(numbered.message.ends_with("lacks capability 4294967295"), "{}", numbered.message);
        let named = lacks_number(kvm_bindings::KVM_CAP_S390_USER_SIGP, "KVM_ENABLE_CAP", libc::EINVAL);
        assert!(named.message.ends_with("lacks KVM_CAP_S390_USER_SIGP"), "{}", named.message);
        assert_eq!(lacks_ioctl("KVM_CAP_X86_SMM", "KVM_SMI", libc::ENOTTY).syscall, Some("KVM_SMI"));
    }
}
