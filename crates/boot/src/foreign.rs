//! What images look like that are none for this machine: words for messages.

use crate::BootError;
use object::Endianness;
use object::elf;

/// A file of a known kind that is no kernel image.
const KNOWN: [(&[u8], &str); 14] = [
    (b"\x1f\x8b", "a gzip file; unpack it first"),
    (b"\xfd7zXZ\0", "an xz file; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd file; unpack it first"),
    (b"\x02\x21\x4c\x18", "an lz4 file; unpack it first"),
    (b"\x04\x22\x4d\x18", "an lz4 file; unpack it first"),
    (b"BZh", "a bzip2 file; unpack it first"),
    (b"070701", "a cpio archive, as an initrd is"),
    (b"!<arch>\n", "an archive, as a Debian package is; unpack it first"),
    (b"\xed\xab\xee\xdb", "an RPM package; unpack it first"),
    (b"QFI\xfb", "a qcow2 disk image"),
    (b"\xd0\x0d\xfe\xed", "a device tree"),
    (b"\xca\xfe\xba\xbe", "a Mach-O file"),
    (b"#!", "a script"),
    (b"MZ", "a PE file, as EFI programs are"),
];

/// Linux's Documentation/arch/arm64/booting.rst and arch/riscv/boot-image-header.rst: a magic at 0x38 of the header.
pub(crate) fn linux_image_machine(bytes: &[u8]) -> Option<&'static str> {
    match bytes.get(0x38..0x3c)? {
        b"ARM\x64" => Some("aarch64"),
        b"RSC\x05" => Some("riscv64"),
        _ => None,
    }
}

/// The error for bytes that are no kernel; `neither` says what was looked for.
pub(crate) fn no_kernel(bytes: &[u8], neither: &str) -> BootError {
    if bytes.is_empty() {
        return BootError::Image { found: "the image is empty".to_owned() };
    }
    let found = match KNOWN.iter().find(|(start, _)| bytes.starts_with(start)) {
        Some((_, name)) => format!("the image is {name}"),
        None => format!(
            "the image is {}: {neither}",
            if bytes.iter().all(|byte| *byte == bytes[0]) {
                format!("{} bytes of {:#04x}", bytes.len(), bytes[0])
            } else {
                let start: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
                format!("{} bytes that start with {}", bytes.len(), start.join(" "))
            }
        ),
    };
    BootError::Image { found }
}

/// An ELF file of that kind.
pub(crate) fn elf_name(machine: elf::Machine, is_64: bool, endian: Endianness) -> String {
    let name = match machine {
        elf::EM_386 => "i386",
        elf::EM_X86_64 => "x86_64",
        elf::EM_AARCH64 => "aarch64",
        elf::EM_ARM => "arm",
        elf::EM_RISCV => "riscv",
        elf::EM_PPC64 => "ppc64",
        elf::EM_PPC => "ppc",
        elf::EM_S390 => "s390",
        elf::EM_MIPS => "mips",
        elf::EM_LOONGARCH => "loongarch",
        _ => "",
    };
    let bits = if is_64 { 64 } else { 32 };
    let order = if endian == Endianness::Big { ", big-endian" } else { "" };
    if name.is_empty() {
        format!("an ELF{bits} file for machine number {}{order}", machine.0)
    } else {
        format!("an ELF{bits} file for {name}{order}")
    }
}
