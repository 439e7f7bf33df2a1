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
  hyperThreading: 1 << 28,
} as const;
/** CPUID 0x80000001 ecx of AMD: whether cores are told in the old way. Linux believes it on Intel's processors too. */
const AMD_COMPAT_LEGACY = 1 << 1;
/** The start of `GenuineIntel`, in ebx of leaf 0. */
const GENU = 0x756e_6547;

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
  const isIntel = supported.some((entry) => entry.function === 0 && entry.ebx === GENU);
  const clockLeaves = leavesOfClocks(supported, clocks, isIntel);
  const highest = (from: number): number =>
    Math.max(0, ...clockLeaves.map((leaf) => leaf.function).filter((leaf) => leaf >>> 24 === from >>> 24));
  const edits = new Map([
    ...editsFor(topology, clocks, highest),
    ...(isIntel ? editsForIntel(topology) : editsForAmd(topology)),
  ]);
  const kept = supported
    .filter((entry) => !REPLACED.has(entry.function))
    .map((entry) => edits.get(entry.function)?.(entry) ?? entry);
  return [...kept, ...topologyLeaves(topology, supported), ...clockLeaves];
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

/** The ids that so many bits can number. */
function roundedUp(count: number): number {
  return 2 ** bits(count);
}

/** What is the same on all processors. `highest` gives the highest leaf that is added to a leaf's range. */
function editsFor(
  { cpu, cpus }: Topology,
  { tscDeadline }: Clocks,
  highest: (from: number) => number,
): [leaf: number, Edit][] {
  const raise: Edit = (entry) => ({ ...entry, eax: Math.max(entry.eax, highest(entry.function)) });
  return [
    [0, raise],
    [
      1,
      (entry) => ({
        ...entry,
        // Initial APIC id, ids in the package, the size of a cache line.
        ebx: ((cpu << 24) | (roundedUp(cpus) << 16) | (entry.ebx & 0xffff)) >>> 0,
        ecx: (entry.ecx | LEAF_1.hypervisor | (tscDeadline ? LEAF_1.tscDeadline : 0)) >>> 0,
        edx: ((entry.edx & ~LEAF_1.hyperThreading) | (cpus > 1 ? LEAF_1.hyperThreading : 0)) >>> 0,
      }),
    ],
    // The performance counters are the host's; a guest without them touches none of their MSRs.
    [0xa, (entry) => ({ ...entry, eax: 0, ebx: 0, ecx: 0, edx: 0 })],
    [0x4000_0000, raise],
  ];
}

function editsForIntel({ cpus }: Topology): [leaf: number, Edit][] {
  // Caches: cores in the package, and one thread for each cache but the last level's, which all share.
  return [[4, (entry) => ({ ...entry, eax: cacheSharing(entry.eax, roundedUp(cpus)) })]];
}

function editsForAmd({ cpu, cpus }: Topology): [leaf: number, Edit][] {
  const legacy = cpus > 1 ? AMD_COMPAT_LEGACY : 0;
  return [
    [0x8000_0001, (entry) => ({ ...entry, ecx: ((entry.ecx & ~AMD_COMPAT_LEGACY) | legacy) >>> 0 })],
    // The size of APIC ids in the package, and its cores less one.
    [0x8000_0008, (entry) => ({ ...entry, ecx: (bits(cpus) << 12) | (cpus - 1) })],
    [
      0x8000_001d,
      (entry) => ({ ...entry, eax: cacheSharing(entry.eax, roundedUp(cpus)) & CACHE_WITHOUT_CORES }),
    ],
    // Extended APIC id, core id with one thread a core, one node.
    [0x8000_001e, (entry) => ({ ...entry, eax: cpu, ebx: cpu, ecx: 0, edx: 0 })],
  ];
}

/** AMD's leaf is as Intel's leaf 4, but has nothing in bits 26 to 31. */
const CACHE_WITHOUT_CORES = 0x03ff_ffff;

/** Bits 5 to 7 are the level, 14 to 25 the threads that share the cache less one, 26 to 31 the cores less one. */
function cacheSharing(eax: number, cores: number): number {
  if ((eax & 0x1f) === 0) return eax;
  const cacheLevel = (eax >>> 5) & 7;
  const sharing = cacheLevel >= 3 ? cores - 1 : 0;
  return ((eax & 0x3fff) | (sharing << 14) | (Math.min(cores - 1, 0x3f) << 26)) >>> 0;
}

/** Leaf 0xb, and 0x1f where the processor has it: one thread a core, then the package. */
function topologyLeaves({ cpu, cpus }: Topology, supported: readonly CpuidEntry[]): CpuidEntry[] {
  const present = [LEAF_TOPOLOGY, LEAF_TOPOLOGY_V2].filter((leaf) =>
    supported.some((entry) => entry.function === leaf),
  );
  const levels = [
    { index: 0, shift: 0, count: 1, type: LEVEL.thread },
    { index: 1, shift: bits(cpus), count: cpus, type: LEVEL.core },
    { index: 2, shift: 0, count: 0, type: 0 },
  ];
  return present.flatMap((leaf) =>
    levels.map(({ index, shift, count, type }) => ({
      function: leaf,
      index,
      flags: HAS_INDEX,
      eax: shift,
      ebx: count,
      ecx: (type << 8) | index,
      edx: cpu,
    })),
  );
}

/**
 * The TSC as a ratio to a crystal that runs as the local APIC's bus does, and both frequencies. Leaves 0x15 and 0x16 are
 * Intel's: on others they would raise the highest leaf over some that mean something else.
 */
function leavesOfClocks(
  supported: readonly CpuidEntry[],
  { tscKhz }: Clocks,
  isIntel: boolean,
): CpuidEntry[] {
  if (tscKhz === 0) return [];
  const none = { index: 0, flags: 0 };
  const leaves: CpuidEntry[] = [];
  if (isIntel) {
    const mhz = Math.round(tscKhz / 1000);
    leaves.push(
      { function: LEAF_TSC, ...none, eax: APIC_BUS_KHZ, ebx: tscKhz, ecx: APIC_BUS_KHZ * 1000, edx: 0 },
      { function: LEAF_FREQUENCY, ...none, eax: mhz, ebx: mhz, ecx: APIC_BUS_KHZ / 1000, edx: 0 },
    );
  }
  if (supported.some((entry) => entry.function === 0x4000_0000)) {
    leaves.push({ function: LEAF_TIMING, ...none, eax: tscKhz, ebx: APIC_BUS_KHZ, ecx: 0, edx: 0 });
  }
  return leaves;
}
