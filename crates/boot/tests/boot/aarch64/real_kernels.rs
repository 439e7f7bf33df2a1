//! A real kernel, if its path is given: VMHATCH_ARM64_KERNEL.

use super::support::*;
use crate::support::*;
use vmhatch_boot::aarch64::fdt::{Gic, SerialPort};
use vmhatch_boot::aarch64::{FdtConfig, Plan, identify, load};

#[test]
fn a_real_kernel_is_loaded_packed_or_not() {
    let Some(path) = std::env::var_os("VMHATCH_ARM64_KERNEL") else {
        println!("skipped: VMHATCH_ARM64_KERNEL is not set");
        return;
    };
    let image = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    println!("{}: {}", path.display(), identify(&image).unwrap().name);
    let config = FdtConfig {
        gic: Gic::V3 { has_its: true },
        serial: vec![SerialPort::Pl011, SerialPort::Ns16550a],
        has_rtc: true,
        has_pmu: true,
        ..FdtConfig::new(2)
    };
    let packed = gzip(&image);
    for kernel in [image.clone(), zboot(b"gzip", &packed), packed] {
        let memory = arm_ram(1024);
        let plan = Plan {
            initrd: Some(&[1; 4096]),
            command_line: b"console=ttyAMA0",
            ..Plan::new(&kernel, &config)
        };
        let (loaded, _) = loaded(&memory, &plan);
        println!("{:x?}", loaded);
        let (start, length) = placed_at(&loaded, "kernel");
        assert_eq!(bytes(&memory, start, length as usize), image[..length as usize]);
    }
    // Cut off, it is no kernel any more.
    for length in [0, 0x38, 0x3f] {
        assert!(load(&arm_ram(64), &Plan::new(&image[..length], &config)).is_err(), "{length}");
    }
}
