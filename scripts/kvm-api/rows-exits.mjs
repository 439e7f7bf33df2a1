// The exits: the crate's variants of VcpuExit and our kinds, and the test that makes each.

/**
 * @typedef {object} Exit
 * @property {readonly string[]} [kinds] ours: keys of ExitMap in lib/kvm/exits.ts
 * @property {string | readonly string[]} [test] file › title, or several
 * @property {string} [note] what stands where a test on a real KVM would
 */

const other = (/** @type {string} */ architecture) => ({
  note: `${architecture} only: arrives as \`unknown\` with its number in \`reason\``,
});

const byHand = 'unit/exit-pages.test.ts › the page of ${name}';

/** @param {string} why */
const page = (why) => ({ test: byHand, note: `decoded from a page made by hand: ${why}` });

/** @type {Readonly<Record<string, Exit>>} */
export const exits = {
  IoOut: { kinds: ['ioOut'], test: 'kvm/exits.test.ts › out tells port, size and value' },
  IoIn: { kinds: ['ioIn'], test: 'kvm/exits.test.ts › in takes what the handler returns, at every size' },
  MmioRead: {
    kinds: ['mmioRead'],
    test: 'kvm/mmio.test.ts › ${name}: memory reads and writes of 1, 2 and 4 bytes have address, size and value',
  },
  MmioWrite: {
    kinds: ['mmioWrite'],
    test: 'kvm/mmio.test.ts › ${name}: memory reads and writes of 1, 2 and 4 bytes have address, size and value',
  },
  Unknown: { kinds: ['unknown'], ...page('no KVM leaves a hardware exit unhandled on purpose') },
  Exception: {
    kinds: ['exception'],
    ...page('needs an Intel host, and an exception that KVM intercepts and does not know'),
  },
  Hypercall: {
    kinds: ['hypercall'],
    test: 'kvm/injection.test.ts › a hypercall that was asked for is an exit, and its answer reaches the guest',
  },
  Debug: {
    kinds: ['debug', 'armDebug'],
    test: [
      'kvm/exits.test.ts › a single step is a debug exit an instruction',
      'aarch64/debug.test.ts › ${name}: a single step is one instruction',
    ],
  },
  Hlt: { kinds: ['hlt'], test: 'kvm/exits.test.ts › hlt is an exit' },
  IrqWindowOpen: {
    kinds: ['irqWindowOpen'],
    test: 'kvm/injection.test.ts › a guest that has interrupts off says when they are on',
  },
  Shutdown: { kinds: ['shutdown'], test: 'kvm/exits.test.ts › a triple fault is a shutdown' },
  FailEntry: {
    kinds: ['failEntry'],
    ...page('KVM itself refuses most of the states that hardware would refuse'),
  },
  Intr: {
    kinds: ['intr'],
    ...page('a signal is an error of KVM_RUN, which the run loop takes for a kick'),
  },
  SetTpr: {
    kinds: ['setTpr'],
    test: 'kvm/exits-hardware.test.ts › a guest that lowers its task priority says so, where KVM has no local APIC',
  },
  TprAccess: { kinds: ['tprAccess'], ...page('needs an Intel host with KVM_TPR_ACCESS_REPORTING') },
  S390Sieic: other('s390x'),
  S390Reset: other('s390x'),
  Dcr: other('PowerPC'),
  Nmi: { kinds: ['nmi'], ...page('no KVM of today gives it: NMIs of the host are its own') },
  InternalError: {
    kinds: ['internalError'],
    test: 'kvm/exits.test.ts › an instruction that KVM cannot emulate is an internal error with its bytes',
  },
  Osi: other('PowerPC'),
  PaprHcall: other('PowerPC'),
  S390Ucontrol: other('s390x'),
  Watchdog: other('PowerPC'),
  S390Tsch: other('s390x'),
  Epr: other('PowerPC'),
  SystemEvent: {
    kinds: ['systemEvent'],
    test: [
      'kvm/exits-hardware.test.ts › a reset by Hyper-V is a system event',
      'aarch64/psci.test.ts › ${name}: a power-off is a system event',
    ],
  },
  S390Stsi: other('s390x'),
  IoapicEoi: {
    kinds: ['ioapicEoi'],
    test: 'kvm/injection.test.ts › with split controllers the end of a level-triggered interrupt is an exit',
  },
  Hyperv: {
    kinds: ['hyperv'],
    test: "kvm/exits-hardware.test.ts › a write to Hyper-V's interrupt controller is an exit with what was written",
  },
  X86Rdmsr: {
    kinds: ['x86Rdmsr'],
    test: 'kvm/msr-exits.test.ts › rdmsr and wrmsr of an unknown MSR come to the handlers, and the answer arrives',
  },
  X86Wrmsr: {
    kinds: ['x86Wrmsr'],
    test: 'kvm/msr-exits.test.ts › rdmsr and wrmsr of an unknown MSR come to the handlers, and the answer arrives',
  },
  MemoryFault: { kinds: ['memoryFault'], ...page('needs private memory') },
  Unsupported: {
    kinds: ['unknown'],
    ...page('no kernel gives a number that it does not have'),
  },
};

/**
 * Kinds that no variant of the crate stands for, by name.
 * @type {Readonly<Record<string, Exit>>}
 */
export const more = {
  armNisv: {
    test: 'aarch64/exits.test.ts › ${name}: with the capability such an access is an exit, which a handler can emulate',
  },
  dirtyRingFull: {
    test: 'kvm/dirty-ring.test.ts › ${name}: a full ring is an exit for a handler that wants it',
  },
  apResetHold: page('needs an SEV-ES host'),
  x86BusLock: page('needs a processor that detects bus locks'),
  notify: page('needs a processor with notify exits'),
  xen: page('needs KVM_XEN_HVM_CONFIG, which is not offered'),
};
