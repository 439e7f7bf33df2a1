// What vmhatch has beyond the crate.

/**
 * @typedef {object} Beyond
 * @property {string} what in words
 * @property {readonly string[]} ts members
 * @property {string} ioctl
 * @property {string} [capability] name in Cap
 * @property {readonly import('./crate.mjs').Architecture[]} on
 * @property {string} [note]
 * @property {readonly string[]} [words] what the test's file must mention; by default the first member's name
 * @property {string | readonly string[]} test file › title, or several
 */

const all = /** @type {const} */ (['x86_64', 'aarch64']);
const x86 = /** @type {const} */ (['x86_64']);

/**
 * One option of `Vm.configureX86()`.
 * @param {string} what
 * @param {string} key
 * @param {string} capability
 * @param {string | readonly string[]} test
 * @returns {Beyond}
 */
const option = (what, key, capability, test) => ({
  what,
  ts: [`Vm.configureX86({ ${key} })`],
  ioctl: 'KVM_ENABLE_CAP',
  capability,
  on: x86,
  words: [key],
  test,
});

const lacking =
  'kvm/x86-options.test.ts › options that this host lacks are refused by the names of their capabilities';
const order =
  'kvm/x86-options.test.ts › what comes before vCPUs is refused after them, by its name, and nothing else is set';

/** @type {readonly Beyond[]} */
export const beyond = [
  {
    what: 'the dirty ring: pages that were written, in a ring for each vCPU',
    ts: ['Vm.enableDirtyRing', 'Vm.harvestDirtyRings', 'Vm.dirtyRingEntries'],
    ioctl: 'KVM_ENABLE_CAP',
    capability: 'DirtyLogRingAcqRel',
    on: all,
    test: [
      'kvm/dirty-ring.test.ts › ${name}: a ring that fills up many times loses no page, and no JavaScript runs',
      'kvm/dirty-ring.test.ts › two vCPUs have a ring each',
    ],
  },
  {
    what: 'the reset of the dirty rings',
    ts: ['Vm.resetDirtyRings'],
    ioctl: 'KVM_RESET_DIRTY_RINGS',
    capability: 'DirtyLogRing',
    on: all,
    test: 'kvm/dirty-ring.test.ts › a harvested page is noted again after the reset',
  },
  {
    what: 'reading and clearing the dirty log in two steps',
    ts: ['Vm.enableManualDirtyLogProtect', 'Vm.clearDirtyLog'],
    ioctl: 'KVM_ENABLE_CAP, KVM_CLEAR_DIRTY_LOG',
    capability: 'ManualDirtyLogProtect2',
    on: all,
    test: 'kvm/dirty-log.test.ts › reading and clearing are two steps where they are made so',
  },
  {
    what: 'pages that the guest or the host has written',
    ts: ['MemoryRegion.dirtyPages'],
    ioctl: 'KVM_GET_DIRTY_LOG',
    on: all,
    test: [
      'kvm/dirty-pages.test.ts › writes of the host make pages dirty, logged or not',
      'kvm/dirty-pages.test.ts › the guest makes pages dirty where they are logged',
    ],
  },
  {
    what: 'statistics of a machine: their schema and their values',
    ts: ['Vm.binaryStats', 'BinaryStats.read', 'BinaryStats.schema'],
    ioctl: 'KVM_GET_STATS_FD',
    capability: 'BinaryStatsFd',
    on: all,
    test: [
      'kvm/binary-stats.test.ts › the machine counts its pages',
      'kvm/binary-stats.test.ts › the schema says what each value is',
    ],
  },
  {
    what: 'statistics of a vCPU',
    ts: ['Vcpu.binaryStats', 'BinaryStats.readValues'],
    ioctl: 'KVM_GET_STATS_FD',
    capability: 'BinaryStatsFd',
    on: all,
    test: 'kvm/binary-stats.test.ts › the statistics of a vCPU count its exits',
  },
  {
    what: 'writes to ports or memory that are collected and delivered in order, without an exit each',
    ts: ['Bus.attach({ posted })'],
    ioctl: 'KVM_REGISTER_COALESCED_MMIO',
    capability: 'CoalescedPio',
    on: all,
    words: ['posted'],
    test: [
      'kvm/posted-x86.test.ts › ${name}: posted port writes make no exits and come before the exit that follows',
      'kvm/posted.test.ts › ${name}: posted writes make no exits and come before the exit that follows',
    ],
  },
  option(
    'instructions that KVM cannot emulate as exits, in user programs, too',
    'exitOnEmulationFailure',
    'ExitOnEmulationFailure',
    'kvm/x86-options.test.ts › a failure to emulate in a user program is an exit where it is wanted',
  ),
  option(
    'bus locks as exits',
    'busLockExit',
    'X86BusLockExit',
    'kvm/exits-hardware.test.ts › a locked access across two cache lines is an exit where it is wanted',
  ),
  option('guests that open no window for events as exits', 'notifyExit', 'X86NotifyVmexit', lacking),
  option(
    'old misbehaviour of KVM switched off',
    'disableQuirks',
    'DisableQuirks2',
    'kvm/x86-options.test.ts › without the quirk LINT0 is masked after a reset, as in hardware',
  ),
  option(
    'a triple fault that waits as part of the events',
    'tripleFaultEvent',
    'X86TripleFaultEvent',
    'kvm/x86-options.test.ts › a triple fault that waits is part of the events where it is wanted',
  ),
  option(
    'exits of `hlt`, `pause`, `mwait` and C-states switched off',
    'disableExits',
    'X86DisableExits',
    'kvm/x86-options.test.ts › exits that are switched off come before vCPUs, and from the list of the host',
  ),
  option(
    'the highest id of a vCPU, set beforehand',
    'maxVcpuId',
    'MaxVcpuId',
    'kvm/x86-options.test.ts › ids of vCPUs stay below the limit',
  ),
  option("the frequency of the APIC's timer", 'apicBusCyclesNs', 'X86ApicBusCyclesNs', order),
  option('performance counters switched off', 'disablePmu', 'PmuCapability', lacking),
  option(
    'large pages that may be executed',
    'disableNxHugePages',
    'VmDisableNxHugePages',
    'kvm/x86-options.test.ts › large pages that may be executed need a privilege',
  ),
  option('APIC ids of 32 bits', 'x2apic', 'X2ApicApi', lacking),
  {
    what: 'paravirtual features that CPUID does not offer refused to the guest',
    ts: ['Vcpu.enforcePvFeatureCpuid'],
    ioctl: 'KVM_ENABLE_CAP',
    capability: 'EnforcePvFeatureCpuid',
    on: x86,
    test: 'kvm/x86-options.test.ts › features that CPUID does not offer can be refused',
  },
  {
    what: 'MSR accesses as exits, by reason',
    ts: ['Vm.setUserSpaceMsr'],
    ioctl: 'KVM_ENABLE_CAP',
    capability: 'X86UserSpaceMsr',
    on: x86,
    test: 'kvm/msr-filter.test.ts › what comes to user space is said by name',
  },
  {
    what: 'hypercalls as exits',
    ts: ['Vm.setHypercallExits'],
    ioctl: 'KVM_ENABLE_CAP',
    capability: 'ExitHypercall',
    on: x86,
    test: 'kvm/injection.test.ts › a hypercall that was asked for is an exit, and its answer reaches the guest',
  },
  {
    what: "Xen's hypercalls as exits",
    ts: ['Vm.setXenHypercallExits'],
    ioctl: 'KVM_XEN_HVM_CONFIG',
    capability: 'XenHvm',
    on: x86,
    test: "kvm/exits-hardware.test.ts › a hypercall of Xen's is an exit where it is wanted, and its answer reaches the guest",
  },
  {
    what: 'interrupt controllers split between the kernel and the program, with the end of interrupts as an exit',
    ts: ['Vm.createSplitIrqchip'],
    ioctl: 'KVM_ENABLE_CAP',
    capability: 'SplitIrqchip',
    on: x86,
    test: 'kvm/injection.test.ts › with split controllers the end of a level-triggered interrupt is an exit',
  },
  {
    what: 'interrupts without interrupt controllers',
    ts: ['Vcpu.interrupt', 'Vcpu.requestInterruptWindow', 'Vcpu.readyForInterruptInjection', 'Vcpu.ifFlag'],
    ioctl: 'KVM_INTERRUPT',
    on: x86,
    test: [
      'kvm/injection.test.ts › an external interrupt reaches a guest without interrupt controllers',
      'kvm/injection.test.ts › a guest that has interrupts off says when they are on',
    ],
  },
  {
    what: "accesses to the local APIC's task priority as exits",
    ts: ['Vcpu.setTprAccessReporting'],
    ioctl: 'KVM_TPR_ACCESS_REPORTING',
    capability: 'Vapic',
    on: x86,
    test: [
      'kvm/exits-hardware.test.ts › a guest that ${what} its task priority says so, where that is wanted',
      'kvm/exits-hardware.test.ts › accesses to the task priority are no exits when they are not wanted any more',
    ],
  },
  {
    what: "the local APIC's task priority in guest memory, too",
    ts: ['Vcpu.setVapicAddress'],
    ioctl: 'KVM_SET_VAPIC_ADDR',
    capability: 'Vapic',
    on: x86,
    test: 'kvm/exits-hardware.test.ts › the task priority is what guest memory says, where it is kept there',
  },
  {
    what: 'special registers with the page-directory pointers of PAE',
    ts: ['Vcpu.getSregs2', 'Vcpu.setSregs2'],
    ioctl: 'KVM_GET_SREGS2, KVM_SET_SREGS2',
    capability: 'Sregs2',
    on: x86,
    test: 'kvm/extended-state.test.ts › PAE paging has four page-directory pointers',
  },
  {
    what: 'guest memory populated before the guest touches it',
    ts: ['Vcpu.preFaultMemory'],
    ioctl: 'KVM_PRE_FAULT_MEMORY',
    capability: 'PreFaultMemory',
    on: x86,
    test: 'kvm/vcpu-extras.test.ts › memory is populated before the guest touches it, or the host says that it cannot',
  },
  {
    what: 'the offset of the time-stamp counter',
    ts: ['Vcpu.getTscOffset', 'Vcpu.setTscOffset'],
    ioctl: 'KVM_GET_DEVICE_ATTR, KVM_SET_DEVICE_ATTR',
    capability: 'VcpuAttributes',
    on: x86,
    test: 'kvm/vcpu-extras.test.ts › the offset of the counter is read and set, and the guest sees it',
  },
  {
    what: 'the CPUID leaves of Hyper-V',
    ts: ['Kvm.getSupportedHvCpuid'],
    ioctl: 'KVM_GET_SUPPORTED_HV_CPUID',
    capability: 'SysHypervCpuid',
    on: x86,
    test: "kvm/vcpu-extras.test.ts › Hyper-V's leaves are listed, or the host says that it has none",
  },
  {
    what: 'whether a type of device exists, without making one',
    ts: ['Vm.hasDeviceType'],
    ioctl: 'KVM_CREATE_DEVICE',
    capability: 'DeviceCtrl',
    on: all,
    test: ['kvm/device.test.ts › asking for a device makes none'],
  },
  {
    what: 'registers of aarch64 by name, and system registers by encoding',
    ts: ['Vcpu.armRegs', 'ArmSystemRegister', 'armSystemRegister'],
    ioctl: 'KVM_GET_ONE_REG, KVM_SET_ONE_REG',
    on: ['aarch64'],
    test: [
      'aarch64/registers.test.ts › registers of 64 bits keep what was written',
      'aarch64/registers.test.ts › system registers are reached by their encoding',
    ],
  },
  {
    what: 'CPUID as a table of leaves and named features',
    ts: ['new CpuidTable', 'CPUID_FEATURES', 'CpuidLeaf'],
    ioctl: 'KVM_SET_CPUID2',
    on: x86,
    test: 'kvm/cpuid-table.test.ts › a guest reads the table as get() gives it',
  },
  {
    what: 'names of model-specific registers',
    ts: ['Msr', 'msrName'],
    ioctl: 'KVM_GET_MSRS',
    on: x86,
    test: 'kvm/cpuid-table.test.ts › most of the MSRs of a vCPU have a name, and named ones can be written and read',
  },
  {
    what: 'runs that end after a time, by a signal, or by a kick from any thread',
    ts: ['Vcpu.runSliced', 'Vcpu.runInBackground', 'Vcpu.kickHandle', 'KickHandle.kick'],
    ioctl: 'KVM_RUN',
    capability: 'ImmediateExit',
    on: all,
    test: [
      'kvm/run.test.ts › ${lane}: a signal ends the run with its reason',
      'kvm/run.test.ts › ${name}: a kick by a token from a handler ends the run',
    ],
  },
];
