/** ELF files as linkers make them: headers, then the bytes of the segments. */

/** What a linker says about a program. */
export interface Program {
  bits: 32 | 64;
  entry: number;
  /** Where the bytes go. */
  address: number;
  bytes: Uint8Array;
  /** Bytes in memory, if more than there are. */
  memorySize?: number;
  /** The entry of a PVH note. */
  pvhEntry?: number;
  /** `e_machine`; by default that of `bits` on x86. */
  machine?: number;
}

const EM_386 = 3;
const EM_X86_64 = 62;
const PT_LOAD = 1;
const PT_NOTE = 4;
/** Xen's `elfnote.h`. */
const XEN_ELFNOTE_PHYS32_ENTRY = 18;

/** Where an ELF64 and an ELF32 program header have their fields. */
const FIELDS = {
  64: { offset: 8, vaddr: 16, paddr: 24, filesz: 32, memsz: 40, size: 56 },
  32: { offset: 4, vaddr: 8, paddr: 12, filesz: 16, memsz: 20, size: 32 },
} as const;

function noteOf(entry: number): Uint8Array {
  const note = Buffer.alloc(20);
  note.writeUInt32LE(4, 0); // the name's length
  note.writeUInt32LE(4, 4); // the description's
  note.writeUInt32LE(XEN_ELFNOTE_PHYS32_ENTRY, 8);
  note.write('Xen\0', 12);
  note.writeUInt32LE(entry, 16);
  return note;
}

/** The file of a program. */
export function elfFile({ bits, entry, address, bytes, ...rest }: Program): Uint8Array {
  const wide = bits === 64;
  const fields = FIELDS[bits];
  const headerSize = wide ? 64 : 52;
  const segments = [{ type: PT_LOAD, address, bytes, memorySize: rest.memorySize ?? bytes.length }];
  if (rest.pvhEntry !== undefined) {
    const note = noteOf(rest.pvhEntry);
    segments.push({ type: PT_NOTE, address: 0, bytes: note, memorySize: note.length });
  }
  const start = headerSize + segments.length * fields.size;
  const file = Buffer.alloc(start);
  const word = (at: number, value: number): void =>
    void (wide ? file.writeBigUInt64LE(BigInt(value), at) : file.writeUInt32LE(value, at));
  file.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1]);
  file.writeUInt16LE(2, 16); // ET_EXEC
  file.writeUInt16LE(rest.machine ?? (wide ? EM_X86_64 : EM_386), 18);
  file.writeUInt32LE(1, 20);
  word(24, entry);
  word(wide ? 32 : 28, headerSize); // e_phoff
  file.writeUInt16LE(headerSize, wide ? 52 : 40);
  file.writeUInt16LE(fields.size, wide ? 54 : 42);
  file.writeUInt16LE(segments.length, wide ? 56 : 44);
  let offset = start;
  for (const [index, segment] of segments.entries()) {
    const at = headerSize + index * fields.size;
    file.writeUInt32LE(segment.type, at);
    word(at + fields.offset, offset);
    word(at + fields.vaddr, segment.address);
    word(at + fields.paddr, segment.address);
    word(at + fields.filesz, segment.bytes.length);
    word(at + fields.memsz, segment.memorySize);
    offset += segment.bytes.length;
  }
  return Buffer.concat([file, ...segments.map((segment) => segment.bytes)]);
}
