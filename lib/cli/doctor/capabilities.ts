import { Cap } from '../../generated/capabilities.ts';
import type { CapabilityAnswer, CapabilityGroup } from './facts.ts';

/** The capabilities that decide what vmhatch can do on a host, by what they are about. */
const catalogue: Readonly<
  Record<CapabilityGroup, readonly (readonly [name: keyof typeof Cap, use: string])[]>
> = {
  exits: [
    ['ImmediateExit', 'a kick stops a vCPU at once'],
    ['SyncRegs', 'registers without an ioctl'],
    ['Ioeventfd', 'a write wakes a file descriptor'],
    ['CoalescedMmio', 'MMIO writes in batches'],
    ['CoalescedPio', 'port writes in batches'],
    ['X86UserSpaceMsr', 'MSR accesses as exits'],
    ['X86MsrFilter', 'which MSRs the guest may use'],
    ['SetGuestDebug', 'single step and breakpoints'],
    ['ExitHypercall', 'hypercalls as exits'],
    ['X86BusLockExit', 'bus locks as exits'],
    ['X86NotifyVmexit', 'stuck guests as exits'],
  ],
  memory: [
    ['UserMemory', 'memory from user space'],
    ['ReadonlyMem', 'read-only regions'],
    ['SyncMmu', 'host changes reach the guest'],
    ['UserMemory2', 'regions with guest_memfd'],
    ['GuestMemfd', 'memory that the host cannot see'],
    ['MemoryAttributes', 'private and shared pages'],
    ['MemoryFaultInfo', 'memory faults as exits'],
    ['PreFaultMemory', 'pages mapped ahead'],
  ],
  interrupts: [
    ['Irqchip', 'PIC, IOAPIC, APIC in the kernel'],
    ['SplitIrqchip', 'only the APIC in the kernel'],
    ['Pit2', 'timer in the kernel'],
    ['Irqfd', 'interrupts by file descriptor'],
    ['IrqfdResample', 'level-triggered ones too'],
    ['SignalMsi', 'message-signalled interrupts'],
    ['IrqRouting', 'interrupt routes'],
    ['TscDeadlineTimer', 'the APIC’s deadline timer'],
    ['X2ApicApi', 'x2APIC ids'],
  ],
  state: [
    ['MpState', 'running, halted, waiting'],
    ['VcpuEvents', 'pending exceptions, interrupts'],
    ['Debugregs', 'debug registers'],
    ['Xsave', 'FPU and vector state'],
    ['Xsave2', 'the same with AMX'],
    ['Xcrs', 'XCR0'],
    ['TscControl', 'the guest’s TSC rate'],
    ['NestedState', 'guests that run guests'],
    ['X86Smm', 'system management mode'],
    ['Hyperv', 'Hyper-V for Windows guests'],
  ],
  snapshots: [
    ['AdjustClock', 'the guest’s clock'],
    ['KvmclockCtrl', 'a pause that is no lock-up'],
    ['GetMsrFeatures', 'MSRs of a CPU model'],
    ['DirtyLogRing', 'dirty pages in a ring'],
    ['ManualDirtyLogProtect2', 'dirty log cleared by halves'],
    ['BinaryStatsFd', 'statistics by file'],
  ],
};

/** Asks for every capability of the catalogue. */
export function readCapabilities(
  check: (cap: number) => number,
): Record<CapabilityGroup, CapabilityAnswer[]> {
  const answers = Object.entries(catalogue).map(([group, entries]) => [
    group,
    entries.map(([name, use]) => ({ name, use, value: check(Cap[name]) })),
  ]);
  return Object.fromEntries(answers) as Record<CapabilityGroup, CapabilityAnswer[]>;
}
