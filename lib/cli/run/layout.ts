import { PAGE, ramRanges as machineRam } from '../../machine/layout-x86.ts';
import { UsageError } from '../usage-error.ts';
import { hex, formatBytes } from '../quantity.ts';
import { cpuStart, tablesSize } from './cpu-mode.ts';
import type { CpuMode, CpuStart } from './cpu-mode.ts';
import { isElf, parseElf } from './elf.ts';

/** A piece of guest RAM. */
export interface RamRange {
  readonly guestAddress: number;
  readonly size: number;
}

/** Bytes that go into RAM before the start. */
export interface Placement {
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** Everything that has to be known to start a program: what goes where, and how the vCPU begins. */
export interface ProgramLayout {
  readonly kind: 'flat' | 'elf';
  readonly mode: CpuMode;
  readonly ram: readonly RamRange[];
  readonly placements: readonly Placement[];
  readonly start: CpuStart;
}

export interface ProgramOptions {
  readonly memory: number;
  /** Default: by the file's first bytes. */
  readonly format?: 'flat' | 'elf';
  readonly load?: number;
  readonly entry?: number;
  readonly mode?: CpuMode;
}

/** The RAM of a machine with that much memory. */
export function ramRanges(memory: number): RamRange[] {
  if (memory < PAGE || memory % PAGE !== 0) {
    throw new UsageError(`--memory: ${memory} bytes; it wants a multiple of 4 KiB, at least one`);
  }
  return machineRam(memory);
}

interface Program {
  readonly kind: 'flat' | 'elf';
  readonly entry: number;
  readonly mode: CpuMode;
  readonly segments: readonly {
    readonly address: number;
    readonly memorySize: number;
    readonly bytes: Uint8Array;
  }[];
}

function readProgram(image: Uint8Array, options: ProgramOptions): Program {
  if ((options.format ?? (isElf(image) ? 'elf' : 'flat')) === 'flat') {
    const address = options.load ?? 0x1000;
    return {
      kind: 'flat',
      entry: options.entry ?? address,
      mode: options.mode ?? 'real',
      segments: [{ address, memorySize: image.length, bytes: image }],
    };
  }
  if (options.load !== undefined) {
    throw new UsageError(
      '--load: an ELF says itself where it goes (use --format flat to load the file as it is)',
    );
  }
  const elf = parseElf(image);
  return {
    kind: 'elf',
    entry: options.entry ?? elf.entry,
    mode: options.mode ?? (elf.class === 64 ? 'long' : 'protected'),
    segments: elf.segments,
  };
}

/** Whether [address, address + size) lies in one of the ranges. */
function fits(ranges: readonly RamRange[], address: number, size: number): boolean {
  return ranges.some(
    (range) => address >= range.guestAddress && address + size <= range.guestAddress + range.size,
  );
}

/**
 * Lays a program out in guest memory. The tables that protected and long mode want (GDT, page tables) lie in the
 * last pages of the RAM below 3 GiB, and the stack grows down from there; in real mode the stack grows down from
 * the image's start, or from 0xfff0 if that is higher or would leave no room.
 *
 * @throws UsageError when it does not fit, ElfError for a broken ELF
 */
export function programLayout(image: Uint8Array, options: ProgramOptions): ProgramLayout {
  if (image.length === 0) throw new UsageError('the image is empty');
  const ram = ramRanges(options.memory);
  const program = readProgram(image, options);
  for (const { address, memorySize } of program.segments) {
    if (!fits(ram, address, memorySize)) {
      throw new UsageError(
        `the image wants ${hex(address)} to ${hex(address + memorySize - 1)}, which does not fit into ${formatBytes(options.memory)} of memory (--memory)`,
      );
    }
  }
  if (!fits(ram, program.entry, 1)) {
    throw new UsageError(`the entry ${hex(program.entry)} lies outside the guest's memory`);
  }
  if (program.mode === 'real' && program.entry > 0xfffff) {
    throw new UsageError(
      `real mode starts below 1 MiB, not at ${hex(program.entry)}: use --mode protected or long`,
    );
  }
  const start = startOf(program, ram);
  return {
    kind: program.kind,
    mode: program.mode,
    ram,
    placements: [...program.segments.filter(({ bytes }) => bytes.length > 0), ...start.tables].map(
      ({ address, bytes }) => ({ address, bytes }),
    ),
    start,
  };
}

function startOf({ mode, entry, segments }: Program, ram: readonly RamRange[]): CpuStart {
  const last = ram.at(-1)!;
  const mapped = last.guestAddress + last.size;
  if (mapped > 2 ** 39) throw new UsageError('--memory: at most 511 GiB');
  if (mode === 'real') {
    const image = segments[0]!.address;
    const stackTop = image >= 0x500 && image <= 0xfff0 ? image & ~0xf : 0xfff0;
    return cpuStart({ mode, entry, stackTop, tables: 0, mapped });
  }
  const size = tablesSize(mode, mapped);
  const tables = ram[0]!.size - size;
  const taken = segments.find(
    ({ address, memorySize }) => address < tables + size && address + memorySize > tables,
  );
  if (tables < 0 || taken !== undefined) {
    throw new UsageError(
      `${mode} mode puts its tables into the last ${formatBytes(size)} of memory, where the image is: raise --memory`,
    );
  }
  return cpuStart({ mode, entry, stackTop: tables, tables, mapped });
}
