import { boolean, integer, options } from '../internal/check.ts';
import {
  answers,
  copyEntries,
  cpuidBytes,
  HAS_INDEX,
  type CpuidEntry,
  type CpuidRegisters,
} from './cpuid-entry.ts';
import { CPUID_FEATURES, featurePlace, type CpuidFeature } from './cpuid-features.ts';
import { intersectEntries } from './cpuid-intersect.ts';
import { CpuidLeaf } from './cpuid-leaf.ts';

/** CPUID leaves: a table, or its entries. */
export type CpuidSource = CpuidTable | readonly CpuidEntry[];

/** `cpuid_function_is_indexed()` of arch/x86/include/asm/cpuid.h, and AMD's newer leaf of topology. */
const INDEXED: ReadonlySet<number> = new Set([
  4, 7, 0xb, 0xd, 0xf, 0x10, 0x12, 0x14, 0x17, 0x18, 0x1d, 0x1e, 0x1f, 0x24, 0x8000_001d, 0x8000_0026,
]);

/** Those that give zeros for a leaf that they lack; others give the highest basic one. */
const ZERO_BEYOND: ReadonlySet<string> = new Set(['AuthenticAMD', 'AMDisbetter!', 'HygonGenuine']);

const REGISTERS = ['eax', 'ebx', 'ecx', 'edx'] as const;

let entriesOf: (value: object) => readonly CpuidEntry[] | undefined;

/** @internal The bytes of a table or of an array of entries, checked. */
export function sourceBytes(name: string, source: unknown): Uint8Array {
  const own = typeof source === 'object' && source !== null ? entriesOf(source) : undefined;
  return cpuidBytes(name, own ?? source);
}

/**
 * What a processor says about itself: the leaves of CPUID, to be looked at and changed by leaf or by feature, and given
 * to `vcpu.setCpuid2()`. A table is a plain value; it changes no vCPU by itself.
 *
 * @example A guest that sees no AVX-512 and takes the APIC id 3:
 * ```ts
 * const table = new CpuidTable(kvm.getSupportedCpuid());
 * table.setFeature('avx512f', false);
 * const { ebx } = table.get(CpuidLeaf.VersionAndFeatures);
 * table.set(CpuidLeaf.VersionAndFeatures, { ebx: ((3 << 24) | (ebx & 0xff_ffff)) >>> 0 });
 * vcpu.setCpuid2(table);
 * ```
 */
export class CpuidTable implements Iterable<CpuidEntry> {
  #entries: CpuidEntry[];

  static {
    entriesOf = (value) => (#entries in value ? value.#entries : undefined);
  }

  /**
   * A table of its own: later changes of `entries` do not reach it.
   *
   * @param entries - None by default; what an entry lacks is 0.
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_VALUE`
   */
  constructor(entries: CpuidSource = []) {
    const own = typeof entries === 'object' && entries !== null ? entriesOf(entries) : undefined;
    this.#entries = copyEntries('entries', own ?? entries);
  }

  /** How many entries there are. */
  get length(): number {
    return this.#entries.length;
  }

  /** Copies of the entries, in the table's order. */
  get entries(): CpuidEntry[] {
    return this.#entries.map((entry) => ({ ...entry }));
  }

  /** As {@link entries}, one after the other. */
  [Symbol.iterator](): ArrayIterator<CpuidEntry> {
    return this.entries[Symbol.iterator]();
  }

  /** The entries, which the constructor takes back. */
  toJSON(): CpuidEntry[] {
    return this.entries;
  }

  #find(leaf: number, index: number): CpuidEntry | undefined {
    return this.#entries.find((entry) => answers(entry, leaf, index));
  }

  /**
   * A copy of the entry of a leaf, or `undefined`.
   *
   * @param leaf - `eax` of the request, 0 to 2^32 - 1: one of {@link CpuidLeaf}, or its number.
   * @param index - `ecx` of the request, the sub-leaf, 0 by default. Leaves without sub-leaves ignore it.
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  find(leaf: number, index = 0): CpuidEntry | undefined {
    const entry = this.#find(u32('leaf', leaf), u32('index', index));
    return entry && { ...entry };
  }

  /**
   * What a guest reads by `cpuid`, as KVM makes it of these entries: where there is none, zeros on AMD's processors, and
   * on others what the highest basic leaf has if the leaf is beyond the highest of its range. (KVM changes a few bits as
   * the guest runs: those that follow CR4, `IA32_MISC_ENABLE` and XCR0.)
   *
   * @example
   * ```ts
   * const table = new CpuidTable(kvm.getSupportedCpuid());
   * const { ecx } = table.get(CpuidLeaf.VersionAndFeatures);
   * ```
   * @throws As {@link find}.
   */
  get(leaf: number, index = 0): CpuidRegisters {
    const [asked, sub] = [u32('leaf', leaf), u32('index', index)];
    const entry = this.#find(asked, sub) ?? this.#beyond(asked, sub);
    if (entry !== undefined) return { eax: entry.eax, ebx: entry.ebx, ecx: entry.ecx, edx: entry.edx };
    // Sub-leaves of topology that do not exist still tell which they are, and the APIC id.
    const isTopology = asked === CpuidLeaf.ExtendedTopology || asked === CpuidLeaf.ExtendedTopologyV2;
    const topology = isTopology ? this.#find(asked, 1) : undefined;
    if (topology === undefined) return { eax: 0, ebx: 0, ecx: 0, edx: 0 };
    return { eax: 0, ebx: 0, ecx: sub & 0xff, edx: topology.edx };
  }

  /** `get_out_of_range_cpuid_entry()` of arch/x86/kvm/cpuid.c. */
  #beyond(leaf: number, index: number): CpuidEntry | undefined {
    const basic = this.#find(0, 0);
    if (basic === undefined || ZERO_BEYOND.has(this.vendor)) return undefined;
    const range = this.#find(rangeOf(leaf), 0);
    return range !== undefined && leaf <= range.eax ? undefined : this.#find(basic.eax, index);
  }

  /**
   * Changes registers of a leaf; those left out stay. An entry that there is not is made, of zeros.
   *
   * @param index - The sub-leaf, 0 by default; leaves without sub-leaves ignore it.
   * @example
   * ```ts
   * new CpuidTable().set(0, { eax: 1 }).set(CpuidLeaf.ExtendedFeatures, { ebx: 1 << 5 }, 0);
   * ```
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_VALUE`; then nothing is changed.
   */
  set(leaf: number, registers: Partial<CpuidRegisters>, index = 0): this {
    const [asked, sub] = [u32('leaf', leaf), u32('index', index)];
    const given = options('registers', registers, REGISTERS);
    const checked: Partial<CpuidRegisters> = {};
    for (const name of REGISTERS) {
      if (given[name] !== undefined) checked[name] = u32(`registers.${name}`, given[name]);
    }
    Object.assign(this.#make(asked, sub), checked);
    return this;
  }

  #make(leaf: number, index: number): CpuidEntry {
    const present = this.#find(leaf, index);
    if (present !== undefined) return present;
    const neighbour = this.#entries.findLastIndex((entry) => entry.function === leaf);
    const indexed = INDEXED.has(leaf) || index !== 0 || neighbour >= 0;
    const flags = indexed ? HAS_INDEX : 0;
    const entry = { function: leaf, index, flags, eax: 0, ebx: 0, ecx: 0, edx: 0 };
    this.#entries.splice(neighbour < 0 ? this.#entries.length : neighbour + 1, 0, entry);
    return entry;
  }

  /**
   * Takes a leaf out.
   *
   * @param index - Only this sub-leaf; by default all of them.
   * @returns whether there was one.
   * @throws As {@link find}.
   */
  delete(leaf: number, index?: number): boolean {
    const asked = u32('leaf', leaf);
    const sub = index === undefined ? undefined : u32('index', index);
    const before = this.#entries.length;
    this.#entries = this.#entries.filter((entry) =>
      sub === undefined ? entry.function !== asked : !answers(entry, asked, sub),
    );
    return this.#entries.length < before;
  }

  /**
   * What is left when another processor has to agree, say that of the host that a guest shall be able to move to: a new
   * table, of the entries whose leaf both have.
   *
   * - Bits that tell features, state components of XSAVE and events: those that both have.
   * - The highest leaf, sub-leaf, widths of addresses, version and number of performance counters: the lower.
   * - The area of XSAVE: as large as the components that are left need it.
   * - All else is this table's: vendor, family and model, brand, caches, topology, frequencies.
   *
   * @example
   * ```ts
   * const here = new CpuidTable(kvm.getSupportedCpuid());
   * const there = new CpuidTable(JSON.parse(JSON.stringify(here)));
   * vcpu.setCpuid2(here.intersect(there));
   * ```
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_VALUE`
   */
  intersect(other: CpuidSource): CpuidTable {
    return new CpuidTable(intersectEntries(this.#entries, new CpuidTable(other).#entries));
  }

  /**
   * Whether a feature is there.
   *
   * @param name - One of {@link CPUID_FEATURES}.
   * @throws `ERR_INVALID_ARG_TYPE`; `ERR_INVALID_ARG_VALUE` for a name that is not known, with the nearest
   */
  feature(name: CpuidFeature): boolean {
    const { function: leaf, index, register, bit } = featurePlace('name', name);
    const entry = this.#find(leaf, index);
    return entry !== undefined && ((entry[register] >>> bit) & 1) === 1;
  }

  /**
   * Turns a feature on or off; nothing that depends on it follows. One that is turned on raises the highest leaf of its
   * range, and the highest sub-leaf of leaf 7, where they are below its own, so that a guest finds it.
   *
   * @throws As {@link feature}.
   */
  setFeature(name: CpuidFeature, on: boolean): this {
    const { function: leaf, index, register, bit } = featurePlace('name', name);
    if (!boolean('on', on)) {
      const entry = this.#find(leaf, index);
      if (entry !== undefined) entry[register] = (entry[register] & ~(1 << bit)) >>> 0;
      return this;
    }
    const entry = this.#make(leaf, index);
    entry[register] = (entry[register] | (1 << bit)) >>> 0;
    this.#raise(rangeOf(leaf), leaf);
    if (leaf === CpuidLeaf.ExtendedFeatures) this.#raise(leaf, index);
    return this;
  }

  /** Makes a limit in `eax` no lower than a value. */
  #raise(leaf: number, value: number): void {
    const limit = this.#find(leaf, 0);
    if (limit !== undefined) limit.eax = Math.max(limit.eax, value);
  }

  /** The features that are there, of those that have a name. */
  get features(): CpuidFeature[] {
    return (Object.keys(CPUID_FEATURES) as CpuidFeature[]).filter((name) => this.feature(name));
  }

  /** Who made the processor, 12 characters (`'GenuineIntel'`, `'AuthenticAMD'`); empty without leaf 0. */
  get vendor(): string {
    const entry = this.#find(0, 0);
    return entry === undefined ? '' : text(entry.ebx, entry.edx, entry.ecx);
  }

  /** What the processor calls itself, of leaves 0x80000002 to 0x80000004; empty where it does not say. */
  get brand(): string {
    const words = [2, 3, 4].flatMap((leaf) => {
      const { eax, ebx, ecx, edx } = this.#find(0x8000_0000 + leaf, 0) ?? { eax: 0, ebx: 0, ecx: 0, edx: 0 };
      return [eax, ebx, ecx, edx];
    });
    return text(...words).trim();
  }

  /** The highest basic leaf that the table tells, 0 without leaf 0. */
  get maxLeaf(): number {
    return this.#find(0, 0)?.eax ?? 0;
  }

  /** The highest extended leaf that the table tells, 0x80000000 or above; 0 without that leaf. */
  get maxExtendedLeaf(): number {
    return this.#find(0x8000_0000, 0)?.eax ?? 0;
  }

  get #signature(): number {
    return this.#find(CpuidLeaf.VersionAndFeatures, 0)?.eax ?? 0;
  }

  /** The processor's family, with the extended part added. */
  get family(): number {
    const family = (this.#signature >>> 8) & 0xf;
    return family === 0xf ? family + ((this.#signature >>> 20) & 0xff) : family;
  }

  /** The processor's model, with the extended part in front. */
  get model(): number {
    const model = (this.#signature >>> 4) & 0xf;
    return this.family >= 6 ? model | (((this.#signature >>> 16) & 0xf) << 4) : model;
  }

  /** The processor's stepping, 0 to 15. */
  get stepping(): number {
    return this.#signature & 0xf;
  }
}

function u32(name: string, value: unknown): number {
  return integer(name, value, 0, 0xffff_ffff);
}

/** The leaf that has the highest of a leaf's range in `eax`; hypervisors have ranges of 0x100 leaves. */
function rangeOf(leaf: number): number {
  if (leaf >= 0x4000_0000 && leaf <= 0x4fff_ffff) return leaf - (leaf & 0xff);
  if (leaf >= 0xc000_0000) return 0xc000_0000;
  return leaf >= 0x8000_0000 ? 0x8000_0000 : 0;
}

/** Registers as characters, up to the first that is 0. */
function text(...words: readonly number[]): string {
  const bytes = new Uint8Array(Uint32Array.from(words).buffer);
  const end = bytes.indexOf(0);
  return String.fromCharCode(...(end < 0 ? bytes : bytes.subarray(0, end)));
}
