//! Real kernels, if their paths are given: VMHATCH_KERNEL and VMHATCH_CLOUD_KERNEL.

use crate::support::*;
use vmhatch_boot::x86_64::{Plan, identify, load};

#[test]
fn a_real_kernel_is_loaded_by_every_protocol_that_it_has() {
    for variable in ["VMHATCH_KERNEL", "VMHATCH_CLOUD_KERNEL"] {
        let Some(path) = std::env::var_os(variable) else {
            println!("skipped: {variable} is not set");
            continue;
        };
        let image = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let identity = identify(&image).unwrap();
        println!("{}: {}", path.display(), identity.name);
        for protocol in identity.protocols {
            let memory = ram(256);
            let plan = Plan {
                protocol: Some(protocol),
                initrd: Some(&[1; 4096]),
                command_line: b"console=ttyS0",
                ..Plan::new(&image)
            };
            let loaded = load(&memory, &plan).unwrap_or_else(|error| panic!("{protocol}: {error}"));
            println!("{protocol}: {:x?}", loaded.entry);
            check(&memory, &plan, &loaded);
        }
        // Cut off, it is no kernel any more.
        for length in [0, 0x1f0, 0x264, 4096, 1 << 20] {
            assert!(load(&ram(256), &Plan::new(&image[..length])).is_err(), "{length}");
        }
    }
}
