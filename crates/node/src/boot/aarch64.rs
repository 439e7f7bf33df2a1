//! Plans and entries of aarch64.

use super::{NativeBootPlan, NativeEntry, NativeFdtDevice, image, protocol, wrong};
use vmhatch_vmm::Error;
use vmhatch_vmm::boot::{Entry, FdtConfig, FdtDevice, Flat, Gic, Interrupt, MachinePlan, SerialPort};

/// The plan as the core takes it.
pub(super) fn machine_plan(plan: NativeBootPlan) -> Result<MachinePlan, Error> {
    let fdt = plan.fdt.ok_or_else(|| wrong("device tree"))?;
    Ok(MachinePlan {
        kernel: image(plan.kernel),
        protocol: protocol(plan.protocol)?,
        initrd: plan.initrd.map(image),
        command_line: plan.cmdline.into_bytes(),
        flat: Flat { address: plan.flat_address as u64, entry: plan.flat_entry as u64 },
        fdt: FdtConfig {
            gic: fdt.has_its.map_or(Gic::V2, |has_its| Gic::V3 { has_its }),
            serial: vec![SerialPort::Ns16550a; fdt.serial_ports as usize],
            has_rtc: true,
            has_pvpanic: true,
            has_boot_timer: true,
            rng_seed: fdt.rng_seed.to_vec(),
            devices: fdt.devices.into_iter().map(device).collect(),
            ..FdtConfig::new(plan.cpus)
        },
    })
}

fn device(device: NativeFdtDevice) -> FdtDevice {
    let reg = match *device.mmio.as_slice() {
        [first, length] => vec![(first as u64, length as u64)],
        _ => Vec::new(),
    };
    FdtDevice {
        name: device.name,
        compatible: device.compatible,
        reg,
        interrupts: device.interrupt.map(Interrupt::edge).into_iter().collect(),
        is_dma_coherent: true,
    }
}

/// How the first vCPU begins.
pub(super) fn entry(entry: Entry) -> NativeEntry {
    NativeEntry { rip: entry.pc as f64, x0: entry.x0 as f64, ..NativeEntry::of("el1") }
}
