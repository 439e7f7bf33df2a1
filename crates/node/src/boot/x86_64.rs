//! Plans and entries of x86_64.

use super::{NativeAcpiDevice, NativeBootPlan, NativeEntry, image, protocol, wrong};
use vmhatch_vmm::Error;
use vmhatch_vmm::boot::{
    AcpiConfig, AcpiDevice, Entry, Flat, FlatMode, ImageModule, Interrupt, MachinePlan, acpi_power_config,
};

/// The plan as the core takes it.
pub(super) fn machine_plan(plan: NativeBootPlan) -> std::result::Result<MachinePlan, Error> {
    let mode = match plan.flat_mode.as_str() {
        "real" => FlatMode::Real,
        "protected" => FlatMode::Protected,
        "long" => FlatMode::Long,
        _ => return Err(wrong("mode")),
    };
    Ok(MachinePlan {
        kernel: image(plan.kernel),
        protocol: protocol(plan.protocol)?,
        initrd: plan.initrd.map(image),
        command_line: plan.cmdline.into_bytes(),
        modules: plan
            .modules
            .into_iter()
            .map(|mut module| ImageModule {
                command_line: module.cmdline.take().unwrap_or_default().into_bytes(),
                image: image(module),
            })
            .collect(),
        flat: Flat { address: plan.flat_address as u64, entry: plan.flat_entry as u64, mode },
        cpus: plan.cpus,
        acpi: plan.acpi.map(|devices| {
            let devices = devices.into_iter().map(acpi_device).collect();
            AcpiConfig { devices, ..acpi_power_config(plan.power_port as u16) }
        }),
        mp_table: true,
    })
}

fn acpi_device(device: NativeAcpiDevice) -> AcpiDevice {
    let mut name = [b'_'; 4];
    for (target, byte) in name.iter_mut().zip(device.name.bytes()) {
        *target = byte;
    }
    let pair = |numbers: &[f64]| match *numbers {
        [first, length] => vec![(first as u64, length as u64)],
        _ => Vec::new(),
    };
    let ports = match *device.io.as_slice() {
        [first, length] => vec![(first as u16, length as u16)],
        _ => Vec::new(),
    };
    AcpiDevice {
        name,
        hid: device.hid,
        uid: device.uid,
        mmio: pair(&device.mmio),
        io: ports,
        interrupts: device.interrupt.map(Interrupt::edge).into_iter().collect(),
    }
}

/// How the first vCPU begins.
pub(super) fn entry(entry: Entry) -> NativeEntry {
    let none = NativeEntry::of("reset");
    match entry {
        Entry::Long { rip, rsi, rsp, cr3, gdt } => NativeEntry {
            mode: "long".to_owned(),
            rip: rip as f64,
            rsi: rsi as f64,
            rsp: rsp as f64,
            cr3: cr3 as f64,
            gdt_base: gdt.base as f64,
            gdt_limit: u32::from(gdt.limit),
            ..none
        },
        Entry::Protected { eip, eax, ebx, gdt } => NativeEntry {
            mode: "protected".to_owned(),
            rip: f64::from(eip),
            rax: f64::from(eax),
            rbx: f64::from(ebx),
            gdt_base: gdt.base as f64,
            gdt_limit: u32::from(gdt.limit),
            ..none
        },
        Entry::Real { selector, offset } => NativeEntry {
            mode: "real".to_owned(),
            rip: f64::from(offset),
            cs_base: u32::from(selector) << 4,
            ..none
        },
        Entry::Reset => none,
    }
}
