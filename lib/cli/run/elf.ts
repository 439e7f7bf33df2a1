/**
 * The program headers of a bare ELF executable: as much of ELF as it takes to put a program into guest memory and
 * jump to it. Field names and numbers are those of the System V ABI (`elf.h`). The file may come from anywhere:
 * every offset and count in it is checked before it is used, and what is wrong is an ElfError.
 */

const PT_LOAD = 1;
const PT_INTERP = 3;
const ET_EXEC = 2;
const ET_DYN = 3;
const EM_386 = 3;
const EM_X86_64 = 62;
/** e_phnum when there are too many headers to count in 16 bits. */
const PN_XNUM = 0xffff;
/** Guest-physical addresses have at most 52 bits. */
const addressLimit = 2 ** 52;

export type ElfErrorCode =
  | 'ERR_ELF_NOT_ELF'
  | 'ERR_ELF_TRUNCATED'
  | 'ERR_ELF_CLASS'
  | 'ERR_ELF_ENCODING'
  | 'ERR_ELF_MACHINE'
  | 'ERR_ELF_TYPE'
  | 'ERR_ELF_HEADERS'
  | 'ERR_ELF_SEGMENT'
  | 'ERR_ELF_ENTRY';

/** The file is no ELF that can be run bare; `code` says what about it. */
export class ElfError extends Error {
  readonly code: ElfErrorCode;

  constructor(code: ElfErrorCode, message: string) {
    super(message);
    this.name = 'ElfError';
    this.code = code;
  }
}

export interface ElfSegment {
  /** Where it goes, guest-physical (p_paddr). */
  readonly address: number;
  /** Bytes in memory; what goes beyond `bytes` is zero (.bss). */
  readonly memorySize: number;
  /** The bytes in the file: a window over the input, not a copy. */
  readonly bytes: Uint8Array;
}

export interface ElfImage {
  readonly class: 32 | 64;
  /** Where to start, guest-physical. */
  readonly entry: number;
  /** In ascending order of address, never overlapping. */
  readonly segments: readonly ElfSegment[];
}

/** Byte offsets of the fields that differ between the classes. */
const layouts = {
  32: {
    headerSize: 52,
    phentsize: 32,
    header: { phoff: 28, phentsize: 42, phnum: 44 },
    program: { offset: 4, vaddr: 8, paddr: 12, filesz: 16, memsz: 20 },
  },
  64: {
    headerSize: 64,
    phentsize: 56,
    header: { phoff: 32, phentsize: 54, phnum: 56 },
    program: { offset: 8, vaddr: 16, paddr: 24, filesz: 32, memsz: 40 },
  },
} as const;

/** Whether the bytes begin as an ELF file does. */
export function isElf(bytes: Uint8Array): boolean {
  return (
    bytes.length >= 4 && bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46
  );
}

interface RawSegment extends ElfSegment {
  readonly virtualAddress: bigint;
}

/**
 * Reads the program headers.
 *
 * @param file - the whole file
 * @throws ElfError when it is no static little-endian x86 executable, or lies about itself
 */
export function parseElf(file: Uint8Array): ElfImage {
  if (!isElf(file))
    throw new ElfError('ERR_ELF_NOT_ELF', 'not an ELF file: it does not begin with 7f 45 4c 46');
  const elfClass = classOf(file);
  const layout = layouts[elfClass];
  if (file.length < layout.headerSize) {
    throw new ElfError(
      'ERR_ELF_TRUNCATED',
      `the ELF header is cut off: ${file.length} of ${layout.headerSize} bytes`,
    );
  }
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  checkKind(view, elfClass);
  const word = (at: number): bigint =>
    elfClass === 64 ? view.getBigUint64(at, true) : BigInt(view.getUint32(at, true));

  const headers = programHeaders(view, elfClass, word(layout.header.phoff));
  const segments: RawSegment[] = [];
  for (const at of headers) {
    const type = view.getUint32(at, true);
    if (type === PT_INTERP) {
      throw new ElfError('ERR_ELF_TYPE', 'it wants a dynamic loader (PT_INTERP): link it statically');
    }
    if (type === PT_LOAD) {
      const field = (name: keyof typeof layout.program): bigint => word(at + layout.program[name]);
      const segment = loadable(file, field('offset'), field('filesz'), field('paddr'), field('memsz'));
      if (segment.memorySize > 0) segments.push({ ...segment, virtualAddress: field('vaddr') });
    }
  }
  if (segments.length === 0)
    throw new ElfError('ERR_ELF_SEGMENT', 'it has nothing to load (no PT_LOAD with a size)');
  segments.sort((a, b) => a.address - b.address);
  checkOverlaps(segments);
  return {
    class: elfClass,
    entry: physicalEntry(segments, word(24)),
    segments: segments.map(({ address, memorySize, bytes }) => ({ address, memorySize, bytes })),
  };
}

function classOf(file: Uint8Array): 32 | 64 {
  const [elfClass, encoding, version] = file.subarray(4, 7);
  if (elfClass === undefined || encoding === undefined || version === undefined) {
    throw new ElfError('ERR_ELF_TRUNCATED', `the ELF identification is cut off: ${file.length} bytes`);
  }
  if (elfClass !== 1 && elfClass !== 2) {
    throw new ElfError('ERR_ELF_CLASS', `ELF class ${elfClass} is neither 32 bits (1) nor 64 bits (2)`);
  }
  if (encoding !== 1)
    throw new ElfError('ERR_ELF_ENCODING', `ELF data encoding ${encoding} is not little-endian (1)`);
  if (version !== 1) throw new ElfError('ERR_ELF_ENCODING', `ELF version ${version} is not 1`);
  return elfClass === 1 ? 32 : 64;
}

function checkKind(view: DataView, elfClass: 32 | 64): void {
  const machine = view.getUint16(18, true);
  const wanted = elfClass === 64 ? EM_X86_64 : EM_386;
  if (machine !== wanted) {
    throw new ElfError(
      'ERR_ELF_MACHINE',
      `a ${elfClass}-bit ELF for machine ${machine}; only ${wanted} (${elfClass === 64 ? 'x86-64' : 'i386'}) runs here`,
    );
  }
  const type = view.getUint16(16, true);
  if (type === ET_DYN) {
    throw new ElfError(
      'ERR_ELF_TYPE',
      'it is position-independent (ET_DYN): link it with -no-pie for a fixed address',
    );
  }
  if (type !== ET_EXEC) throw new ElfError('ERR_ELF_TYPE', `ELF type ${type} is no executable (${ET_EXEC})`);
}

/** The file offset of each program header. */
function programHeaders(view: DataView, elfClass: 32 | 64, offset: bigint): number[] {
  const { header, phentsize } = layouts[elfClass];
  const count = view.getUint16(header.phnum, true);
  const size = view.getUint16(header.phentsize, true);
  if (count === 0 || count === PN_XNUM) {
    throw new ElfError('ERR_ELF_HEADERS', `it has ${count === 0 ? 'no' : 'more than 65534'} program headers`);
  }
  if (size !== phentsize) {
    throw new ElfError(
      'ERR_ELF_HEADERS',
      `its program headers have ${size} bytes each; class ${elfClass} has ${phentsize}`,
    );
  }
  if (offset + BigInt(count * size) > BigInt(view.byteLength)) {
    throw new ElfError(
      'ERR_ELF_TRUNCATED',
      `its program headers lie beyond the end of the file (offset ${offset})`,
    );
  }
  return Array.from({ length: count }, (_, index) => Number(offset) + index * size);
}

function loadable(
  file: Uint8Array,
  offset: bigint,
  filesz: bigint,
  paddr: bigint,
  memsz: bigint,
): ElfSegment {
  const where = `the segment for 0x${paddr.toString(16)}`;
  if (filesz > memsz)
    throw new ElfError('ERR_ELF_SEGMENT', `${where} has more bytes in the file than in memory`);
  if (offset + filesz > BigInt(file.length)) {
    throw new ElfError(
      'ERR_ELF_TRUNCATED',
      `${where} lies beyond the end of the file (offset ${offset}, ${filesz} bytes)`,
    );
  }
  if (paddr + memsz > BigInt(addressLimit)) {
    throw new ElfError('ERR_ELF_SEGMENT', `${where} ends beyond the 52 bits of a guest-physical address`);
  }
  return {
    address: Number(paddr),
    memorySize: Number(memsz),
    bytes: file.subarray(Number(offset), Number(offset) + Number(filesz)),
  };
}

function checkOverlaps(sorted: readonly ElfSegment[]): void {
  for (let index = 1; index < sorted.length; index++) {
    const before = sorted[index - 1]!;
    if (before.address + before.memorySize > sorted[index]!.address) {
      throw new ElfError(
        'ERR_ELF_SEGMENT',
        `two segments overlap at 0x${sorted[index]!.address.toString(16)}`,
      );
    }
  }
}

/**
 * The entry as an address in memory. e_entry is virtual; a program linked high but loaded low starts where its
 * segment was loaded, because paging does not map the high addresses yet.
 */
function physicalEntry(segments: readonly RawSegment[], entry: bigint): number {
  const within = (start: bigint, size: number): boolean => entry >= start && entry < start + BigInt(size);
  if (segments.some(({ address, memorySize }) => within(BigInt(address), memorySize))) return Number(entry);
  const home = segments.find(({ virtualAddress, memorySize }) => within(virtualAddress, memorySize));
  if (home === undefined) {
    throw new ElfError('ERR_ELF_ENTRY', `its entry 0x${entry.toString(16)} lies in none of its segments`);
  }
  return home.address + Number(entry - home.virtualAddress);
}
