//! Every capability of the bindings with the name that TypeScript gives it.

/// Where a capability means something.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// On x86_64 and aarch64; on others, too, mostly.
    All,
    /// x86_64.
    X86,
    /// aarch64.
    Arm,
    /// PowerPC.
    Ppc,
    /// s390x.
    S390,
    /// MIPS.
    Mips,
    /// RISC-V.
    Riscv,
}

/// One capability: what `KVM_CHECK_EXTENSION` is asked about.
pub struct Capability {
    /// Name in TypeScript; where `kvm_ioctls::Cap` has one, the same.
    pub name: &'static str,
    /// Name in `<linux/kvm.h>`.
    pub kernel: &'static str,
    /// The number that the kernel knows it by.
    pub number: u32,
    /// Where it means something, as Linux 6.12 answers `KVM_CHECK_EXTENSION`.
    pub architecture: Architecture,
    /// What it tells, or what enabling it does, as a sentence without its full stop.
    pub doc: &'static str,
}

macro_rules! architecture {
    (all) => {
        Architecture::All
    };
    (x86) => {
        Architecture::X86
    };
    (arm) => {
        Architecture::Arm
    };
    (ppc) => {
        Architecture::Ppc
    };
    (s390) => {
        Architecture::S390
    };
    (mips) => {
        Architecture::Mips
    };
    (riscv) => {
        Architecture::Riscv
    };
}

/// What the kernel's header has on x86_64; elsewhere it leaves out a few, whose numbers nobody else has.
mod numbers {
    pub(super) use kvm_bindings::*;

    #[cfg(not(target_arch = "x86_64"))]
    mod left_out {
        pub const KVM_CAP_REINJECT_CONTROL: u32 = 24;
        pub const KVM_CAP_MCE: u32 = 31;
        pub const KVM_CAP_PIT2: u32 = 33;
        pub const KVM_CAP_PIT_STATE2: u32 = 35;
        pub const KVM_CAP_XEN_HVM: u32 = 38;
        pub const KVM_CAP_DEBUGREGS: u32 = 50;
        pub const KVM_CAP_XSAVE: u32 = 55;
        pub const KVM_CAP_XCRS: u32 = 56;
    }
    #[cfg(not(target_arch = "x86_64"))]
    pub(super) use left_out::*;
}

macro_rules! capabilities {
    ($($name:ident $kernel:ident $architecture:ident $doc:literal,)*) => {
        &[$(Capability {
            name: stringify!($name),
            kernel: stringify!($kernel),
            number: numbers::$kernel,
            architecture: architecture!($architecture),
            doc: $doc,
        }),*]
    };
}

/// The same list, and a compile-time proof that each name means the same number in `kvm_ioctls::Cap`.
macro_rules! capabilities_of_crate {
    ($($name:ident $kernel:ident $architecture:ident $doc:literal,)*) => {
        $(
            // Elsewhere the crate lacks those of x86_64.
            #[cfg(target_arch = "x86_64")]
            const _: () = assert!(kvm_ioctls::Cap::$name as u32 == kvm_bindings::$kernel);
        )*

        /// The capabilities that `kvm_ioctls::Cap` names on x86_64.
        pub const NAMED_BY_CRATE: &[Capability] =
            capabilities! { $($name $kernel $architecture $doc,)* };
    };
}

capabilities_of_crate! {
    Irqchip KVM_CAP_IRQCHIP all "An interrupt controller in the kernel can be made: `vm.createIrqChip()`",
    Hlt KVM_CAP_HLT x86 "The `hlt` exit is reported",
    MmuShadowCacheControl KVM_CAP_MMU_SHADOW_CACHE_CONTROL x86 "The number of shadow page-table pages can be set",
    UserMemory KVM_CAP_USER_MEMORY all "Guest memory comes from user space: `vm.memory.map()`. KVM without it cannot be used",
    SetTssAddr KVM_CAP_SET_TSS_ADDR x86 "The address of the three pages that Intel hosts need for real mode can be set: `vm.setTssAddress()`",
    Vapic KVM_CAP_VAPIC x86 "Accesses to the task priority register of the local APIC can be exits: `vcpu.setTprAccessReporting()`; it can be kept in guest memory, too: `vcpu.setVapicAddress()`",
    ExtCpuid KVM_CAP_EXT_CPUID x86 "The supported CPUID leaves can be listed: `kvm.getSupportedCpuid()`",
    Clocksource KVM_CAP_CLOCKSOURCE x86 "The paravirtual clock (kvmclock) is offered to guests",
    NrVcpus KVM_CAP_NR_VCPUS all "The number of vCPUs that is recommended at most: `kvm.getNrVcpus()`",
    NrMemslots KVM_CAP_NR_MEMSLOTS all "The number of memory slots of a VM: `kvm.getNrMemslots()`",
    Pit KVM_CAP_PIT x86 "The first interface of the timer in the kernel, superseded by `Pit2`",
    NopIoDelay KVM_CAP_NOP_IO_DELAY x86 "Accesses to port 0x80 are needless as a delay",
    PvMmu KVM_CAP_PV_MMU x86 "Paravirtual page-table updates, no longer in use",
    MpState KVM_CAP_MP_STATE all "The multiprocessing state can be read and set: `vcpu.getMpState()`",
    CoalescedMmio KVM_CAP_COALESCED_MMIO all "Writes to chosen MMIO ranges can be collected in a ring without an exit: `posted` of `vm.mmio.attach()`; the value is the page of the ring",
    SyncMmu KVM_CAP_SYNC_MMU all "Changes of the host mapping (`munmap`, `madvise`, migration) reach the guest",
    Iommu KVM_CAP_IOMMU x86 "Device assignment through the old interface, no longer in use",
    DestroyMemoryRegionWorks KVM_CAP_DESTROY_MEMORY_REGION_WORKS all "A memory slot can be removed by setting its size to 0",
    UserNmi KVM_CAP_USER_NMI x86 "A non-maskable interrupt can be injected: `vcpu.nmi()`",
    SetGuestDebug KVM_CAP_SET_GUEST_DEBUG all "Single step and breakpoints: `vcpu.setGuestDebug()`",
    ReinjectControl KVM_CAP_REINJECT_CONTROL x86 "Whether the timer in the kernel makes up for lost ticks can be chosen",
    IrqRouting KVM_CAP_IRQ_ROUTING all "The routes from interrupt lines to pins and messages can be set: `vm.setGsiRouting()`; the value is how many",
    IrqInjectStatus KVM_CAP_IRQ_INJECT_STATUS x86 "Setting an interrupt line says whether the interrupt was delivered, joined to another, or masked",
    AssignDevIrq KVM_CAP_ASSIGN_DEV_IRQ x86 "Device assignment through the old interface, no longer in use",
    JoinMemoryRegionsWorks KVM_CAP_JOIN_MEMORY_REGIONS_WORKS all "Two adjacent memory slots can be replaced by one",
    Mce KVM_CAP_MCE x86 "Machine-check banks can be set up for a vCPU; the value is how many",
    Irqfd KVM_CAP_IRQFD all "An eventfd can raise an interrupt: `vm.registerIrqfd()`",
    Pit2 KVM_CAP_PIT2 x86 "The timer in the kernel can be made: `vm.createPit2()`",
    SetBootCpuId KVM_CAP_SET_BOOT_CPU_ID x86 "The vCPU that starts the guest can be chosen",
    PitState2 KVM_CAP_PIT_STATE2 x86 "The state of the timer in the kernel can be read and set: `vm.getPit2()`",
    Ioeventfd KVM_CAP_IOEVENTFD all "A guest write can signal an eventfd without an exit: `vm.registerIoevent()`",
    SetIdentityMapAddr KVM_CAP_SET_IDENTITY_MAP_ADDR x86 "The address of the identity page table that Intel hosts need can be set: `vm.setIdentityMapAddress()`",
    XenHvm KVM_CAP_XEN_HVM x86 "Xen guests: `vm.setXenHypercallExits()`; the value has one bit for each Xen interface offered",
    AdjustClock KVM_CAP_ADJUST_CLOCK x86 "The guest clock can be read and set: `vm.getClock()`; the value has the flags that are supported",
    InternalErrorData KVM_CAP_INTERNAL_ERROR_DATA all "An `internalError` exit carries data",
    VcpuEvents KVM_CAP_VCPU_EVENTS all "Pending exceptions, interrupts and NMIs can be read and set: `vcpu.getVcpuEvents()`",
    S390Psw KVM_CAP_S390_PSW s390 "The run page carries the program status word",
    PpcSegstate KVM_CAP_PPC_SEGSTATE ppc "The segment registers of Book3S can be read and set",
    Hyperv KVM_CAP_HYPERV x86 "Hyper-V interfaces can be offered to the guest",
    HypervVapic KVM_CAP_HYPERV_VAPIC x86 "The APIC registers of Hyper-V can be offered to the guest",
    HypervSpin KVM_CAP_HYPERV_SPIN x86 "The spin-lock hint of Hyper-V can be offered to the guest",
    PciSegment KVM_CAP_PCI_SEGMENT x86 "Device assignment with PCI segments, no longer in use",
    PpcPairedSingles KVM_CAP_PPC_PAIRED_SINGLES ppc "Guests can use the paired-single instructions of Gekko processors",
    IntrShadow KVM_CAP_INTR_SHADOW x86 "The interrupt shadow (after `sti`, `mov ss`) is part of the vCPU events; kernels have it without saying so",
    Debugregs KVM_CAP_DEBUGREGS x86 "The debug registers can be read and set: `vcpu.getDebugRegs()`",
    X86RobustSinglestep KVM_CAP_X86_ROBUST_SINGLESTEP x86 "Single step stays reliable when the guest changes its own trap flag",
    PpcOsi KVM_CAP_PPC_OSI ppc "Mac-on-Linux calls of the guest can become `osi` exits; enable it on the vCPU",
    PpcUnsetIrq KVM_CAP_PPC_UNSET_IRQ ppc "The external interrupt line of a vCPU can be lowered again",
    EnableCap KVM_CAP_ENABLE_CAP x86 "Capabilities can be enabled on a vCPU: `vcpu.enableCap()`",
    Xsave KVM_CAP_XSAVE x86 "The extended processor state can be read and set: `vcpu.getXsave()`",
    Xcrs KVM_CAP_XCRS x86 "The extended control registers can be read and set: `vcpu.getXcrs()`",
    PpcGetPvinfo KVM_CAP_PPC_GET_PVINFO ppc "The instructions of a hypercall can be asked for, to be told to the guest",
    PpcIrqLevel KVM_CAP_PPC_IRQ_LEVEL ppc "The external interrupt of a vCPU stays raised until it is lowered",
    AsyncPf KVM_CAP_ASYNC_PF x86 "Asynchronous page faults are offered to guests",
    TscControl KVM_CAP_TSC_CONTROL x86 "The frequency of the time-stamp counter can be set for a vCPU: `vcpu.setTscKhz()`",
    GetTscKhz KVM_CAP_GET_TSC_KHZ x86 "The frequency of the time-stamp counter can be read: `vcpu.getTscKhz()`",
    PpcBookeSregs KVM_CAP_PPC_BOOKE_SREGS ppc "The special registers of Book E can be read and set",
    SpaprTce KVM_CAP_SPAPR_TCE ppc "Tables of I/O translations (TCE) can be made in the kernel",
    PpcSmt KVM_CAP_PPC_SMT ppc "The number of hardware threads in a virtual core; enable it on the VM to set it",
    PpcRma KVM_CAP_PPC_RMA ppc "Contiguous real-mode memory can be allocated: 1 if it may be, 2 if it must be",
    MaxVcpus KVM_CAP_MAX_VCPUS all "The number of vCPUs possible at most: `kvm.getMaxVcpus()`",
    PpcHior KVM_CAP_PPC_HIOR ppc "The interrupt offset register can be set",
    PpcPapr KVM_CAP_PPC_PAPR ppc "The vCPU follows PAPR: hypercalls become `paprHcall` exits; enable it on the vCPU",
    SwTlb KVM_CAP_SW_TLB ppc "The TLB of Book E is shared with user space; enabled on the vCPU with the addresses of two structures",
    OneReg KVM_CAP_ONE_REG all "Single registers can be read and set by id: `vcpu.getOneReg()`",
    S390Gmap KVM_CAP_S390_GMAP s390 "Memory faults of the guest do not depend on a contiguous host mapping",
    TscDeadlineTimer KVM_CAP_TSC_DEADLINE_TIMER x86 "The local APIC has the TSC-deadline timer mode",
    S390Ucontrol KVM_CAP_S390_UCONTROL s390 "VMs whose memory user space controls wholly can be made: a type of `kvm.createVm()`",
    SyncRegs KVM_CAP_SYNC_REGS x86 "Registers come and go through the run page without an ioctl; the value has one bit for each set (`SYNC_REGS`)",
    Pci23 KVM_CAP_PCI_2_3 x86 "Device assignment with shared PCI interrupts, no longer in use",
    KvmclockCtrl KVM_CAP_KVMCLOCK_CTRL x86 "The guest can be told that it was stopped, so that its watchdogs stay quiet: `vcpu.kvmclockCtrl()`",
    SignalMsi KVM_CAP_SIGNAL_MSI all "A message-signalled interrupt can be sent: `vm.signalMsi()`",
    PpcGetSmmuInfo KVM_CAP_PPC_GET_SMMU_INFO ppc "The page sizes of the MMU can be listed",
    S390Cow KVM_CAP_S390_COW s390 "Guest memory may be copy-on-write",
    PpcAllocHtab KVM_CAP_PPC_ALLOC_HTAB ppc "The hashed page table of the guest can be allocated with a chosen size",
    ReadonlyMem KVM_CAP_READONLY_MEM all "Memory can be read-only to the guest: `readOnly` of `vm.memory.map()`",
    IrqfdResample KVM_CAP_IRQFD_RESAMPLE all "Level-triggered interrupts by eventfd: the third argument of `vm.registerIrqfd()`",
    PpcBookeWatchdog KVM_CAP_PPC_BOOKE_WATCHDOG ppc "The watchdog of Book E can become `watchdog` exits; enable it on the vCPU",
    PpcHtabFd KVM_CAP_PPC_HTAB_FD ppc "The hashed page table of the guest can be read and written through a file descriptor",
    S390CssSupport KVM_CAP_S390_CSS_SUPPORT s390 "Channel-subsystem instructions become exits; enable it on the vCPU",
    PpcEpr KVM_CAP_PPC_EPR ppc "Reads of the external proxy register become `epr` exits; enabled on the vCPU with 1",
    ArmPsci KVM_CAP_ARM_PSCI arm "A vCPU can have PSCI 0.1, the interface that powers processors on and off",
    ArmSetDeviceAddr KVM_CAP_ARM_SET_DEVICE_ADDR arm "The address of the GICv2 can be set by the first interface, superseded by device attributes",
    DeviceCtrl KVM_CAP_DEVICE_CTRL all "Devices in the kernel can be made and configured by attributes: `vm.createDevice()`",
    IrqMpic KVM_CAP_IRQ_MPIC ppc "An MPIC in the kernel can be connected to a vCPU; enabled with its descriptor and the vCPU's number",
    PpcRtas KVM_CAP_PPC_RTAS ppc "RTAS calls of the guest can be handled in the kernel",
    IrqXics KVM_CAP_IRQ_XICS ppc "A XICS in the kernel can be connected to a vCPU; enabled with its descriptor and the vCPU's number",
    ArmEl132bit KVM_CAP_ARM_EL1_32BIT arm "The guest can run 32-bit code at EL1: a feature of `vcpu.vcpuInit()`",
    SpaprMultitce KVM_CAP_SPAPR_MULTITCE ppc "The hypercalls that change several I/O translations are handled in the kernel",
    ExtEmulCpuid KVM_CAP_EXT_EMUL_CPUID x86 "The emulated CPUID leaves can be listed: `kvm.getEmulatedCpuid()`",
    HypervTime KVM_CAP_HYPERV_TIME x86 "The reference counter and TSC page of Hyper-V can be offered to the guest",
    IoapicPolarityIgnored KVM_CAP_IOAPIC_POLARITY_IGNORED x86 "The IOAPIC in the kernel ignores the polarity bit: lines are active high always",
    EnableCapVm KVM_CAP_ENABLE_CAP_VM all "Capabilities can be enabled on a VM: `vm.enableCap()`",
    S390Irqchip KVM_CAP_S390_IRQCHIP s390 "An interrupt controller in the kernel can be made; enable it on the VM first",
    IoeventfdNoLength KVM_CAP_IOEVENTFD_NO_LENGTH x86 "`vm.registerIoevent()` with length 0 matches writes of any size",
    VmAttributes KVM_CAP_VM_ATTRIBUTES all "A VM has attributes that can be read and set: on aarch64 `vm.setDeviceAttr()`",
    ArmPsci02 KVM_CAP_ARM_PSCI_0_2 arm "A vCPU can have PSCI 0.2 or later, a feature of `vcpu.vcpuInit()`",
    PpcFixupHcall KVM_CAP_PPC_FIXUP_HCALL ppc "A guest of the other byte order can make hypercalls",
    PpcEnableHcall KVM_CAP_PPC_ENABLE_HCALL ppc "Which hypercalls the kernel handles can be chosen; enabled on the VM with the number and 0 or 1",
    CheckExtensionVm KVM_CAP_CHECK_EXTENSION_VM all "Capabilities can be asked of a VM: `vm.checkExtension()`",
    S390UserSigp KVM_CAP_S390_USER_SIGP s390 "Most signal-processor orders become exits; enable it on the VM",
    X86Smm KVM_CAP_X86_SMM x86 "System management mode is emulated: `vcpu.smi()`",
    DebugHwBps KVM_CAP_GUEST_DEBUG_HW_BPS arm "The number of hardware breakpoints that `vcpu.setGuestDebug()` takes",
    DebugHwWps KVM_CAP_GUEST_DEBUG_HW_WPS arm "The number of hardware watchpoints that `vcpu.setGuestDebug()` takes",
    SplitIrqchip KVM_CAP_SPLIT_IRQCHIP x86 "Local APICs in the kernel, PIC and IOAPIC in user space: `vm.createSplitIrqchip()`",
    HypervSynic KVM_CAP_HYPERV_SYNIC x86 "The synthetic interrupt controller of Hyper-V can be offered to the guest",
    ArmPmuV3 KVM_CAP_ARM_PMU_V3 arm "A vCPU can have performance counters (PMUv3), a feature of `vcpu.vcpuInit()`",
    MaxVcpuId KVM_CAP_MAX_VCPU_ID all "The highest vCPU id plus one: `kvm.getMaxVcpuId()`; a lower one for a VM by `maxVcpuId` of `vm.configureX86()` needs less memory",
    X2ApicApi KVM_CAP_X2APIC_API x86 "Interrupt messages can have 32-bit APIC ids: `x2apic` of `vm.configureX86()`; the value has one bit for each ability",
    MsiDevid KVM_CAP_MSI_DEVID arm "`vm.signalMsi()` and routes need a device id; asked of a VM that has an ITS",
    ImmediateExit KVM_CAP_IMMEDIATE_EXIT all "The run page has the immediate-exit byte: a kick cannot be lost",
    HypervSynic2 KVM_CAP_HYPERV_SYNIC2 x86 "The synthetic interrupt controller of Hyper-V without a flawed page clearing",
    GetMsrFeatures KVM_CAP_GET_MSR_FEATURES x86 "Feature MSRs can be listed and read: `kvm.getMsrFeatureIndexList()`, `kvm.getMsrs()`",
    NestedState KVM_CAP_NESTED_STATE x86 "The state of a nested hypervisor can be read and set: `vcpu.getNestedState()`; the value is its size in bytes at most",
    CoalescedPio KVM_CAP_COALESCED_PIO all "Writes to chosen I/O ports can be collected in a ring without an exit: `posted` of `vm.io.attach()`",
    ArmVmIPASize KVM_CAP_ARM_VM_IPA_SIZE arm "The size of a VM's guest-physical addresses can be chosen; the value is the largest, in bits",
    X86UserSpaceMsr KVM_CAP_X86_USER_SPACE_MSR x86 "MSR accesses can become exits: `vm.setUserSpaceMsr()`, then `x86Rdmsr` and `x86Wrmsr` arrive",
    X86MsrFilter KVM_CAP_X86_MSR_FILTER x86 "The MSRs that a guest may access can be filtered: `vm.setMsrFilter()`",
    DirtyLogRing KVM_CAP_DIRTY_LOG_RING x86 "Dirty pages can be reported in a ring for each vCPU: `vm.enableDirtyRing()`; the value is its largest size in bytes",
    ExitHypercall KVM_CAP_EXIT_HYPERCALL x86 "Chosen hypercalls can become exits: `vm.setHypercallExits()`; the value has one bit for each",
    Xsave2 KVM_CAP_XSAVE2 x86 "The extended processor state can be larger than 4096 bytes; the value is its size",
    CounterOffset KVM_CAP_COUNTER_OFFSET arm "The offset of the virtual and physical counters can be set for a VM",
    UserMemory2 KVM_CAP_USER_MEMORY2 all "Memory slots can have a guest memfd beside the mapping",
    MemoryFaultInfo KVM_CAP_MEMORY_FAULT_INFO all "A `memoryFault` exit says address, size and kind of an access that failed",
    MemoryAttributes KVM_CAP_MEMORY_ATTRIBUTES all "Pages can be marked private or shared: `vm.setMemoryAttributes()`; the value has the attributes that are supported",
    GuestMemfd KVM_CAP_GUEST_MEMFD all "Guest memory can come from a guest memfd that the host does not map: `vm.createGuestMemfd()`",
}

/// The capabilities that `kvm_ioctls::Cap` does not name on x86_64.
pub const OTHERS: &[Capability] = capabilities! {
    S390VectorRegisters KVM_CAP_S390_VECTOR_REGISTERS s390 "The guest can use vector registers; enable it on the VM",
    S390MemOp KVM_CAP_S390_MEM_OP s390 "Guest memory can be read and written by logical address",
    S390UserStsi KVM_CAP_S390_USER_STSI s390 "System-information stores of the guest become `s390Stsi` exits; enable it on the VM",
    S390Skeys KVM_CAP_S390_SKEYS s390 "The storage keys of guest memory can be read and set",
    MipsFpu KVM_CAP_MIPS_FPU mips "The guest can use the floating-point unit; the value has the modes; enable it on the vCPU",
    MipsMsa KVM_CAP_MIPS_MSA mips "The guest can use the vector unit (MSA); enable it on the vCPU",
    S390InjectIrq KVM_CAP_S390_INJECT_IRQ s390 "Any interrupt can be injected into a vCPU",
    S390IrqState KVM_CAP_S390_IRQ_STATE s390 "The pending interrupts of a vCPU can be read and set",
    PpcHwrng KVM_CAP_PPC_HWRNG ppc "The guest can draw random numbers of the hardware by a hypercall",
    DisableQuirks KVM_CAP_DISABLE_QUIRKS x86 "Old misbehaviour of KVM can be switched off: enabled on the VM with a mask; superseded by `DisableQuirks2`",
    MultiAddressSpace KVM_CAP_MULTI_ADDRESS_SPACE x86 "The number of address spaces of a VM (2 with system management mode)",
    IoeventfdAnyLength KVM_CAP_IOEVENTFD_ANY_LENGTH all "Another name of `IoeventfdNoLength` for newer kernels, which match any size faster",
    S390Ri KVM_CAP_S390_RI s390 "The guest can use runtime instrumentation; enable it on the VM",
    SpaprTce64 KVM_CAP_SPAPR_TCE_64 ppc "Tables of I/O translations (TCE) can have 64-bit windows",
    VcpuAttributes KVM_CAP_VCPU_ATTRIBUTES all "A vCPU has attributes that can be read and set: `vcpu.getTscOffset()`, on aarch64 `vcpu.setDeviceAttr()`",
    S390UserInstr0 KVM_CAP_S390_USER_INSTR0 s390 "The instruction 0x0000 becomes an exit, for breakpoints; enable it on the VM",
    PpcHtm KVM_CAP_PPC_HTM ppc "The guest can use transactional memory",
    SpaprResizeHpt KVM_CAP_SPAPR_RESIZE_HPT ppc "The hashed page table of the guest can be resized",
    PpcMmuRadix KVM_CAP_PPC_MMU_RADIX ppc "The guest can use the radix MMU of POWER9",
    PpcMmuHashV3 KVM_CAP_PPC_MMU_HASH_V3 ppc "The guest can use the hashed page table of POWER9",
    MipsVz KVM_CAP_MIPS_VZ mips "Hardware virtualisation: a type of `kvm.createVm()`; the value says of which kind",
    MipsTe KVM_CAP_MIPS_TE mips "Trap-and-emulate virtualisation: a type of `kvm.createVm()`",
    Mips64bit KVM_CAP_MIPS_64BIT mips "The width of guest registers and addresses: 0 for 32 bits, 1 for 64-bit registers, 2 for both",
    S390Gs KVM_CAP_S390_GS s390 "The guest can use guarded storage; enable it on the VM",
    S390Ais KVM_CAP_S390_AIS s390 "Adapter interrupts can be suppressed; enable it on the VM",
    SpaprTceVfio KVM_CAP_SPAPR_TCE_VFIO ppc "Tables of I/O translations (TCE) can serve devices of VFIO",
    X86DisableExits KVM_CAP_X86_DISABLE_EXITS x86 "Exits of `mwait`, `hlt`, `pause` and C-states can be switched off: `disableExits` of `vm.configureX86()`; the value has one bit for each",
    ArmUserIrq KVM_CAP_ARM_USER_IRQ arm "The timer and PMU raise interrupts in user space, without a GIC in the kernel; the value has which",
    S390CmmaMigration KVM_CAP_S390_CMMA_MIGRATION s390 "The page states of collaborative memory management can be migrated",
    PpcFwnmi KVM_CAP_PPC_FWNMI ppc "A machine check of the guest's memory becomes an exit; enable it on the vCPU",
    PpcSmtPossible KVM_CAP_PPC_SMT_POSSIBLE ppc "The numbers of threads in a virtual core that `PpcSmt` takes, one bit for each power of two",
    HypervVpIndex KVM_CAP_HYPERV_VP_INDEX x86 "The virtual processor index of Hyper-V can be set",
    S390AisMigration KVM_CAP_S390_AIS_MIGRATION s390 "The suppression of adapter interrupts can be migrated",
    PpcGetCpuChar KVM_CAP_PPC_GET_CPU_CHAR ppc "What the processor does about Spectre and its like can be asked for",
    S390Bpb KVM_CAP_S390_BPB s390 "The guest can block branch prediction",
    HypervEventfd KVM_CAP_HYPERV_EVENTFD x86 "Hyper-V signals can go to an eventfd",
    HypervTlbflush KVM_CAP_HYPERV_TLBFLUSH x86 "TLB-flush hypercalls of Hyper-V",
    S390Hpage1m KVM_CAP_S390_HPAGE_1M s390 "Guest memory may be in pages of 1 MiB; enable it on the VM before it has vCPUs",
    ArmInjectSerrorEsr KVM_CAP_ARM_INJECT_SERROR_ESR arm "An SError can be injected with a chosen syndrome: `vcpu.setArmVcpuEvents()`",
    MsrPlatformInfo KVM_CAP_MSR_PLATFORM_INFO x86 "Guest reads of `MSR_PLATFORM_INFO` can be refused: enabled on the VM with 0 (refused) or 1",
    PpcNestedHv KVM_CAP_PPC_NESTED_HV ppc "The guest can be a hypervisor; enabled on the VM with 1",
    HypervSendIpi KVM_CAP_HYPERV_SEND_IPI x86 "Inter-processor interrupts by hypercall of Hyper-V",
    HypervEnlightenedVmcs KVM_CAP_HYPERV_ENLIGHTENED_VMCS x86 "The enlightened VMCS of Hyper-V for nested guests",
    ExceptionPayload KVM_CAP_EXCEPTION_PAYLOAD x86 "Pending exceptions carry their payload (CR2, DR6) apart: enabled on the VM with 1",
    ManualDirtyLogProtect KVM_CAP_MANUAL_DIRTY_LOG_PROTECT all "The first form of `ManualDirtyLogProtect2`, flawed and withdrawn",
    HypervCpuid KVM_CAP_HYPERV_CPUID x86 "The CPUID leaves of Hyper-V can be listed for a vCPU",
    ManualDirtyLogProtect2 KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 all "Reading the dirty log and clearing it can be two steps: `vm.enableManualDirtyLogProtect()`; the value has the flags that are supported",
    PpcIrqXive KVM_CAP_PPC_IRQ_XIVE ppc "A XIVE in the kernel can be connected to a vCPU; enabled with its descriptor and the vCPU's number",
    ArmSve KVM_CAP_ARM_SVE arm "A vCPU can have the scalable vector extension, a feature of `vcpu.vcpuInit()`",
    ArmPtrAuthAddress KVM_CAP_ARM_PTRAUTH_ADDRESS arm "A vCPU can have address authentication, a feature of `vcpu.vcpuInit()` together with `ArmPtrAuthGeneric`",
    ArmPtrAuthGeneric KVM_CAP_ARM_PTRAUTH_GENERIC arm "A vCPU can have generic authentication, a feature of `vcpu.vcpuInit()` together with `ArmPtrAuthAddress`",
    PmuEventFilter KVM_CAP_PMU_EVENT_FILTER x86 "The performance events that a guest may count can be filtered",
    ArmIrqLineLayout2 KVM_CAP_ARM_IRQ_LINE_LAYOUT_2 arm "`vm.setIrqLine()` reaches vCPUs above 255",
    HypervDirectTlbflush KVM_CAP_HYPERV_DIRECT_TLBFLUSH x86 "A nested Hyper-V guest may flush the TLB directly",
    PpcGuestDebugSstep KVM_CAP_PPC_GUEST_DEBUG_SSTEP ppc "Single step works on POWER processors with hardware virtualisation",
    ArmNisvToUser KVM_CAP_ARM_NISV_TO_USER arm "An access that the processor does not describe becomes an `armNisv` exit; enable it on the VM",
    ArmInjectExtDabt KVM_CAP_ARM_INJECT_EXT_DABT arm "An external data abort can be injected: `vcpu.setArmVcpuEvents()`",
    S390VcpuResets KVM_CAP_S390_VCPU_RESETS s390 "A vCPU can be reset in the three ways of the architecture",
    S390Protected KVM_CAP_S390_PROTECTED s390 "Protected (encrypted) VMs can be made",
    PpcSecureGuest KVM_CAP_PPC_SECURE_GUEST ppc "The guest can become a secure one of the ultravisor; enable it on the VM",
    HaltPoll KVM_CAP_HALT_POLL all "The time that a halted vCPU polls before it sleeps can be set: enabled on the VM with nanoseconds",
    AsyncPfInt KVM_CAP_ASYNC_PF_INT x86 "Asynchronous page faults are announced by an interrupt",
    LastCpu KVM_CAP_LAST_CPU x86 "A vCPU bound to a CPU reports it",
    SmallerMaxphyaddr KVM_CAP_SMALLER_MAXPHYADDR x86 "Guests may have fewer physical address bits than the host",
    S390Diag318 KVM_CAP_S390_DIAG318 s390 "The guest can name its operating system to the host",
    StealTime KVM_CAP_STEAL_TIME all "The time stolen from a vCPU can be reported to the guest",
    EnforcePvFeatureCpuid KVM_CAP_ENFORCE_PV_FEATURE_CPUID x86 "Paravirtual features absent from CPUID can be refused to the guest: `vcpu.enforcePvFeatureCpuid()`",
    SysHypervCpuid KVM_CAP_SYS_HYPERV_CPUID x86 "The CPUID leaves of Hyper-V can be listed without a vCPU: `kvm.getSupportedHvCpuid()`",
    X86BusLockExit KVM_CAP_X86_BUS_LOCK_EXIT x86 "A bus lock of the guest can become an `x86BusLock` exit: `busLockExit` of `vm.configureX86()`",
    PpcDawr1 KVM_CAP_PPC_DAWR1 ppc "The second data watchpoint of POWER10 can be used; enable it on the VM",
    SetGuestDebug2 KVM_CAP_SET_GUEST_DEBUG2 all "The flags of `vcpu.setGuestDebug()` that are supported",
    SgxAttribute KVM_CAP_SGX_ATTRIBUTE x86 "Privileged SGX attributes can be granted to a VM",
    VmCopyEncContextFrom KVM_CAP_VM_COPY_ENC_CONTEXT_FROM x86 "A VM can share the encryption context of another (SEV)",
    PtpKvm KVM_CAP_PTP_KVM arm "The guest can read the clock of the host precisely by a hypercall",
    HypervEnforceCpuid KVM_CAP_HYPERV_ENFORCE_CPUID x86 "Hyper-V features absent from CPUID can be refused to the guest",
    Sregs2 KVM_CAP_SREGS2 x86 "System registers with the page-directory pointers can be read and set: `vcpu.getSregs2()`",
    PpcRptInvalidate KVM_CAP_PPC_RPT_INVALIDATE ppc "The hypercall that invalidates translations is handled in the kernel; enable it on the VM",
    BinaryStatsFd KVM_CAP_BINARY_STATS_FD all "Statistics can be read: `vm.binaryStats()`, `vcpu.binaryStats()`",
    ExitOnEmulationFailure KVM_CAP_EXIT_ON_EMULATION_FAILURE x86 "Every failure to emulate an instruction can become an `internalError` exit: `exitOnEmulationFailure` of `vm.configureX86()`",
    ArmMte KVM_CAP_ARM_MTE arm "The guest can use memory tags; enable it on the VM before it has vCPUs",
    VmMoveEncContextFrom KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM x86 "An encryption context can move from one VM to another (SEV)",
    VmGpaBits KVM_CAP_VM_GPA_BITS riscv "The number of guest-physical address bits of a VM",
    SysAttributes KVM_CAP_SYS_ATTRIBUTES x86 "KVM itself has attributes that can be read",
    PpcAilMode3 KVM_CAP_PPC_AIL_MODE_3 ppc "The guest may take interrupts with relocation on",
    S390MemOpExtension KVM_CAP_S390_MEM_OP_EXTENSION s390 "What `S390MemOp` can do besides, one bit for each: 1 absolute addresses, 2 compare-and-exchange",
    PmuCapability KVM_CAP_PMU_CAPABILITY x86 "The virtual performance counters can be switched off before a VM has vCPUs: `disablePmu` of `vm.configureX86()`",
    DisableQuirks2 KVM_CAP_DISABLE_QUIRKS2 x86 "Old misbehaviour of KVM can be switched off: `disableQuirks` of `vm.configureX86()`; the value has one bit for each quirk",
    VmTscControl KVM_CAP_VM_TSC_CONTROL x86 "The frequency of the time-stamp counter can be set for a VM",
    SystemEventData KVM_CAP_SYSTEM_EVENT_DATA all "A `systemEvent` exit carries `data`",
    ArmSystemSuspend KVM_CAP_ARM_SYSTEM_SUSPEND arm "A suspend of the whole system by PSCI can become a `systemEvent` exit; enable it on the VM",
    S390ProtectedDump KVM_CAP_S390_PROTECTED_DUMP s390 "A protected VM can be dumped",
    X86TripleFaultEvent KVM_CAP_X86_TRIPLE_FAULT_EVENT x86 "A pending triple fault is part of the vCPU events: `tripleFaultEvent` of `vm.configureX86()`",
    X86NotifyVmexit KVM_CAP_X86_NOTIFY_VMEXIT x86 "A guest that opens no event window for a time can be made to exit with `notify`: `notifyExit` of `vm.configureX86()`",
    VmDisableNxHugePages KVM_CAP_VM_DISABLE_NX_HUGE_PAGES x86 "The mitigation by non-executable huge pages can be switched off before a VM has vCPUs: `disableNxHugePages` of `vm.configureX86()`",
    S390ZpciOp KVM_CAP_S390_ZPCI_OP s390 "Interrupts of PCI devices can be forwarded without an exit",
    S390CpuTopology KVM_CAP_S390_CPU_TOPOLOGY s390 "The guest can be told the topology of its processors; enable it on the VM",
    DirtyLogRingAcqRel KVM_CAP_DIRTY_LOG_RING_ACQ_REL all "`DirtyLogRing` for hosts with weak memory order as well; x86_64 has both",
    S390ProtectedAsyncDisable KVM_CAP_S390_PROTECTED_ASYNC_DISABLE s390 "A protected VM can be taken down while the kernel cleans up afterwards",
    DirtyLogRingWithBitmap KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP arm "The dirty ring must be used together with a bitmap, for what the kernel itself writes; enable it on the VM",
    PmuEventMaskedEvents KVM_CAP_PMU_EVENT_MASKED_EVENTS x86 "The filter of performance events can have masks",
    ArmEagerSplitChunkSize KVM_CAP_ARM_EAGER_SPLIT_CHUNK_SIZE arm "Huge pages can be split when a dirty log starts; the value is the size that is split at a time, enabled with another",
    ArmSupportedBlockSizes KVM_CAP_ARM_SUPPORTED_BLOCK_SIZES arm "The sizes of blocks in the stage-2 tables, one bit for each power of two",
    ArmSupportedRegMaskRanges KVM_CAP_ARM_SUPPORTED_REG_MASK_RANGES arm "Which feature-id registers can be written is listed for these ranges, one bit for each",
    VmTypes KVM_CAP_VM_TYPES x86 "The VM types for `kvm.createVm({ type })`, one bit for each",
    PreFaultMemory KVM_CAP_PRE_FAULT_MEMORY x86 "Guest memory can be populated before the guest touches it: `vcpu.preFaultMemory()`",
    X86ApicBusCyclesNs KVM_CAP_X86_APIC_BUS_CYCLES_NS x86 "The frequency of the APIC timer can be set before a VM has vCPUs: `apicBusCyclesNs` of `vm.configureX86()`",
    X86GuestMode KVM_CAP_X86_GUEST_MODE x86 "The flags of the run page say whether the exit came from a nested guest",
    ArmWritableImpIdRegs KVM_CAP_ARM_WRITABLE_IMP_ID_REGS arm "The registers that name implementer and revision can be written; enable it on the VM before it has vCPUs",
};

/// All capabilities in the order of their numbers.
pub fn capabilities() -> Vec<&'static Capability> {
    let mut all: Vec<_> = NAMED_BY_CRATE.iter().chain(OTHERS).collect();
    all.sort_by_key(|capability| capability.number);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_and_numbers_are_unique() {
        let all = capabilities();
        let names: HashSet<_> = all.iter().map(|capability| capability.name).collect();
        let numbers: HashSet<_> = all.iter().map(|capability| capability.number).collect();
        assert_eq!(names.len(), all.len());
        assert_eq!(numbers.len(), all.len());
    }

    #[test]
    fn each_has_its_own_sentence() {
        let all = capabilities();
        for Capability { name, doc, .. } in &all {
            assert!(doc.len() > 20 && !doc.ends_with('.'), "{name}: {doc}");
        }
        let docs: HashSet<_> = all.iter().map(|capability| capability.doc).collect();
        // Two are the same old interface.
        assert!(docs.len() >= all.len() - 1);
    }
}
