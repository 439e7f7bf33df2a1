/** What `vm.configureX86()` asks of KVM: its options, checked, as capabilities and their arguments. */
import { Cap } from '../generated/capabilities.ts';
import type { X86DisabledExit, X86Options, X86Quirk } from '../kvm/x86-options.ts';
import { boolean, elements, integer, oneOf, options as checkOptions } from './check.ts';
import { KvmError } from './errors.ts';
import type { NativeVm } from './native.ts';

/** `KVM_X86_QUIRK_*`. */
const QUIRKS: Record<X86Quirk, number> = {
  lint0Reenabled: 1 << 0,
  cdNwCleared: 1 << 1,
  lapicMmioHole: 1 << 2,
  out7eIncRip: 1 << 3,
  miscEnableNoMwait: 1 << 4,
  fixHypercallInsn: 1 << 5,
  mwaitNeverUdFaults: 1 << 6,
  slotZapAll: 1 << 7,
  stuffFeatureMsrs: 1 << 8,
  ignoreGuestPat: 1 << 9,
};

/** `KVM_X86_DISABLE_EXITS_*`. */
const EXITS: Record<X86DisabledExit, number> = { mwait: 1, hlt: 2, pause: 4, cstate: 8, aperfmperf: 16 };

/** `KVM_X86_NOTIFY_VMEXIT_ENABLED`, `KVM_X86_NOTIFY_VMEXIT_USER`. */
const NOTIFY_ENABLED = 1n;
const NOTIFY_USER = 2n;

/** `KVM_BUS_LOCK_DETECTION_OFF`, `KVM_BUS_LOCK_DETECTION_EXIT`. */
const BUS_LOCK_OFF = 1;
const BUS_LOCK_EXIT = 2;

/** One capability to enable. */
interface Step {
  /** The option, for messages. */
  readonly option: string;
  readonly capability: number;
  /** The capability's name in the kernel. */
  readonly name: string;
  readonly argument: number | bigint;
  /** Bits that the host's value of the capability must have, and what they are called. */
  readonly bits?: readonly (readonly [bit: number, name: string])[];
  /** When it can be enabled. */
  readonly when?: string;
}

const BEFORE_VCPUS = 'it is set before the first vCPU';

const KEYS = [
  'apicBusCyclesNs',
  'disableNxHugePages',
  'disablePmu',
  'disableExits',
  'maxVcpuId',
  'notifyExit',
  'busLockExit',
  'disableQuirks',
  'exitOnEmulationFailure',
  'tripleFaultEvent',
  'x2apic',
] as const;

/** The bits of names, each given once or more. */
function bitsOf<Name extends string>(
  option: string,
  names: unknown,
  table: Record<Name, number>,
): [bit: number, name: string][] {
  const known = Object.keys(table) as Name[];
  return elements(option, names, 64).map((name, index) => {
    const found = oneOf(`${option}[${index}]`, name, known);
    return [table[found], `${option}[${index}] ('${found}')`];
  });
}

const sum = (bits: readonly (readonly [bit: number, name: string])[]): number =>
  bits.reduce((all, [bit]) => all | bit, 0);

/** Checks the options. Those that must be set before vCPUs come first: one that comes too late changes nothing. */
function plan(options: X86Options): Step[] {
  const given = checkOptions('options', options, KEYS);
  const steps: Step[] = [];
  if (given.apicBusCyclesNs !== undefined) {
    steps.push({
      option: 'apicBusCyclesNs',
      capability: Cap.X86ApicBusCyclesNs,
      name: 'KVM_CAP_X86_APIC_BUS_CYCLES_NS',
      argument: integer('options.apicBusCyclesNs', given.apicBusCyclesNs, 1, 0xffff_ffff),
      when: 'it is set after createIrqChip() and before the first vCPU',
    });
  }
  if (given.disableNxHugePages !== undefined) {
    oneOf('options.disableNxHugePages', given.disableNxHugePages, [true]);
    steps.push({
      option: 'disableNxHugePages',
      capability: Cap.VmDisableNxHugePages,
      name: 'KVM_CAP_VM_DISABLE_NX_HUGE_PAGES',
      argument: 0,
      when: `${BEFORE_VCPUS}, by a process with CAP_SYS_BOOT`,
    });
  }
  if (given.disablePmu !== undefined) {
    oneOf('options.disablePmu', given.disablePmu, [true]);
    steps.push({
      option: 'disablePmu',
      capability: Cap.PmuCapability,
      name: 'KVM_CAP_PMU_CAPABILITY',
      argument: 1,
      when: BEFORE_VCPUS,
    });
  }
  if (given.disableExits !== undefined) {
    const bits = bitsOf('options.disableExits', given.disableExits, EXITS);
    steps.push({
      option: 'disableExits',
      capability: Cap.X86DisableExits,
      name: 'KVM_CAP_X86_DISABLE_EXITS',
      argument: sum(bits),
      bits,
      when: BEFORE_VCPUS,
    });
  }
  if (given.maxVcpuId !== undefined) {
    steps.push({
      option: 'maxVcpuId',
      capability: Cap.MaxVcpuId,
      name: 'KVM_CAP_MAX_VCPU_ID',
      argument: integer('options.maxVcpuId', given.maxVcpuId, 1, 0xffff_ffff),
      when: 'it is set once, to no more than kvm.getMaxVcpuId(), before vCPUs with such ids',
    });
  }
  if (given.notifyExit !== undefined) {
    const notify = checkOptions('options.notifyExit', given.notifyExit, ['window', 'exit']);
    const window = BigInt(integer('options.notifyExit.window', notify.window, 0, 0xffff_ffff));
    const exit = boolean('options.notifyExit.exit', notify.exit ?? true);
    steps.push({
      option: 'notifyExit',
      capability: Cap.X86NotifyVmexit,
      name: 'KVM_CAP_X86_NOTIFY_VMEXIT',
      argument: (window << 32n) | NOTIFY_ENABLED | (exit ? NOTIFY_USER : 0n),
      when: BEFORE_VCPUS,
    });
  }
  if (given.busLockExit !== undefined) {
    const exit = boolean('options.busLockExit', given.busLockExit);
    steps.push({
      option: 'busLockExit',
      capability: Cap.X86BusLockExit,
      name: 'KVM_CAP_X86_BUS_LOCK_EXIT',
      argument: exit ? BUS_LOCK_EXIT : BUS_LOCK_OFF,
      bits: [[exit ? BUS_LOCK_EXIT : BUS_LOCK_OFF, 'KVM_BUS_LOCK_DETECTION_EXIT']],
    });
  }
  if (given.disableQuirks !== undefined) {
    const bits = bitsOf('options.disableQuirks', given.disableQuirks, QUIRKS);
    steps.push({
      option: 'disableQuirks',
      capability: Cap.DisableQuirks2,
      name: 'KVM_CAP_DISABLE_QUIRKS2',
      argument: sum(bits),
      bits,
    });
  }
  if (given.exitOnEmulationFailure !== undefined) {
    steps.push({
      option: 'exitOnEmulationFailure',
      capability: Cap.ExitOnEmulationFailure,
      name: 'KVM_CAP_EXIT_ON_EMULATION_FAILURE',
      argument: Number(boolean('options.exitOnEmulationFailure', given.exitOnEmulationFailure)),
    });
  }
  if (given.tripleFaultEvent !== undefined) {
    steps.push({
      option: 'tripleFaultEvent',
      capability: Cap.X86TripleFaultEvent,
      name: 'KVM_CAP_X86_TRIPLE_FAULT_EVENT',
      argument: Number(boolean('options.tripleFaultEvent', given.tripleFaultEvent)),
    });
  }
  if (given.x2apic !== undefined) {
    const x2apic = checkOptions('options.x2apic', given.x2apic, ['use32BitIds', 'disableBroadcastQuirk']);
    const ids = boolean('options.x2apic.use32BitIds', x2apic.use32BitIds ?? false);
    const quirk = boolean('options.x2apic.disableBroadcastQuirk', x2apic.disableBroadcastQuirk ?? false);
    const bits: [number, string][] = [];
    if (ids) bits.push([1, 'options.x2apic.use32BitIds']);
    if (quirk) bits.push([2, 'options.x2apic.disableBroadcastQuirk']);
    steps.push({
      option: 'x2apic',
      capability: Cap.X2ApicApi,
      name: 'KVM_CAP_X2APIC_API',
      argument: sum(bits),
      bits,
    });
  }
  return steps;
}

/** Checks all of it, then asks the host for all of it, then enables it. */
export function configureX86(vm: NativeVm, options: X86Options): void {
  vm.checkOpen();
  const steps = plan(options);
  for (const { capability, name, bits = [] } of steps) {
    vm.requireCapability(capability, name);
    const value = vm.checkExtension(capability);
    const missing = bits.find(([bit]) => (value & bit) === 0);
    if (missing !== undefined) {
      throw new KvmError('ERR_KVM_UNSUPPORTED', `this host's ${name} lacks ${missing[1]}`);
    }
  }
  for (const { option, capability, argument, when } of steps) {
    try {
      vm.enableCap(capability, [BigInt(argument)], 0);
    } catch (error) {
      if (when === undefined || !(error instanceof KvmError) || error.code !== 'ERR_KVM_IOCTL') throw error;
      const { errno, syscall, code } = error;
      const details = {
        ...(errno === undefined ? {} : { errno }),
        ...(syscall === undefined ? {} : { syscall }),
        cause: error,
      };
      throw new KvmError(code, `options.${option}: ${when} (${error.message})`, details);
    }
  }
}
