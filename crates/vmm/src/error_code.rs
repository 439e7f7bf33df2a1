//! The codes of `KvmError`: one table for Rust, TypeScript and docs/errors.md.

macro_rules! error_codes {
    ($($variant:ident $code:literal $meaning:literal $remedy:literal,)*) => {
        /// What went wrong, as JavaScript sees it in `error.code`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = $meaning] $variant,)*
        }

        impl ErrorCode {
            /// Every code, in the order of docs/errors.md.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$variant),*];

            /// The string that JavaScript compares.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(ErrorCode::$variant => $code,)*
                }
            }

            /// What it means, as a sentence without its full stop.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(ErrorCode::$variant => $meaning,)*
                }
            }

            /// What the caller can do about it, as sentences.
            pub const fn remedy(self) -> &'static str {
                match self {
                    $(ErrorCode::$variant => $remedy,)*
                }
            }
        }
    };
}

error_codes! {
    Closed "ERR_KVM_CLOSED"
        "The object, or one that it belongs to, was closed"
        "Use it before `close()`; `closed` says whether it still works.",
    Busy "ERR_KVM_BUSY"
        "The vCPU is running, here or in another thread"
        "Stop it with its `kickHandle` and wait for the run to end; a handler must not run its own vCPU.",
    Transferred "ERR_KVM_TRANSFERRED"
        "The vCPU was given away with `transfer()`"
        "Use it in the thread that adopted it.",
    Token "ERR_KVM_TOKEN"
        "The token names nothing: it was used before, was made by another process, or its object is closed"
        "Adopt a token once, in the process that made it, while the VM is open.",
    AsyncHandler "ERR_KVM_ASYNC_HANDLER"
        "A handler or device returned a Promise where the guest cannot wait for it"
        "Answer synchronously, or run with `runInBackground()`, where handlers may be asynchronous.",
    StaleExit "ERR_KVM_STALE_EXIT"
        "The exit was used after its handler had returned, or after the vCPU had gone on"
        "Answer inside the handler; keep `exit.toJSON()` if the values are needed later.",
    Unavailable "ERR_KVM_UNAVAILABLE"
        "The KVM device does not exist or is not KVM"
        "Load the kernel module (`kvm_intel` or `kvm_amd`), enable virtualisation in the firmware, or pass `/dev/kvm` into the container.",
    Permission "ERR_KVM_PERMISSION"
        "The KVM device may not be opened by this user"
        "Join the group that owns `/dev/kvm` (mostly `kvm`), or change its mode.",
    ApiVersion "ERR_KVM_API_VERSION"
        "The kernel speaks another version of the KVM API than 12"
        "Use a kernel of 2.6.22 or later.",
    Platform "ERR_KVM_PLATFORM"
        "There is no native addon for this platform, C library or version of Node"
        "The message names what was looked for; install the package for a supported platform, or build from source.",
    ExternalBuffers "ERR_KVM_EXTERNAL_BUFFERS"
        "This runtime forbids buffers over memory that is not its own, so guest memory cannot be viewed"
        "Use `read()` and `write()`, which copy, or a runtime that allows external buffers.",
    Ioctl "ERR_KVM_IOCTL"
        "The kernel refused a call"
        "`syscall` names the call and `errno` the reason, as in `errno.h`.",
    Unsupported "ERR_KVM_UNSUPPORTED"
        "The kernel or the processor lacks what was asked for"
        "Ask `checkExtension()` first, or do without it.",
    Descriptor "ERR_KVM_DESCRIPTOR"
        "The file descriptor is not open, or is not what it was given for"
        "Give a descriptor of KVM that this process made and has not closed; the message says what was found.",
    NoAttribute "ERR_KVM_NO_ATTRIBUTE"
        "The device, vCPU or machine has no such attribute"
        "Ask `hasDeviceAttr()` first; groups and attributes are those of the kernel's documents on KVM's devices.",
    RangeClaimed "ERR_KVM_RANGE_CLAIMED"
        "Another device already has part of the range"
        "Detach that device, or choose another range; the message names both.",
    MemoryOverlap "ERR_KVM_MEMORY_OVERLAP"
        "The region would overlap another region of guest memory"
        "Unmap that region, or choose another address; the message names both.",
    MemoryBounds "ERR_KVM_MEMORY_BOUNDS"
        "Part of the range is not guest memory"
        "Stay inside the mapped regions; `view()` must stay inside one.",
    Memory "ERR_KVM_MEMORY"
        "Memory for the guest could not be had: the mapping or its file failed"
        "`errno` says why: mostly too little memory, or a file that is missing or too short.",
    NoSlots "ERR_KVM_NO_SLOTS"
        "The slot is taken, or all memory slots of the VM are"
        "Unmap a region, or map fewer and larger ones; `kvm.getNrMemslots()` is the limit.",
    BackingLost "ERR_KVM_BACKING_LOST"
        "The file behind guest memory became shorter than the region"
        "Keep the file as long as the region is mapped; the VM cannot go on.",
    DirtyRing "ERR_KVM_DIRTY_RING"
        "KVM ran over the end of a dirty ring, so that written pages are not known"
        "Take every page as written, and use the log of `getDirtyLog()` on this host: one that emulates many instructions without looking at the ring cannot keep its bounds.",
    Boot "ERR_KVM_BOOT"
        "A machine cannot be booted as it was configured"
        "The message begins with the field of the configuration and says what was found and what is possible.",
    MachineState "ERR_KVM_MACHINE_STATE"
        "A machine was asked for something that it cannot do in its state"
        "`machine.state` says what it is doing; a machine that has ended does not start again.",
    Guest "ERR_KVM_GUEST"
        "A vCPU cannot go on with its guest"
        "The message has what KVM reported: mostly an instruction or a state that this host's KVM cannot run.",
    TooManyVcpus "ERR_KVM_TOO_MANY_VCPUS"
        "The VM cannot have another vCPU, or none with this id"
        "`kvm.getMaxVcpus()` and `kvm.getMaxVcpuId()` are the limits.",
    State "ERR_KVM_STATE"
        "The saved state belongs to another type of device or another version"
        "Restore it into a device of the type and version that saved it.",
    Internal "ERR_KVM_INTERNAL"
        "A fault of this library, caught before it could do harm"
        "Please report it with the message.",
}

#[cfg(test)]
mod tests {
    use super::ErrorCode;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique_and_of_one_form() {
        let codes: HashSet<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(codes.len(), ErrorCode::ALL.len());
        for code in codes {
            let name = code.strip_prefix("ERR_KVM_").unwrap_or("");
            assert!(!name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_'), "{code}");
        }
    }

    #[test]
    fn every_code_says_what_it_means_and_what_to_do() {
        for code in ErrorCode::ALL {
            assert!(!code.meaning().is_empty() && !code.meaning().ends_with('.'));
            assert!(code.remedy().ends_with('.'));
        }
    }
}
