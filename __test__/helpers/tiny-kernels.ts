/** Kernels of a few bytes with good headers: they are loaded, and never run. Addresses as Linux has them. */

/** Where a Linux kernel for x86-64 wants to be: `CONFIG_PHYSICAL_START`. */
const LOAD_ADDRESS = 0x100_0000;
/** The bytes of code. */
const SIZE = 0x1000;

/** Writes a field of `size` bytes, little-endian. */
type Put = (offset: number, size: 1 | 2 | 4 | 8, value: number) => void;

function image(length: number, write: (put: Put, bytes: Uint8Array) => void): Uint8Array {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  const put: Put = (offset, size, value) => {
    if (size === 8) view.setBigUint64(offset, BigInt(value), true);
    else if (size === 4) view.setUint32(offset, value, true);
    else if (size === 2) view.setUint16(offset, value, true);
    else view.setUint8(offset, value);
  };
  write(put, bytes);
  return bytes;
}

/** A bzImage without a payload. Field names: Linux, Documentation/arch/x86/boot.rst. */
export function tinyBzImage(): Uint8Array {
  const setup = 2 * 512;
  return image(setup + SIZE, (put, bytes) => {
    put(0x1f1, 1, 1); // setup_sects
    put(0x1f4, 4, SIZE / 16); // syssize
    put(0x1fe, 2, 0xaa55); // boot_flag
    put(0x200, 2, 0x6aeb); // jump
    bytes.set(Buffer.from('HdrS'), 0x202); // header
    put(0x206, 2, 0x020f); // version
    put(0x211, 1, 1); // loadflags: LOADED_HIGH
    put(0x22c, 4, 0x7fff_ffff); // initrd_addr_max
    put(0x230, 4, 0x20_0000); // kernel_alignment
    put(0x236, 2, 1); // xloadflags: XLF_KERNEL_64
    put(0x238, 4, 2047); // cmdline_size
    put(0x258, 8, LOAD_ADDRESS); // pref_address
    put(0x260, 4, 2 * SIZE); // init_size
  });
}

/** An ELF64 file of one segment, with the PVH note if asked for. Field names: System V ABI. */
export function tinyElf({ pvh }: { pvh: boolean }): Uint8Array {
  const headers = 0x40;
  const notes = 0x100;
  const code = 0x1000;
  return image(code + SIZE, (put, bytes) => {
    bytes.set(Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1)); // ELF, 64 bits, little-endian, version 1
    put(0x10, 2, 2); // e_type: ET_EXEC
    put(0x12, 2, 62); // e_machine: EM_X86_64
    put(0x14, 4, 1); // e_version
    put(0x18, 8, LOAD_ADDRESS); // e_entry
    put(0x20, 8, headers); // e_phoff
    put(0x34, 2, 0x40); // e_ehsize
    put(0x36, 2, 0x38); // e_phentsize
    put(0x38, 2, pvh ? 2 : 1); // e_phnum
    put(headers, 4, 1); // p_type: PT_LOAD
    put(headers + 0x08, 8, code); // p_offset
    put(headers + 0x18, 8, LOAD_ADDRESS); // p_paddr
    put(headers + 0x20, 8, SIZE); // p_filesz
    put(headers + 0x28, 8, 2 * SIZE); // p_memsz
    if (!pvh) return;
    put(headers + 0x38, 4, 4); // p_type: PT_NOTE
    put(headers + 0x38 + 0x08, 8, notes);
    put(headers + 0x38 + 0x20, 8, 20);
    put(headers + 0x38 + 0x28, 8, 20);
    put(notes, 4, 4); // n_namesz
    put(notes + 4, 4, 4); // n_descsz
    put(notes + 8, 4, 18); // n_type: XEN_ELFNOTE_PHYS32_ENTRY
    bytes.set(Buffer.from('Xen\0'), notes + 12);
    put(notes + 16, 4, LOAD_ADDRESS);
  });
}

/** A Multiboot image that is no ELF file: its header says where it goes. Field names: Multiboot 0.6.96, 3.1. */
export function tinyMultiboot(): Uint8Array {
  const magic = 0x1bad_b002;
  const flags = 0x1_0003;
  return image(SIZE, (put) => {
    put(0, 4, magic);
    put(4, 4, flags);
    put(8, 4, -(magic + flags) >>> 0); // checksum
    put(12, 4, LOAD_ADDRESS); // header_addr
    put(16, 4, LOAD_ADDRESS); // load_addr
    put(28, 4, LOAD_ADDRESS + 0x20); // entry_addr
  });
}
