/** Old behaviour of KVM that some guests rely on, and that can be switched off (`KVM_X86_QUIRK_*`). */
export type X86Quirk =
  /** The first vCPU's LINT0 passes interrupts of the PIC after a reset. Hardware has it masked. */
  | 'lint0Reenabled'
  /** CR0's bits CD and NW are cleared for a guest whose devices KVM knows. */
  | 'cdNwCleared'
  /** The APIC's page answers in x2APIC mode, too. */
  | 'lapicMmioHole'
  /** `out` to port 0x7e exits with `rip` behind the instruction. */
  | 'out7eIncRip'
  /** The guest's MISC_ENABLE changes what CPUID says of `mwait`. */
  | 'miscEnableNoMwait'
  /** A hypercall instruction of the other vendor's is patched in the guest's memory. */
  | 'fixHypercallInsn'
  /** `mwait` and `monitor` never fault, whatever CPUID says. */
  | 'mwaitNeverUdFaults'
  /** Removing or moving a memory region drops the translations of all of them. */
  | 'slotZapAll'
  /** Feature MSRs of a new vCPU have the host's values instead of zeros. */
  | 'stuffFeatureMsrs'
  /** The guest's page attributes (PAT) are ignored for memory that is coherent anyway. */
  | 'ignoreGuestPat';

/** What a guest can do without leaving for KVM, for a guest that has its processors for itself (`KVM_X86_DISABLE_EXITS_*`). */
export type X86DisabledExit = 'mwait' | 'hlt' | 'pause' | 'cstate' | 'aperfmperf';

/** What `vm.configureX86()` takes. What is left out stays as it is. */
export interface X86Options {
  /**
   * Nanoseconds of one cycle of the APIC timer's clock; 1 as KVM makes it. After `createIrqChip()`, before the first
   * vCPU (`KVM_CAP_X86_APIC_BUS_CYCLES_NS`).
   */
  apicBusCyclesNs?: number;
  /**
   * Does without the mitigation that keeps large pages from being executed. Before the first vCPU, and only for a
   * process with `CAP_SYS_BOOT` (`KVM_CAP_VM_DISABLE_NX_HUGE_PAGES`).
   */
  disableNxHugePages?: true;
  /** The guest has no performance counters. Before the first vCPU (`KVM_CAP_PMU_CAPABILITY`). */
  disablePmu?: true;
  /** Instructions that no longer leave the guest. Before the first vCPU (`KVM_CAP_X86_DISABLE_EXITS`). */
  disableExits?: readonly X86DisabledExit[];
  /** vCPU ids will be below this, which saves KVM memory. Once (`KVM_CAP_MAX_VCPU_ID`). */
  maxVcpuId?: number;
  /**
   * A guest that takes no event for too long leaves with a `notify` exit, on Intel hosts: `window` is how long, in
   * cycles of a processor's own measure. With `exit: false` KVM counts it and goes on. Before the first vCPU
   * (`KVM_CAP_X86_NOTIFY_VMEXIT`).
   */
  notifyExit?: {
    /** Cycles beyond what the processor adds by itself, 0 to 2^32 - 1. */
    window: number;
    /** Whether it is an exit; true by default. */
    exit?: boolean;
  };
  /**
   * A locked access across two cache lines, which stops all processors, is an `x86BusLock` exit. Before the first vCPU
   * (`KVM_CAP_X86_BUS_LOCK_EXIT`).
   */
  busLockExit?: boolean;
  /**
   * Old behaviour to switch off. Name all in one call: before Linux 6.15 a second call replaces the first
   * (`KVM_CAP_DISABLE_QUIRKS2`).
   */
  disableQuirks?: readonly X86Quirk[];
  /**
   * Every instruction that KVM cannot emulate is an `internalError` exit with its bytes. Otherwise one of the guest's
   * user programs gets an invalid-opcode exception (`KVM_CAP_EXIT_ON_EMULATION_FAILURE`).
   */
  exitOnEmulationFailure?: boolean;
  /** `vcpu.getVcpuEvents()` has a triple fault that waits, and `setVcpuEvents()` takes one (`KVM_CAP_X86_TRIPLE_FAULT_EVENT`). */
  tripleFaultEvent?: boolean;
  /** APIC ids above 255 (`KVM_CAP_X2APIC_API`). */
  x2apic?: {
    /** Interrupt messages, routes and `getLapic()` have 32-bit ids. */
    use32BitIds?: boolean;
    /** Id 255 is a processor, not all of them. */
    disableBroadcastQuirk?: boolean;
  };
}
