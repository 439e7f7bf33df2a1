//! Filling a machine's memory: images from files and bytes, and what is wrong with them told by field.

mod support;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::{ends, kvm, machine, port, region};
use vmhatch_vmm::boot::{
    Entry, Flat, FlatMode, Image, ImageModule, MachinePlan, Protocol, acpi_power_config,
};
use vmhatch_vmm::{ErrorCode, IsolatePort, VmCore};

/// A file of a test's, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("vmhatch-boot-{}-{name}", std::process::id()));
        fs::write(&path, bytes).unwrap();
        Self(path)
    }

    fn image(&self) -> Image {
        Image::Path(self.0.clone())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A plan for a flat image at 0x1000, which needs no tables.
fn flat(kernel: Image) -> MachinePlan {
    MachinePlan {
        kernel,
        protocol: Some(Protocol::Flat),
        initrd: None,
        command_line: Vec::new(),
        modules: Vec::new(),
        flat: Flat { address: 0x1000, entry: 0x1000, mode: FlatMode::Real },
        cpus: 1,
        acpi: None,
        mp_table: false,
    }
}

/// A machine with 2 MiB, which is enough for all tables.
fn roomy(port: &Arc<IsolatePort>) -> Option<Arc<VmCore>> {
    let vm = kvm()?.create_vm(0, Arc::clone(port)).unwrap();
    vm.map_memory(&region(0, 0x20_0000)).unwrap();
    Some(vm)
}

fn bytes(vm: &VmCore, at: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    vm.memory.read(at, &mut bytes).unwrap();
    bytes
}

/// The message of the boot error that a plan gives.
fn refused(vm: &VmCore, plan: &MachinePlan) -> String {
    let error = vm.boot(plan).unwrap_err();
    assert_eq!(error.code, ErrorCode::Boot, "{}", error.message);
    error.message
}

#[test]
fn a_file_and_its_bytes_are_the_same_kernel() {
    let (port, _) = port();
    let file = Scratch::new("same", b"program");
    for image in [file.image(), Image::Bytes(b"program".to_vec())] {
        let Some(vm) = machine(&port) else { return };
        let loaded = vm.boot(&flat(image)).unwrap();
        assert_eq!(loaded.protocol, Protocol::Flat);
        assert_eq!(loaded.entry, Entry::Real { selector: 0, offset: 0x1000 });
        assert_eq!(loaded.placed.len(), 1);
        assert_eq!(bytes(&vm, 0x1000, 8), b"program\0");
    }
}

#[test]
fn tables_of_the_power_device_are_placed_with_the_kernel() {
    let (port, _) = port();
    let Some(vm) = roomy(&port) else { return };
    let config = acpi_power_config(0x600);
    let plan = MachinePlan { acpi: Some(config), mp_table: true, cpus: 2, ..flat(Image::Bytes(vec![0xf4])) };
    let loaded = vm.boot(&plan).unwrap();
    let names: Vec<&str> = loaded.placed.iter().map(|part| part.name).collect();
    for name in ["flat image", "MP table", "ACPI RSDP", "ACPI FADT", "ACPI MADT"] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    let fadt = loaded.placed.iter().find(|part| part.name == "ACPI FADT").unwrap();
    let fadt = bytes(&vm, fadt.start, fadt.length as usize);
    // ACPI 6.5, 5.2.9: the reset register's address is at 120, its value at 128, the sleep control register's at 248.
    assert_eq!(u64::from_le_bytes(fadt[120..128].try_into().unwrap()), 0x602);
    assert_eq!(fadt[128], 0x42);
    assert_eq!(u64::from_le_bytes(fadt[248..256].try_into().unwrap()), 0x600);
}

#[test]
fn a_file_that_cannot_be_read_is_told_with_its_field_and_the_systems_reason() {
    let (port, _) = port();
    let Some(vm) = machine(&port) else { return };
    let none = Image::Path(Path::new("/nowhere/kernel").to_owned());
    let kernel = Image::Bytes(vec![0xf4]);
    assert!(refused(&vm, &flat(none.clone())).starts_with("kernel: /nowhere/kernel: No such file"));
    let plan = MachinePlan { initrd: Some(none.clone()), ..flat(kernel.clone()) };
    assert!(refused(&vm, &plan).starts_with("initrd: /nowhere/kernel: "));
    let module = ImageModule { image: none, command_line: Vec::new() };
    let plan = MachinePlan { modules: vec![module], ..flat(kernel) };
    assert!(refused(&vm, &plan).starts_with("modules: /nowhere/kernel: "));
    let folder = Image::Path(std::env::temp_dir());
    assert!(refused(&vm, &flat(folder)).contains("directory"));
}

#[test]
fn no_file_takes_more_memory_than_the_machine_has() {
    let (port, _) = port();
    let Some(vm) = machine(&port) else { return };
    // A file without end, a sparse one of a terabyte, and one with a byte too many.
    let endless = Image::Path(Path::new("/dev/zero").to_owned());
    assert!(refused(&vm, &flat(endless)).ends_with("has more bytes than the machine's memory, 32768"));
    let sparse = Scratch::new("sparse", b"");
    File::options().write(true).open(&sparse.0).unwrap().set_len(1 << 40).unwrap();
    assert!(refused(&vm, &flat(sparse.image())).ends_with("than the machine's memory, 32768"));
    let larger = Scratch::new("larger", &[0xf4; 0x8001]);
    assert!(refused(&vm, &flat(larger.image())).ends_with("than the machine's memory, 32768"));
    // One that is as large as the memory is read, and then does not fit at its address.
    let whole = Scratch::new("whole", &[0xf4; 0x8000]);
    assert!(refused(&vm, &flat(whole.image())).starts_with("memory: flat image needs 32768 bytes"));
}

#[test]
fn a_machine_without_memory_or_a_closed_one_boots_nothing() {
    let (port, _) = port();
    let Some(kvm) = kvm() else { return };
    let vm = kvm.create_vm(0, Arc::clone(&port)).unwrap();
    let plan = flat(Image::Bytes(vec![0xf4]));
    assert_eq!(vm.boot(&plan).unwrap_err().code, ErrorCode::MemoryBounds);
    vm.close();
    assert_eq!(vm.boot(&plan).unwrap_err().code, ErrorCode::Closed);
}

#[test]
fn a_machine_that_is_closed_meanwhile_says_so_or_was_quicker() {
    let (port, _) = port();
    let file = Scratch::new("meanwhile", &vec![0x90; 0x10_0000]);
    for round in 0..50u32 {
        let Some(vm) = roomy(&port) else { return };
        let image = file.image();
        let boots = Arc::clone(&vm);
        ends("the boot", move || {
            let booting = std::thread::spawn(move || {
                let plan = MachinePlan {
                    flat: Flat { address: 0x10_0000, entry: 0x10_0000, mode: FlatMode::Protected },
                    ..flat(image)
                };
                boots.boot(&plan).map(|loaded| loaded.placed.len())
            });
            std::thread::sleep(std::time::Duration::from_micros(u64::from(round) * 40));
            vm.close();
            match booting.join().unwrap() {
                Ok(parts) => assert_eq!(parts, 2, "the image and its descriptors"),
                Err(error) => assert_eq!(error.code, ErrorCode::Closed, "{}", error.message),
            }
        });
    }
}
