//! Writes the ACPI tables of a machine as files, for ACPICA's tools: `iasl -d *.dat` shows what they say.
//!
//! `cargo run -p vmhatch-boot --example dump-acpi -- DIRECTORY [CPUS]`

use std::error::Error;
use std::path::Path;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};
use vmhatch_boot::acpi::{self, AcpiConfig, Device, Interrupt, Reset, Sleep};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("usage: dump-acpi DIRECTORY [CPUS]")?;
    let cpus = arguments.next().map_or(Ok(2), |cpus| cpus.parse())?;
    let memory = GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(0), 0x10_0000)])?;
    for placed in acpi::build(&memory, &config(), cpus)?.placed {
        let mut bytes = vec![0; usize::try_from(placed.length)?];
        memory.read_slice(&mut bytes, GuestAddress(placed.start))?;
        let name = placed.name.replace("ACPI ", "").to_lowercase();
        std::fs::write(Path::new(&directory).join(format!("{name}.dat")), bytes)?;
        println!("{name}: {} bytes at {:#x}", placed.length, placed.start);
    }
    Ok(())
}

/// One of each kind of resource.
fn config() -> AcpiConfig {
    let device =
        |name: &[u8; 4], hid: &str, uid, mmio: &[(u64, u64)], io: &[(u16, u16)], gsis: &[u32]| Device {
            name: *name,
            hid: hid.into(),
            uid,
            mmio: mmio.to_vec(),
            io: io.to_vec(),
            interrupts: gsis.iter().copied().map(Interrupt::edge).collect(),
        };
    AcpiConfig {
        devices: vec![
            device(b"COM1", "PNP0501", 0, &[], &[(0x3f8, 8)], &[4]),
            device(b"COM2", "PNP0501", 1, &[], &[(0x2f8, 8)], &[3]),
            device(b"KBD_", "PNP0303", 0, &[], &[(0x60, 1), (0x64, 1)], &[1]),
            device(b"RTC_", "PNP0B00", 0, &[], &[(0x70, 2)], &[8]),
            device(b"PEVT", "QEMU0001", 0, &[], &[(0x505, 1)], &[]),
            device(b"VR00", "LNRO0005", 0, &[(0xd000_1000, 0x1000)], &[], &[5]),
            device(b"VR01", "LNRO0005", 1, &[(0xd000_2000, 0x1000)], &[], &[16]),
            device(b"BIG0", "ABCD0123", 7, &[(0x40_0000_0000, 0x1_0000_0000)], &[(0x1000, 0x200)], &[]),
        ],
        reset: Some(Reset { port: 0x602, value: 0x42 }),
        sleep: Some(Sleep { port: 0x600, s5: 5 }),
        has_i8042: true,
        has_cmos_rtc: true,
        ..AcpiConfig::default()
    }
}
