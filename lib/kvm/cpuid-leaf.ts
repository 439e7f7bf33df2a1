/**
 * The leaves of CPUID, `eax` of the request: Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E; Linux,
 * Documentation/virt/kvm/x86/cpuid.rst.
 *
 * @example
 * ```ts
 * new CpuidTable(kvm.getSupportedCpuid()).find(CpuidLeaf.ExtendedFeatures, 1);
 * ```
 */
export const CpuidLeaf = {
  /** Highest basic leaf, vendor. */
  Vendor: 0x0,
  /** Family, model, stepping; initial APIC id; features in ecx and edx. */
  VersionAndFeatures: 0x1,
  /** Descriptors of caches and TLBs (Intel). */
  CacheDescriptors: 0x2,
  /** Serial number of the Pentium III. */
  SerialNumber: 0x3,
  /** Caches, one in each sub-leaf (Intel). */
  CacheParameters: 0x4,
  /** `monitor` and `mwait`. */
  Monitor: 0x5,
  /** Thermal and power management. */
  Power: 0x6,
  /** Features in ebx, ecx and edx; sub-leaves 1 and 2 have more. */
  ExtendedFeatures: 0x7,
  /** Direct cache access (Intel). */
  DirectCacheAccess: 0x9,
  /** Performance counters: version, number, width, events (Intel). */
  PerformanceMonitoring: 0xa,
  /** Levels of topology, one in each sub-leaf; the x2APIC id in edx. */
  ExtendedTopology: 0xb,
  /** XSAVE: sub-leaf 0 has the components and the area's size, 1 the instructions, others a component each. */
  ExtendedState: 0xd,
  /** Monitoring of shared resources: cache occupancy, bandwidth. */
  ResourceMonitoring: 0xf,
  /** Allocation of shared resources: caches, bandwidth. */
  ResourceAllocation: 0x10,
  /** Enclaves (SGX). */
  Sgx: 0x12,
  /** Processor trace (Intel). */
  ProcessorTrace: 0x14,
  /** The time-stamp counter as a ratio to the crystal's frequency (Intel). */
  TimeStampCounter: 0x15,
  /** Frequencies in MHz (Intel). */
  Frequency: 0x16,
  /** Vendor of the system on a chip (Intel). */
  SocVendor: 0x17,
  /** TLBs, one in each sub-leaf (Intel). */
  TranslationCaches: 0x18,
  /** Key locker (Intel). */
  KeyLocker: 0x19,
  /** The kind of core in a hybrid processor (Intel). */
  Hybrid: 0x1a,
  /** Targets of `pconfig`, memory encryption (Intel). */
  Pconfig: 0x1b,
  /** Records of last branches (Intel). */
  LastBranchRecords: 0x1c,
  /** Palettes of AMX tiles. */
  Tiles: 0x1d,
  /** The matrix multiplier of AMX. */
  TileMultiplication: 0x1e,
  /** As {@link CpuidLeaf.ExtendedTopology}, with modules, tiles and dies. */
  ExtendedTopologyV2: 0x1f,
  /** Reset of the processor's history (Intel). */
  HistoryReset: 0x20,
  /** Performance counters, continued (Intel). */
  PerformanceMonitoringV2: 0x23,
  /** Version and vector lengths of AVX10. */
  Avx10: 0x24,
  /** Highest leaf and signature of the hypervisor (`KVMKVMKVM`). */
  HypervisorVendor: 0x4000_0000,
  /** Paravirtual features of KVM in eax, hints in edx. */
  KvmFeatures: 0x4000_0001,
  /** Frequencies of the time-stamp counter and of the APIC's bus in kHz, as VMware began it. */
  HypervisorTiming: 0x4000_0010,
  /** Highest extended leaf, and the vendor once more (AMD). */
  ExtendedVendor: 0x8000_0000,
  /** Extended features in ecx and edx. */
  ExtendedProcessor: 0x8000_0001,
  /** The first 16 characters of the brand; the next two leaves have the others. */
  Brand: 0x8000_0002,
  /** First-level caches and TLBs (AMD). */
  FirstLevelCaches: 0x8000_0005,
  /** Second- and third-level caches and TLBs (AMD); second-level cache (Intel). */
  LowerLevelCaches: 0x8000_0006,
  /** Error reporting in ebx, power management in edx: a constant time-stamp counter. */
  PowerManagement: 0x8000_0007,
  /** Widths of addresses in eax, features in ebx, number of cores in ecx (AMD). */
  AddressSizes: 0x8000_0008,
  /** Hardware virtualisation: revision, ASIDs, features (AMD). */
  Svm: 0x8000_000a,
  /** TLBs of 1 GiB pages (AMD). */
  TranslationCaches1GiB: 0x8000_0019,
  /** What instructions are fast (AMD). */
  PerformanceHints: 0x8000_001a,
  /** Instruction-based sampling (AMD). */
  InstructionSampling: 0x8000_001b,
  /** Caches, one in each sub-leaf (AMD). */
  CacheTopology: 0x8000_001d,
  /** Extended APIC id, core and node (AMD). */
  ProcessorTopology: 0x8000_001e,
  /** Encrypted memory and guests: SME, SEV (AMD). */
  MemoryEncryption: 0x8000_001f,
  /** Allocation of shared resources (AMD). */
  ResourceAllocationAmd: 0x8000_0020,
  /** More extended features in eax and ecx (AMD). */
  ExtendedFeatures2: 0x8000_0021,
  /** Performance counters, version 2 (AMD). */
  PerformanceMonitoringAmd: 0x8000_0022,
  /** Multi-key encryption of memory (AMD). */
  MultiKeyEncryption: 0x8000_0023,
  /** Levels of topology, one in each sub-leaf (AMD). */
  ExtendedTopologyAmd: 0x8000_0026,
} as const;

/** The number of a leaf that `CpuidLeaf` names. */
export type CpuidLeaf = (typeof CpuidLeaf)[keyof typeof CpuidLeaf];
