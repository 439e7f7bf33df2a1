import type { CpuidEntry } from '../kvm/cpuid.ts';

/** What a vCPU is told about itself and its neighbours: one package, as many cores as there are vCPUs, no threads. */
export interface Topology {
  /** The vCPU's number, which is its APIC id. */
  readonly cpu: number;
  /** How many there are. */
  readonly cpus: number;
}

/** What a guest need not calibrate. */
export interface Clocks {
  /** The time stamp counter, in kHz; 0 where the host does not say. */
  readonly tscKhz: number;
  /** Whether KVM has the local APIC's TSC-deadline timer (`KVM_CAP_TSC_DEADLINE_TIMER`). */
  readonly tscDeadline: boolean;
}

/** KVM's local APIC counts a bus of 1 GHz (`APIC_BUS_CYCLE_NS` of arch/x86/kvm/lapic.h). */
const APIC_BUS_KHZ = 1_000_000;

/** `KVM_CPUID_FLAG_SIGNIFCANT_INDEX`: the leaf has sub-leaves. */
const HAS_INDEX = 1;

const LEAF_1 = {
  hypervisor: 1 << 31,
  tscDeadline: 1 << 24,
  x2apic: 1 << 21,
  hyperThreading: 1 << 28,
} as const;
/** CPUID 0x80000001 ecx of AMD: whether cores are told in the old way, and whether leaf 0x8000001e is there. */
const AMD_FEATURES = { compatLegacy: 1 << 1, topologyExtensions: 1 << 22 } as const;

/** Types of levels in leaves 0xb and 0x1f. */
const LEVEL = { thread: 1, core: 2 } as const;

type Edit = (entry: CpuidEntry) => CpuidEntry;

/**
 * The leaves for one vCPU: what KVM supports, with the topology and the clocks (Intel SDM volume 2, CPUID; AMD APM
 * volume 3, appendix E; Linux, Documentation/virt/kvm/x86/cpuid.rst).
 */
export function machineCpuid(
  supported: readonly CpuidEntry[],
  topology: Topology,
  clocks: Clocks,
): CpuidEntry[] {
  const edits = editsFor(topology, clocks);
  const kept = supported
    .filter((entry) => !REPLACED.has(entry.function))
    .map((entry) => edits.get(entry.function)?.(entry) ?? entry);
  return [...kept, ...topologyLeaves(topology, supported), ...clockLeaves(supported, clocks)];
}

const LEAF_TOPOLOGY = 0xb;
const LEAF_TOPOLOGY_V2 = 0x1f;
const LEAF_TSC = 0x15;
const LEAF_FREQUENCY = 0x16;
/** VMware's timing leaf, which other hypervisors have taken over. */
const LEAF_TIMING = 0x4000_0010;
const REPLACED = new Set([LEAF_TOPOLOGY, LEAF_TOPOLOGY_V2, LEAF_TSC, LEAF_FREQUENCY, LEAF_TIMING]);

/** How many bits number so many things. */
function bits(count: number): number {
  return Math.ceil(Math.log2(count));
}

function editsFor({ cpu, cpus }: Topology, { tscKhz, tscDeadline }: Clocks): Map<number, Edit> {
  const cores = 2 ** bits(cpus);
  return new Map<number, Edit>([
    [
      0,
      (entry) => ({ ...entry, eax: hasTsc(entry, tscKhz) ? Math.max(entry.eax, LEAF_FREQUENCY) : entry.eax }),
    ],
    [
      1,
      (entry) => ({
        ...entry,
        // Initial APIC id, ids in the package, the size of a cache line.
        ebx: ((cpu << 24) | (cores << 16) | (entry.ebx & 0xffff)) >>> 0,
        ecx: (entry.ecx | LEAF_1.hypervisor | (tscDeadline ? LEAF_1.tscDeadline : 0)) >>> 0,
        edx: ((entry.edx & ~LEAF_1.hyperThreading) | (cpus > 1 ? LEAF_1.hyperThreading : 0)) >>> 0,
      }),
    ],
    // Intel's caches: cores in the package, and one thread for each cache but the last level's, which all share.
    [4, (entry) => ({ ...entry, eax: cacheSharing(entry.eax, cores) })],
    // The performance counters are the host's; a guest without them touches none of their MSRs.
    [0xa, (entry) => ({ ...entry, eax: 0, ebx: 0, ecx: 0, edx: 0 })],
    [0x4000_0000, (entry) => ({ ...entry, eax: Math.max(entry.eax, LEAF_TIMING) })],
    [
      0x8000_0001,
      (entry) => ({
        ...entry,
        ecx: ((entry.ecx & ~AMD_FEATURES.compatLegacy) | (cpus > 1 ? AMD_FEATURES.compatLegacy : 0)) >>> 0,
      }),
    ],
    // AMD: the size of APIC ids in the package, and its cores less one.
    [0x8000_0008, (entry) => ({ ...entry, ecx: (bits(cpus) << 12) | (cpus - 1) })],
    [0x8000_001d, (entry) => ({ ...entry, eax: cacheSharing(entry.eax, cores) & 0x03ff_ffff })],
    // AMD: extended APIC id, core id with one thread a core, one node.
    [0x8000_001e, (entry) => ({ ...entry, eax: cpu, ebx: cpu, ecx: 0, edx: 0 })],
  ]);
}

/** Bits 5 to 7 are the level, 14 to 25 the threads that share the cache less one, 26 to 31 the cores less one. */
function cacheSharing(eax: number, cores: number): number {
  if ((eax & 0x1f) === 0) return eax;
  const level = (eax >>> 5) & 7;
  const sharing = level >= 3 ? cores - 1 : 0;
  return ((eax & 0x3fff) | (sharing << 14) | (Math.min(cores - 1, 0x3f) << 26)) >>> 0;
}

/** Leaf 0xb, and 0x1f where the processor has it: one thread a core, then the package. */
function topologyLeaves({ cpu, cpus }: Topology, supported: readonly CpuidEntry[]): CpuidEntry[] {
  return [LEAF_TOPOLOGY, LEAF_TOPOLOGY_V2]
    .filter((leaf) => supported.some((entry) => entry.function === leaf))
    .flatMap((leaf) => [
      level(leaf, 0, { shift: 0, count: 1, type: LEVEL.thread, cpu }),
      level(leaf, 1, { shift: bits(cpus), count: cpus, type: LEVEL.core, cpu }),
      level(leaf, 2, { shift: 0, count: 0, type: 0, cpu }),
    ]);
}

function level(
  leaf: number,
  index: number,
  { shift, count, type, cpu }: { shift: number; count: number; type: number; cpu: number },
): CpuidEntry {
  const ecx = (type << 8) | index;
  return { function: leaf, index, flags: HAS_INDEX, eax: shift, ebx: count, ecx, edx: cpu };
}

/** Leaves 0x15 and 0x16 are Intel's: on others they would raise the highest leaf over some that mean something else. */
function hasTsc(leaf0: CpuidEntry, tscKhz: number): boolean {
  const GENU = 0x756e_6547;
  return leaf0.ebx === GENU && tscKhz > 0;
}

/** The TSC as a ratio to a crystal that runs as the local APIC's bus does, and both frequencies. */
function clockLeaves(supported: readonly CpuidEntry[], { tscKhz }: Clocks): CpuidEntry[] {
  const leaf0 = supported.find((entry) => entry.function === 0);
  const none = { index: 0, flags: 0 };
  const leaves: CpuidEntry[] = [];
  if (leaf0 !== undefined && hasTsc(leaf0, tscKhz)) {
    const mhz = Math.round(tscKhz / 1000);
    leaves.push(
      { function: LEAF_TSC, ...none, eax: APIC_BUS_KHZ, ebx: tscKhz, ecx: APIC_BUS_KHZ * 1000, edx: 0 },
      { function: LEAF_FREQUENCY, ...none, eax: mhz, ebx: mhz, ecx: APIC_BUS_KHZ / 1000, edx: 0 },
    );
  }
  if (tscKhz > 0 && supported.some((entry) => entry.function === 0x4000_0000)) {
    leaves.push({ function: LEAF_TIMING, ...none, eax: tscKhz, ebx: APIC_BUS_KHZ, ecx: 0, edx: 0 });
  }
  return leaves;
}
