/**
 * The three modes that a guest may be started in, as register values and the tables that they point to.
 * Pure: nothing here knows a VM. Bit names are those of the Intel SDM, volume 3.
 */

import type { KvmSegment } from '../../generated/structs.ts';

export type CpuMode = 'real' | 'protected' | 'long';

export const cpuModes: readonly CpuMode[] = ['real', 'protected', 'long'];

/** A segment register with its hidden part, as far as a start has to set it. */
export type Segment = Omit<KvmSegment, 'avl' | 'unusable'>;

/** What to set; what is absent keeps the value that it has after reset. */
export interface InitialSregs {
  cs: Segment;
  ds?: Segment;
  es?: Segment;
  fs?: Segment;
  gs?: Segment;
  ss?: Segment;
  gdt?: { base: bigint; limit: number };
  cr0?: bigint;
  cr3?: bigint;
  cr4?: bigint;
  efer?: bigint;
}

export interface InitialRegs {
  rip: bigint;
  rsp: bigint;
  rflags: bigint;
}

/** Bytes to be put into guest memory before the start. */
export interface Table {
  readonly address: number;
  readonly bytes: Uint8Array;
}

export interface CpuStart {
  readonly sregs: InitialSregs;
  readonly regs: InitialRegs;
  readonly tables: readonly Table[];
}

export interface CpuStartOptions {
  readonly mode: CpuMode;
  /** Guest-physical; real mode reaches 0xfffff. */
  readonly entry: number;
  /** Top of the stack, which grows down from there. */
  readonly stackTop: number;
  /** Where the GDT and the page tables go, on a page boundary; `tablesSize()` bytes, 0 in real mode. */
  readonly tables: number;
  /** Everything below is mapped one to one in long mode: at least 4 GiB, so that devices are reachable. */
  readonly mapped: number;
}

const PAGE = 0x1000;
const GIB = 2 ** 30;
const CR0 = { PE: 1n << 0n, ET: 1n << 4n, NE: 1n << 5n, WP: 1n << 16n, PG: 1n << 31n } as const;
const CR4 = { PAE: 1n << 5n, OSFXSR: 1n << 9n, OSXMMEXCPT: 1n << 10n } as const;
const EFER = { LME: 1n << 8n, LMA: 1n << 10n } as const;
const PTE = { present: 1n, writable: 2n, large: 0x80n } as const;
/** The one flag that is always set. */
const RFLAGS_RESERVED = 2n;

/** The GDT: null, code, data. Descriptors are flat: base 0, limit 4 GiB, ring 0, accessed. */
const CODE_SELECTOR = 0x08;
const DATA_SELECTOR = 0x10;
const CODE32 = 0x00cf_9b00_0000_ffffn;
const CODE64 = 0x00af_9b00_0000_ffffn;
const DATA = 0x00cf_9300_0000_ffffn;

/** How many bytes of guest memory the mode's tables take, whole pages. */
export function tablesSize(mode: CpuMode, mapped: number): number {
  if (mode === 'real') return 0;
  // The GDT has a page of its own; then PML4, PDPT, and one page directory for each GiB.
  return mode === 'protected' ? PAGE : PAGE * (3 + gibibytes(mapped));
}

/** One PDPT holds 512 of them; more would want a second one, and no machine of this command is that large. */
function gibibytes(mapped: number): number {
  const count = Math.max(4, Math.ceil(mapped / GIB));
  if (count > 512) throw new RangeError('long mode maps at most 512 GiB one to one');
  return count;
}

/** The registers and tables to start in a mode. */
export function cpuStart(options: CpuStartOptions): CpuStart {
  if (options.mode === 'real') return realMode(options);
  return options.mode === 'protected' ? protectedMode(options) : longMode(options);
}

function realMode({ entry, stackTop }: CpuStartOptions): CpuStart {
  if (entry > 0xfffff) throw new RangeError('real mode reaches addresses up to 0xfffff');
  // CS:IP with the segment on a 64 KiB boundary: 0:0x1000, 0x2000:0x0000.
  const base = entry & 0xf0000;
  const cs: Segment = {
    base: BigInt(base),
    limit: 0xffff,
    selector: base >> 4,
    type: 0xb,
    present: 1,
    dpl: 0,
    db: 0,
    s: 1,
    l: 0,
    g: 0,
  };
  return { sregs: { cs }, regs: regs(entry - base, stackTop), tables: [] };
}

function regs(rip: number, rsp: number): InitialRegs {
  return { rip: BigInt(rip), rsp: BigInt(rsp), rflags: RFLAGS_RESERVED };
}

/** A flat segment as the descriptors above load it. */
function flat(selector: number, type: number, long: boolean): Segment {
  const base = { base: 0n, limit: 0xffff_ffff, selector, type, present: 1, dpl: 0, s: 1, g: 1 };
  return long ? { ...base, db: 0, l: 1 } : { ...base, db: 1, l: 0 };
}

function flatSregs(tables: number, long: boolean): InitialSregs {
  const data = flat(DATA_SELECTOR, 0x3, false);
  return {
    cs: flat(CODE_SELECTOR, 0xb, long),
    ds: data,
    es: data,
    fs: data,
    gs: data,
    ss: data,
    gdt: { base: BigInt(tables), limit: 3 * 8 - 1 },
    cr0: CR0.PE | CR0.ET | CR0.NE,
  };
}

function words(address: number, values: Iterable<readonly [index: number, value: bigint]>): Table {
  const bytes = new Uint8Array(PAGE);
  const view = new DataView(bytes.buffer);
  for (const [index, value] of values) view.setBigUint64(index * 8, value, true);
  return { address, bytes };
}

function protectedMode({ entry, stackTop, tables }: CpuStartOptions): CpuStart {
  return {
    sregs: flatSregs(tables, false),
    regs: regs(entry, stackTop),
    tables: [
      words(tables, [
        [1, CODE32],
        [2, DATA],
      ]),
    ],
  };
}

function longMode({ entry, stackTop, tables, mapped }: CpuStartOptions): CpuStart {
  const gib = gibibytes(mapped);
  const pml4 = tables + PAGE;
  const pdpt = pml4 + PAGE;
  const directories = pdpt + PAGE;
  const link = PTE.present | PTE.writable;
  const range = Array.from({ length: 512 }, (_, index) => index);
  return {
    sregs: {
      ...flatSregs(tables, true),
      cr0: CR0.PE | CR0.ET | CR0.NE | CR0.WP | CR0.PG,
      cr3: BigInt(pml4),
      // SSE is on: compilers use it for 64-bit code unasked.
      cr4: CR4.PAE | CR4.OSFXSR | CR4.OSXMMEXCPT,
      efer: EFER.LME | EFER.LMA,
    },
    regs: regs(entry, stackTop),
    tables: [
      words(tables, [
        [1, CODE64],
        [2, DATA],
      ]),
      words(pml4, [[0, BigInt(pdpt) | link]]),
      words(
        pdpt,
        range.slice(0, gib).map((index) => [index, BigInt(directories + index * PAGE) | link]),
      ),
      ...Array.from({ length: gib }, (_, directory) =>
        words(
          directories + directory * PAGE,
          // 2 MiB pages: 1 GiB ones are not there on every host.
          range.map((index) => [index, (BigInt(directory * 512 + index) << 21n) | link | PTE.large]),
        ),
      ),
    ],
  };
}
