//! The capabilities as a constant object.

use std::fmt::Write as _;

use vmhatch_vmm::layout::{Capability, capabilities};

/// Whose capability it is, by its kernel name, if it has no meaning on x86_64.
fn architecture(kernel: &str) -> Option<&'static str> {
    let name = kernel.trim_start_matches("KVM_CAP_");
    [
        ("PPC_", "PowerPC"),
        ("SPAPR_", "PowerPC"),
        ("SW_TLB", "PowerPC"),
        ("IRQ_MPIC", "PowerPC"),
        ("IRQ_XICS", "PowerPC"),
        ("S390_", "s390x"),
        ("ARM_", "Arm"),
        ("COUNTER_OFFSET", "Arm"),
        ("MIPS_", "MIPS"),
    ]
    .into_iter()
    .find_map(|(prefix, architecture)| name.starts_with(prefix).then_some(architecture))
}

fn capability_doc(capability: &Capability) -> String {
    let Capability { kernel, doc, .. } = capability;
    match (doc.is_empty(), architecture(kernel)) {
        (false, _) => format!("{doc}. `{kernel}`."),
        (true, Some(architecture)) => format!("{architecture} only. `{kernel}`."),
        (true, None) => format!("`{kernel}`."),
    }
}

/// lib/generated/capabilities.ts.
pub fn file() -> String {
    let mut out = String::from(
        "/**\n \
         * What a kernel and processor may or may not offer: the argument of `checkExtension()`.\n \
         * Named as in the Rust crate kvm-ioctls, or after the constant of `<linux/kvm.h>`, which each entry names.\n \
         */\n\
         export const Cap = {\n",
    );
    for capability in capabilities() {
        let doc = capability_doc(capability);
        let _ = writeln!(out, "  /** {doc} */\n  {}: {},", capability.name, capability.number);
    }
    out.push_str(
        "} as const;\n\n/** The number of a capability that `Cap` names. */\nexport type Cap = (typeof Cap)[keyof typeof Cap];\n",
    );
    out
}
