//! The run page, our own pages, and the numbers found in them.

use std::fmt::Write as _;

use vmhatch_vmm::layout::{
    CONTROL_PAGE, EXIT_REASONS, FlagSet, IOCTL_FLAGS, Node, POSTED_PAGE, RUN_FLAGS, RUN_PAGE, STATUS_FLAGS,
    STATUSES,
};

use vmhatch_vmm::{Exchange, VcpuState, VmState};

use crate::naming::{camel, uncapitalised};

/// lib/generated/run-page.ts.
pub fn run_page() -> String {
    object(
        "Offsets in bytes into the run page of a vCPU (`struct kvm_run` on x86_64); `size` is the structure's own",
        "RUN",
        RUN_PAGE,
    ) + "\n"
        + &flags(RUN_FLAGS)
}

/// lib/generated/control-page.ts.
pub fn control_page() -> String {
    let statuses = STATUSES.iter().map(|(name, number)| (uncapitalised(name), *number));
    let flags = STATUS_FLAGS.iter().map(|(name, number)| ((*name).to_owned(), *number));
    [
        numbers("What a step gives back, without its flags: crates/vmm/src/control.rs says more", "STATUS", statuses),
        numbers("Bits that a status can carry", "STATUS_FLAG", flags),
        object(
            "Offsets in bytes into the control page; `counters.reasons` is how many counters `byReason` has",
            "CONTROL",
            CONTROL_PAGE,
        ),
        object(
            "Offsets in bytes into one posted write; entries lie `stride` bytes apart, and `entries` fit the page",
            "POSTED",
            POSTED_PAGE,
        ),
    ]
    .join("\n")
}

/// lib/generated/state-kinds.ts.
pub fn state_kinds() -> String {
    let vcpu = VcpuState::ALL.iter().map(|(name, state)| (uncapitalised(name), *state as u32));
    let exchanges = Exchange::ALL.iter().map(|(name, exchange)| ((*name).to_owned(), *exchange as u32));
    let vm = VmState::ALL.iter().map(|(name, state)| (uncapitalised(name), *state as u32));
    [
        numbers("The structures of a vCPU that one call reads and one writes", "VCPU_STATE", vcpu),
        numbers("The structures of a machine that one call reads and one writes", "VM_STATE", vm),
        numbers(
            "What is done with a structure that changes hands through the control page",
            "EXCHANGE",
            exchanges,
        ),
    ]
    .join("\n")
}

/// lib/generated/flags.ts.
pub fn ioctl_flags() -> String {
    flags(IOCTL_FLAGS)
}

fn numbers(doc: &str, name: &str, entries: impl Iterator<Item = (String, u32)>) -> String {
    let mut out = format!("/** {doc}. */\nexport const {name} = {{\n");
    for (key, number) in entries {
        let _ = writeln!(out, "  {key}: {number},");
    }
    out + "} as const;\n"
}

fn object(doc: &str, name: &str, content: &[Node]) -> String {
    let mut out = format!("/** {doc}. */\nexport const {name} = {{\n");
    nodes(&mut out, content, 1);
    out + "} as const;\n"
}

fn nodes(out: &mut String, content: &[Node], depth: usize) {
    let indent = "  ".repeat(depth);
    for node in content {
        match node {
            Node::Offset(name, offset) => {
                let _ = writeln!(out, "{indent}{name}: {offset},");
            }
            Node::Group(name, inner) => {
                let _ = writeln!(out, "{indent}{name}: {{");
                nodes(out, inner, depth + 1);
                let _ = writeln!(out, "{indent}}},");
            }
        }
    }
}

/// lib/generated/exit-reasons.ts.
pub fn exit_reasons() -> String {
    let mut out = String::from(
        "/** Why a run of the guest ended: `exitReason` of the run page. */\nexport const EXIT_REASONS = {\n",
    );
    for (kernel, number) in EXIT_REASONS {
        let name = camel(&kernel.trim_start_matches("KVM_EXIT_").to_ascii_lowercase());
        let _ = writeln!(out, "  /** `{kernel}` */\n  {name}: {number},");
    }
    out.push_str("} as const;\n");
    out
}

fn flags(sets: &[FlagSet]) -> String {
    let sets = sets.iter().map(|set| {
        let mut out = format!("/** {}. */\nexport const {} = {{\n", set.doc, set.name);
        for (name, kernel, number) in set.values {
            let _ = writeln!(out, "  /** `{kernel}` */\n  {name}: {number},");
        }
        out + "} as const;\n"
    });
    sets.collect::<Vec<_>>().join("\n")
}
