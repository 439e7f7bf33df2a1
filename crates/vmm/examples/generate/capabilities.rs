//! The capabilities as a constant object.

use std::fmt::Write as _;

use vmhatch_vmm::layout::{Architecture, Capability, capabilities};

fn capability_doc(capability: &Capability) -> String {
    let Capability { kernel, architecture, doc, .. } = capability;
    let whose = match architecture {
        Architecture::All => "",
        Architecture::X86 => "x86_64 only. ",
        Architecture::Arm => "aarch64 only. ",
        Architecture::Ppc => "PowerPC only. ",
        Architecture::S390 => "s390x only. ",
        Architecture::Mips => "MIPS only. ",
        Architecture::Riscv => "RISC-V only. ",
    };
    format!("{doc}. {whose}`{kernel}`.")
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
