import type { CpuidEntry, CpuidRegisters } from '../kvm/cpuid-entry.ts';
import { CpuidLeaf } from '../kvm/cpuid-leaf.ts';
import { CpuidTable } from '../kvm/cpuid-table.ts';

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

/** Types of levels in leaves 0xb and 0x1f. */
const LEVEL = { thread: 1, core: 2 } as const;

/**
 * The leaves for one vCPU: what KVM supports, with the topology and the clocks (Intel SDM volume 2, CPUID; AMD APM
 * volume 3, appendix E; Linux, Documentation/virt/kvm/x86/cpuid.rst).
 */
export function machineCpuid(
  supported: readonly CpuidEntry[],
  topology: Topology,
  clocks: Clocks,
): CpuidEntry[] {
  const table = new CpuidTable(supported);
  const isIntel = table.vendor === 'GenuineIntel';
  editForAll(table, topology, clocks);
  if (isIntel) editForIntel(table, topology);
  else editForAmd(table, topology);
  setTopology(table, topology);
  setClocks(table, clocks, isIntel);
  return table.entries;
}

/** How many bits number so many things. */
function bits(count: number): number {
  return Math.ceil(Math.log2(count));
}

/** The ids that so many bits can number. */
function roundedUp(count: number): number {
  return 2 ** bits(count);
}

/** Changes the registers of a leaf where the table has it. */
function edit(
  table: CpuidTable,
  leaf: number,
  how: (registers: CpuidEntry) => Partial<CpuidRegisters>,
  index = 0,
): void {
  const entry = table.find(leaf, index);
  if (entry !== undefined) table.set(leaf, how(entry), index);
}

/** Changes all sub-leaves of a leaf. */
function editEach(
  table: CpuidTable,
  leaf: number,
  how: (registers: CpuidEntry) => Partial<CpuidRegisters>,
): void {
  for (const { function: own, index } of table) if (own === leaf) edit(table, leaf, how, index);
}

/** What is the same on all processors. */
function editForAll(table: CpuidTable, { cpu, cpus }: Topology, { tscDeadline }: Clocks): void {
  if (table.find(CpuidLeaf.VersionAndFeatures) !== undefined) {
    table.setFeature('hypervisor', true).setFeature('ht', cpus > 1);
    if (tscDeadline) table.setFeature('tsc_deadline_timer', true);
  }
  edit(table, CpuidLeaf.VersionAndFeatures, ({ ebx }) => ({
    // Initial APIC id, ids in the package, the size of a cache line.
    ebx: ((cpu << 24) | (roundedUp(cpus) << 16) | (ebx & 0xffff)) >>> 0,
  }));
  // The performance counters are the host's; a guest without them touches none of their MSRs.
  edit(table, CpuidLeaf.PerformanceMonitoring, () => ({ eax: 0, ebx: 0, ecx: 0, edx: 0 }));
}

function editForIntel(table: CpuidTable, { cpus }: Topology): void {
  // Caches: cores in the package, and one thread for each cache but the last level's, which all share.
  editEach(table, CpuidLeaf.CacheParameters, ({ eax }) => ({ eax: cacheSharing(eax, roundedUp(cpus)) }));
}

function editForAmd(table: CpuidTable, { cpu, cpus }: Topology): void {
  // Whether cores are told in the old way. Linux believes it on Intel's processors too.
  if (table.find(CpuidLeaf.ExtendedProcessor) !== undefined) table.setFeature('cmp_legacy', cpus > 1);
  // The size of APIC ids in the package, and its cores less one.
  edit(table, CpuidLeaf.AddressSizes, () => ({ ecx: (bits(cpus) << 12) | (cpus - 1) }));
  editEach(table, CpuidLeaf.CacheTopology, ({ eax }) => ({
    eax: cacheSharing(eax, roundedUp(cpus)) & CACHE_WITHOUT_CORES,
  }));
  // Extended APIC id, core id with one thread a core, one node.
  edit(table, CpuidLeaf.ProcessorTopology, () => ({ eax: cpu, ebx: cpu, ecx: 0, edx: 0 }));
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
function setTopology(table: CpuidTable, { cpu, cpus }: Topology): void {
  const levels = [
    { shift: 0, count: 1, type: LEVEL.thread },
    { shift: bits(cpus), count: cpus, type: LEVEL.core },
    { shift: 0, count: 0, type: 0 },
  ];
  for (const leaf of [CpuidLeaf.ExtendedTopology, CpuidLeaf.ExtendedTopologyV2]) {
    if (!table.delete(leaf)) continue;
    for (const [index, { shift, count, type }] of levels.entries()) {
      table.set(leaf, { eax: shift, ebx: count, ecx: (type << 8) | index, edx: cpu }, index);
    }
  }
}

/**
 * The TSC as a ratio to a crystal that runs as the local APIC's bus does, and both frequencies. Leaves 0x15 and 0x16 are
 * Intel's: on others they would raise the highest leaf over some that mean something else.
 */
function setClocks(table: CpuidTable, { tscKhz }: Clocks, isIntel: boolean): void {
  for (const leaf of [CpuidLeaf.TimeStampCounter, CpuidLeaf.Frequency, CpuidLeaf.HypervisorTiming]) {
    table.delete(leaf);
  }
  if (tscKhz === 0) return;
  const raise = (limit: number, leaf: number): void => {
    edit(table, limit, ({ eax }) => ({ eax: Math.max(eax, leaf) }));
  };
  if (isIntel) {
    const mhz = Math.round(tscKhz / 1000);
    table.set(CpuidLeaf.TimeStampCounter, { eax: APIC_BUS_KHZ, ebx: tscKhz, ecx: APIC_BUS_KHZ * 1000 });
    table.set(CpuidLeaf.Frequency, { eax: mhz, ebx: mhz, ecx: APIC_BUS_KHZ / 1000 });
    raise(CpuidLeaf.Vendor, CpuidLeaf.Frequency);
  }
  // VMware's timing leaf, which other hypervisors have taken over.
  if (table.find(CpuidLeaf.HypervisorVendor) !== undefined) {
    table.set(CpuidLeaf.HypervisorTiming, { eax: tscKhz, ebx: APIC_BUS_KHZ });
    raise(CpuidLeaf.HypervisorVendor, CpuidLeaf.HypervisorTiming);
  }
}
