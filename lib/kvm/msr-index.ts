/**
 * Model-specific registers by name, those that hypervisors meet. `IA32_…` is Intel's name (SDM volume 4) where a register
 * is architectural; AMD's are called as in the APM (volume 2, appendix A), KVM's and Hyper-V's as in Linux 6.12
 * (`<asm/kvm_para.h>`, `<asm/hyperv-tlfs.h>`, without `MSR_` and `X64_MSR_`). Of registers that come in numbers the first is
 * here; {@link msrName} knows the others.
 *
 * @example
 * ```ts
 * const [efer] = vcpu.getMsrs([Msr.IA32_EFER]);
 * vcpu.setMsrs([{ index: Msr.IA32_TSC, data: 0n }]);
 * ```
 */
export const Msr = {
  /** The time-stamp counter. */
  IA32_TSC: 0x10,
  /** Where KVM writes the wall clock; old number of {@link Msr.KVM_WALL_CLOCK_NEW}. */
  KVM_WALL_CLOCK: 0x11,
  /** The page of the paravirtual clock; old number of {@link Msr.KVM_SYSTEM_TIME_NEW}. */
  KVM_SYSTEM_TIME: 0x12,
  /** Where the processor's slot says which microcode it takes. */
  IA32_PLATFORM_ID: 0x17,
  /** The local APIC: its address, whether it is on, x2APIC mode, the boot processor. */
  IA32_APIC_BASE: 0x1b,
  /** How many system-management interrupts there were. */
  SMI_COUNT: 0x34,
  /** Lock of VMX, SGX and machine checks: `MSR_IA32_FEAT_CTL` of Linux. */
  IA32_FEATURE_CONTROL: 0x3a,
  /** What is added to the time-stamp counter. */
  IA32_TSC_ADJUST: 0x3b,
  /** Speculation: IBRS, STIBP, SSBD. */
  IA32_SPEC_CTRL: 0x48,
  /** Commands to the branch predictor: IBPB. */
  IA32_PRED_CMD: 0x49,
  /** Starts an update of the microcode. */
  IA32_BIOS_UPDT_TRIG: 0x79,
  /** The revision of the microcode: `MSR_IA32_UCODE_REV` of Linux, the patch level of AMD. */
  IA32_BIOS_SIGN_ID: 0x8b,
  /** The dual-monitor treatment of system management. */
  IA32_SMM_MONITOR_CTL: 0x9b,
  /** The address of the system-management state. */
  IA32_SMBASE: 0x9e,
  /** The first performance counter. */
  IA32_PMC0: 0xc1,
  /** The ratio of the time-stamp counter to the bus, and whether `cpuid` can fault. */
  PLATFORM_INFO: 0xce,
  /** Features that no leaf of CPUID tells: split-lock detection. */
  IA32_CORE_CAPABILITIES: 0xcf,
  /** How long `umwait` and `tpause` may wait. */
  IA32_UMWAIT_CONTROL: 0xe1,
  /** Actual frequency over maximum: the counter at the maximum. */
  IA32_MPERF: 0xe7,
  /** Actual frequency over maximum: the counter at the actual one. */
  IA32_APERF: 0xe8,
  /** Memory types: how many variable ranges there are, whether there are fixed ones. */
  IA32_MTRRCAP: 0xfe,
  /** Which faults of speculation the processor does not have. */
  IA32_ARCH_CAPABILITIES: 0x10a,
  /** Commands to caches: writes back and empties the L1 data cache. */
  IA32_FLUSH_CMD: 0x10b,
  /** Transactional memory: off, and hidden from CPUID. */
  IA32_TSX_CTRL: 0x122,
  /** Mitigations of SRBDS and others. */
  IA32_MCU_OPT_CTRL: 0x123,
  /** Whether `cpuid` faults, and other features of user mode. */
  MISC_FEATURES_ENABLES: 0x140,
  /** `sysenter`: the code segment. */
  IA32_SYSENTER_CS: 0x174,
  /** `sysenter`: the stack. */
  IA32_SYSENTER_ESP: 0x175,
  /** `sysenter`: where it goes. */
  IA32_SYSENTER_EIP: 0x176,
  /** Machine checks: number of banks, abilities. */
  IA32_MCG_CAP: 0x179,
  /** Machine checks: what is under way. */
  IA32_MCG_STATUS: 0x17a,
  /** Machine checks: which sources report. */
  IA32_MCG_CTL: 0x17b,
  /** What the first performance counter counts. */
  IA32_PERFEVTSEL0: 0x186,
  /** The performance state that is. */
  IA32_PERF_STATUS: 0x198,
  /** The performance state that is asked for. */
  IA32_PERF_CTL: 0x199,
  /** Interrupts at temperatures. */
  IA32_THERM_INTERRUPT: 0x19b,
  /** The core's temperature. */
  IA32_THERM_STATUS: 0x19c,
  /** Features on and off: `monitor`, fast strings, limit of CPUID. */
  IA32_MISC_ENABLE: 0x1a0,
  /** Performance or economy, 0 to 15. */
  IA32_ENERGY_PERF_BIAS: 0x1b0,
  /** FRED: the stack of level 0; the next three are those of the others. */
  IA32_FRED_RSP0: 0x1cc,
  /** FRED: entry point and settings. */
  IA32_FRED_CONFIG: 0x1d4,
  /** Components of extended state whose use faults. */
  IA32_XFD: 0x1c4,
  /** Components whose use has faulted. */
  IA32_XFD_ERR: 0x1c5,
  /** Recording of branches, single step on branches. */
  IA32_DEBUGCTL: 0x1d9,
  /** Where the last branch came from. */
  LASTBRANCHFROMIP: 0x1db,
  /** Where the last branch went to. */
  LASTBRANCHTOIP: 0x1dc,
  /** Where the last branch before an exception came from. */
  LASTINTFROMIP: 0x1dd,
  /** Where the last branch before an exception went to. */
  LASTINTTOIP: 0x1de,
  /** Power management: C1E. */
  IA32_POWER_CTL: 0x1fc,
  /** Memory types: base and type of the first variable range; ranges are 2 apart. */
  IA32_MTRR_PHYSBASE0: 0x200,
  /** Memory types: size of the first variable range, and whether it counts. */
  IA32_MTRR_PHYSMASK0: 0x201,
  /** Memory types of 0 to 0x7ffff, 64 KiB a byte. */
  IA32_MTRR_FIX64K_00000: 0x250,
  /** Memory types of 0x80000 to 0x9ffff, 16 KiB a byte. */
  IA32_MTRR_FIX16K_80000: 0x258,
  /** Memory types of 0xa0000 to 0xbffff, 16 KiB a byte. */
  IA32_MTRR_FIX16K_A0000: 0x259,
  /** Memory types of 0xc0000 to 0xc7fff, 4 KiB a byte; the next seven go on to 0xfffff. */
  IA32_MTRR_FIX4K_C0000: 0x268,
  /** The page attribute table: what memory type the bits of a page choose. */
  IA32_PAT: 0x277,
  /** Corrected machine checks of the first bank: threshold and interrupt. */
  IA32_MC0_CTL2: 0x280,
  /** Memory types: the default, and whether ranges count. */
  IA32_MTRR_DEF_TYPE: 0x2ff,
  /** The first fixed performance counter: instructions. */
  IA32_FIXED_CTR0: 0x309,
  /** What the performance counters can do besides. */
  IA32_PERF_CAPABILITIES: 0x345,
  /** What the fixed performance counters count. */
  IA32_FIXED_CTR_CTRL: 0x38d,
  /** Which performance counters have overflown. */
  IA32_PERF_GLOBAL_STATUS: 0x38e,
  /** Which performance counters run. */
  IA32_PERF_GLOBAL_CTRL: 0x38f,
  /** Clears overflows of performance counters. */
  IA32_PERF_GLOBAL_OVF_CTRL: 0x390,
  /** Which performance counters take precise samples. */
  IA32_PEBS_ENABLE: 0x3f1,
  /** What a precise sample has in it. */
  PEBS_DATA_CFG: 0x3f2,
  /** Machine checks of the first bank: which errors report; banks are 4 apart. */
  IA32_MC0_CTL: 0x400,
  /** Machine checks of the first bank: the error. */
  IA32_MC0_STATUS: 0x401,
  /** Machine checks of the first bank: its address. */
  IA32_MC0_ADDR: 0x402,
  /** Machine checks of the first bank: more about it. */
  IA32_MC0_MISC: 0x403,
  /** VMX: revision and size of a VMCS. The next seventeen tell what else VMX can do. */
  IA32_VMX_BASIC: 0x480,
  /** VMX: pin-based controls. */
  IA32_VMX_PINBASED_CTLS: 0x481,
  /** VMX: processor-based controls. */
  IA32_VMX_PROCBASED_CTLS: 0x482,
  /** VMX: controls of exits. */
  IA32_VMX_EXIT_CTLS: 0x483,
  /** VMX: controls of entries. */
  IA32_VMX_ENTRY_CTLS: 0x484,
  /** VMX: the timer, activity states, number of CR3 targets. */
  IA32_VMX_MISC: 0x485,
  /** VMX: bits of CR0 that must be 1. */
  IA32_VMX_CR0_FIXED0: 0x486,
  /** VMX: bits of CR0 that may be 1. */
  IA32_VMX_CR0_FIXED1: 0x487,
  /** VMX: bits of CR4 that must be 1. */
  IA32_VMX_CR4_FIXED0: 0x488,
  /** VMX: bits of CR4 that may be 1. */
  IA32_VMX_CR4_FIXED1: 0x489,
  /** VMX: the highest index of a field. */
  IA32_VMX_VMCS_ENUM: 0x48a,
  /** VMX: secondary processor-based controls. */
  IA32_VMX_PROCBASED_CTLS2: 0x48b,
  /** VMX: abilities of EPT and VPID. */
  IA32_VMX_EPT_VPID_CAP: 0x48c,
  /** VMX: pin-based controls, with those that may be 0. */
  IA32_VMX_TRUE_PINBASED_CTLS: 0x48d,
  /** VMX: processor-based controls, with those that may be 0. */
  IA32_VMX_TRUE_PROCBASED_CTLS: 0x48e,
  /** VMX: controls of exits, with those that may be 0. */
  IA32_VMX_TRUE_EXIT_CTLS: 0x48f,
  /** VMX: controls of entries, with those that may be 0. */
  IA32_VMX_TRUE_ENTRY_CTLS: 0x490,
  /** VMX: functions that a guest may call. */
  IA32_VMX_VMFUNC: 0x491,
  /** Machine checks: local delivery. */
  IA32_MCG_EXT_CTL: 0x4d0,
  /** Processor trace: where the trace goes. */
  IA32_RTIT_OUTPUT_BASE: 0x560,
  /** Processor trace: how far it has come. */
  IA32_RTIT_OUTPUT_MASK_PTRS: 0x561,
  /** Processor trace: on, and what it has in it. */
  IA32_RTIT_CTL: 0x570,
  /** Processor trace: its state. */
  IA32_RTIT_STATUS: 0x571,
  /** Processor trace: the address space that is traced. */
  IA32_RTIT_CR3_MATCH: 0x572,
  /** Processor trace: the start of the first range; its end follows, and three more ranges. */
  IA32_RTIT_ADDR0_A: 0x580,
  /** Where samples and branches are stored. */
  IA32_DS_AREA: 0x600,
  /** Shadow stacks and branch tracking of user mode. */
  IA32_U_CET: 0x6a0,
  /** Shadow stacks and branch tracking of supervisor mode. */
  IA32_S_CET: 0x6a2,
  /** The shadow stack of ring 0; the next three are those of the other rings. */
  IA32_PL0_SSP: 0x6a4,
  /** Where the table of shadow stacks for interrupts is. */
  IA32_INTERRUPT_SSP_TABLE_ADDR: 0x6a8,
  /** When the local APIC's timer fires, as a value of the time-stamp counter. */
  IA32_TSC_DEADLINE: 0x6e0,
  /** x2APIC: the APIC id. Register `n` of the APIC's page is at 0x800 + `n` / 16. */
  IA32_X2APIC_APICID: 0x802,
  /** x2APIC: sends an interrupt. */
  IA32_X2APIC_ICR: 0x830,
  /** Bounds checking of supervisor mode. */
  IA32_BNDCFGS: 0xd90,
  /** The address space of `enqcmd`. */
  IA32_PASID: 0xd93,
  /** Components of supervisor state that `xsaves` saves. */
  IA32_XSS: 0xda0,
  /** Long mode, `syscall`, no-execute, SVM. */
  IA32_EFER: 0xc000_0080,
  /** `syscall`: the segments, and where it goes in legacy mode. */
  IA32_STAR: 0xc000_0081,
  /** `syscall`: where it goes in long mode. */
  IA32_LSTAR: 0xc000_0082,
  /** `syscall`: where it goes in compatibility mode. */
  IA32_CSTAR: 0xc000_0083,
  /** `syscall`: the flags that it clears, `MSR_SYSCALL_MASK` of Linux. */
  IA32_FMASK: 0xc000_0084,
  /** The base of FS. */
  IA32_FS_BASE: 0xc000_0100,
  /** The base of GS. */
  IA32_GS_BASE: 0xc000_0101,
  /** What `swapgs` exchanges with the base of GS. */
  IA32_KERNEL_GS_BASE: 0xc000_0102,
  /** What `rdtscp` and `rdpid` give. */
  IA32_TSC_AUX: 0xc000_0103,
  /** The guest's time-stamp counter as a fraction of the host's (AMD). */
  TSC_RATIO: 0xc000_0104,
  /** Performance counters, version 2: which have overflown (AMD). */
  PERF_CNTR_GLOBAL_STATUS: 0xc000_0300,
  /** Performance counters, version 2: which run (AMD). */
  PERF_CNTR_GLOBAL_CTL: 0xc000_0301,
  /** Performance counters, version 2: clears overflows (AMD). */
  PERF_CNTR_GLOBAL_STATUS_CLR: 0xc000_0302,
  /** Performance counters, version 2: sets overflows (AMD). */
  PERF_CNTR_GLOBAL_STATUS_SET: 0xc000_0303,
  /** What the first of four performance counters counts (AMD). */
  PERF_LEGACY_CTL0: 0xc001_0000,
  /** The first of four performance counters (AMD). */
  PERF_LEGACY_CTR0: 0xc001_0004,
  /** System configuration: memory encryption (AMD). */
  SYSCFG: 0xc001_0010,
  /** Hardware configuration: locks, boost (AMD). */
  HWCR: 0xc001_0015,
  /** The end of memory below 4 GiB (AMD). */
  TOP_MEM: 0xc001_001a,
  /** The end of memory above 4 GiB (AMD). */
  TOP_MEM2: 0xc001_001d,
  /** Configuration of the northbridge (AMD). */
  NB_CFG: 0xc001_001f,
  /** Loads microcode (AMD). */
  PATCH_LOADER: 0xc001_0020,
  /** The address of the system-management state (AMD). */
  SMM_BASE: 0xc001_0111,
  /** Memory of system management: its address (AMD). */
  SMM_ADDR: 0xc001_0112,
  /** Memory of system management: its size (AMD). */
  SMM_MASK: 0xc001_0113,
  /** Whether SVM may be used (AMD). */
  VM_CR: 0xc001_0114,
  /** Where `vmrun` keeps the state of the host (AMD). */
  VM_HSAVE_PA: 0xc001_0117,
  /** Speculation in guests: SSBD (AMD). */
  VIRT_SPEC_CTRL: 0xc001_011f,
  /** The page that an encrypted guest shares with its hypervisor (AMD). */
  GHCB: 0xc001_0130,
  /** Whether SEV, SEV-ES and SNP are on (AMD). */
  SEV_STATUS: 0xc001_0131,
  /** Known errata: how many bits there are (AMD). */
  OSVW_ID_LENGTH: 0xc001_0140,
  /** Known errata (AMD). */
  OSVW_STATUS: 0xc001_0141,
  /** What the first of six performance counters counts; counters are 2 apart (AMD). */
  PERF_CTL0: 0xc001_0200,
  /** The first of six performance counters (AMD). */
  PERF_CTR0: 0xc001_0201,
  /** Configuration of decoding: whether `lfence` serialises (AMD). */
  DE_CFG: 0xc001_1029,
  /** Where KVM writes the wall clock. */
  KVM_WALL_CLOCK_NEW: 0x4b56_4d00,
  /** The page of the paravirtual clock, and whether it is on. */
  KVM_SYSTEM_TIME_NEW: 0x4b56_4d01,
  /** Asynchronous page faults: where they are told, and whether. */
  KVM_ASYNC_PF_EN: 0x4b56_4d02,
  /** Where KVM tells stolen time, and whether. */
  KVM_STEAL_TIME: 0x4b56_4d03,
  /** The end of interrupts without an exit: where, and whether. */
  KVM_PV_EOI_EN: 0x4b56_4d04,
  /** Whether the host polls when the guest halts. */
  KVM_POLL_CONTROL: 0x4b56_4d05,
  /** Asynchronous page faults: the interrupt's vector. */
  KVM_ASYNC_PF_INT: 0x4b56_4d06,
  /** Asynchronous page faults: the next may come. */
  KVM_ASYNC_PF_ACK: 0x4b56_4d07,
  /** Whether an encrypted guest may move. */
  KVM_MIGRATION_CONTROL: 0x4b56_4d08,
  /** Hyper-V: the guest's operating system. */
  HV_GUEST_OS_ID: 0x4000_0000,
  /** Hyper-V: the page of hypercalls. */
  HV_HYPERCALL: 0x4000_0001,
  /** Hyper-V: the processor's number. */
  HV_VP_INDEX: 0x4000_0002,
  /** Hyper-V: resets the machine. */
  HV_RESET: 0x4000_0003,
  /** Hyper-V: time that the processor has run. */
  HV_VP_RUNTIME: 0x4000_0010,
  /** Hyper-V: the reference counter, in units of 100 ns. */
  HV_TIME_REF_COUNT: 0x4000_0020,
  /** Hyper-V: the page that makes reference time of the time-stamp counter. */
  HV_REFERENCE_TSC: 0x4000_0021,
  /** Hyper-V: the time-stamp counter's frequency in Hz. */
  HV_TSC_FREQUENCY: 0x4000_0022,
  /** Hyper-V: the APIC timer's frequency in Hz. */
  HV_APIC_FREQUENCY: 0x4000_0023,
  /** Hyper-V: end of interrupt. */
  HV_EOI: 0x4000_0070,
  /** Hyper-V: sends an interrupt. */
  HV_ICR: 0x4000_0071,
  /** Hyper-V: task priority. */
  HV_TPR: 0x4000_0072,
  /** Hyper-V: the assist page. */
  HV_VP_ASSIST_PAGE: 0x4000_0073,
  /** Hyper-V: whether the synthetic interrupt controller is on. */
  HV_SCONTROL: 0x4000_0080,
  /** Hyper-V: the first of sixteen synthetic interrupts. */
  HV_SINT0: 0x4000_0090,
  /** Hyper-V: configuration of the first of four synthetic timers; timers are 2 apart. */
  HV_STIMER0_CONFIG: 0x4000_00b0,
  /** Hyper-V: the first synthetic timer. */
  HV_STIMER0_COUNT: 0x4000_00b1,
  /** Hyper-V: the synthetic debugger: what it shall do. */
  HV_SYNDBG_CONTROL: 0x4000_00f1,
  /** Hyper-V: the synthetic debugger: what it has done. */
  HV_SYNDBG_STATUS: 0x4000_00f2,
  /** Hyper-V: the synthetic debugger: what is to be sent. */
  HV_SYNDBG_SEND_BUFFER: 0x4000_00f3,
  /** Hyper-V: the synthetic debugger: where what comes is stored. */
  HV_SYNDBG_RECV_BUFFER: 0x4000_00f4,
  /** Hyper-V: the synthetic debugger: where it says that something is there. */
  HV_SYNDBG_PENDING_BUFFER: 0x4000_00f5,
  /** Hyper-V: the synthetic debugger: its options. */
  HV_SYNDBG_OPTIONS: 0x4000_00ff,
  /** Hyper-V: the first of five parameters of a crash. */
  HV_CRASH_P0: 0x4000_0100,
  /** Hyper-V: tells a crash. */
  HV_CRASH_CTL: 0x4000_0105,
  /** Hyper-V: an interrupt when the machine has moved. */
  HV_REENLIGHTENMENT_CONTROL: 0x4000_0106,
  /** Hyper-V: accesses to the time-stamp counter are emulated after a move. */
  HV_TSC_EMULATION_CONTROL: 0x4000_0107,
  /** Hyper-V: whether they are emulated now. */
  HV_TSC_EMULATION_STATUS: 0x4000_0108,
  /** Hyper-V: whether the invariant time-stamp counter is told. */
  HV_TSC_INVARIANT_CONTROL: 0x4000_0118,
} as const;

/** The number of a register that `Msr` names. */
export type Msr = (typeof Msr)[keyof typeof Msr];
