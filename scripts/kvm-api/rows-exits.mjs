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
  Unknown: {
    kinds: ['unknown'],
    ...page(
      'x86 begins each KVM_RUN with it and never ends one so: exits that KVM does not know are `internalError` (arch/x86/kvm/vmx/vmx.c, svm/svm.c); what is left is a fault of KVM itself, which it warns of (vmx/sgx.c). So does aarch64 (arch/arm64/kvm/arm.c, handle_exit.c)',
    ),
  },
  Exception: {
    kinds: ['exception'],
    ...page(
      "Intel only: a guest's split lock on a host with split_lock_detect=fatal, which sends the process SIGBUS as well (arch/x86/kvm/vmx/vmx.c), or an encrypted guest of TDX (vmx/tdx.c). svm/svm.c and aarch64 have none",
    ),
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
    test: 'kvm/exits-hardware.test.ts › a state that the processor refuses is a failed entry, and another one goes on',
  },
  Intr: {
    kinds: ['intr'],
    ...page(
      'KVM sets it together with EINTR (arch/x86/kvm/x86.c, include/linux/kvm_host.h, arch/arm64/kvm/arm.c), and a KVM_RUN that fails with EINTR is a kick, or goes on: no lane shows it',
    ),
  },
  SetTpr: {
    kinds: ['setTpr'],
    test: 'kvm/exits-hardware.test.ts › a guest that lowers its task priority says so, where KVM has no local APIC',
  },
  TprAccess: {
    kinds: ['tprAccess'],
    test: 'kvm/exits-hardware.test.ts › a guest that ${what} its task priority says so, where that is wanted',
  },
  S390Sieic: other('s390x'),
  S390Reset: other('s390x'),
  Dcr: other('PowerPC'),
  Nmi: {
    kinds: ['nmi'],
    ...page(
      'no KVM of x86 or aarch64 has it: only PowerPC does, for machine checks (arch/powerpc/kvm/book3s_hv.c)',
    ),
  },
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
  MemoryFault: {
    kinds: ['memoryFault'],
    test: 'kvm/exits-hardware.test.ts › memory that is lost is a memory fault; a handler maps other memory, and the guest goes on',
  },
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
  apResetHold: page(
    'arch/x86/kvm/svm/sev.c only, for a guest with encrypted registers: needs a processor with SEV-ES',
  ),
  x86BusLock: {
    test: [
      'kvm/exits-hardware.test.ts › a locked access across two cache lines is an exit where it is wanted',
      byHand,
    ],
    note: "needs a processor that detects bus locks of guests: VMX's bus-lock detection, SVM's bus lock threshold",
  },
  notify: page(
    'arch/x86/kvm/vmx/vmx.c only, for a guest in which the processor comes to no point where it takes events; KVM intercepts the exceptions (#AC, #DB) that are known to make such a guest',
  ),
  xen: {
    test: [
      "kvm/exits-hardware.test.ts › a hypercall of Xen's is an exit where it is wanted, and its answer reaches the guest",
      byHand,
    ],
    note: "needs a kernel with CONFIG_KVM_XEN: Debian's 6.12 has it, its 6.1 does not",
  },
};
