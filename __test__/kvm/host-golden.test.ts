/**
 * What KVM says about itself, and a vCPU at its start, against what was recorded on a host with the same module:
 * __test__/goldens/MODULE.json. Newer kernels have more: nothing may be missing, nothing may have become less.
 *
 * To record one: VMHATCH_RECORD_GOLDEN=1 npx ava __test__/kvm/host-golden.test.ts, then npm run format.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';

import { Cap, CpuidTable, Kvm, Msr, msrName, type CpuidFeature } from '../../index.ts';
import { root } from '../../scripts/shared/paths.mjs';
import { hostModule } from '../helpers/host-module.ts';
import { makeVm, openKvm } from '../helpers/machine.ts';

type CapName = keyof typeof Cap;

/** What a file in __test__/goldens has. Contents of 64 bits are hexadecimal strings. */
interface Golden {
  /** Features that the supported CPUID has. */
  features: string[];
  /** MSRs that belong to a vCPU's state, by name. */
  msrs: string[];
  /** MSRs that tell features, by name. */
  featureMsrs: string[];
  capabilities: Partial<Record<CapName, number>>;
  /** A vCPU before its first instruction. */
  regs: Record<string, unknown>;
  sregs: Record<string, unknown>;
  msrValues: Record<string, unknown>;
  /** aarch64: the ids of the registers of a vCPU without features. */
  registerIds: string[];
}

const module = hostModule();
const path = join(root, '__test__/goldens', `${module}.json`);
const isX86 = process.arch === 'x64';

// ---- what a golden leaves out, since it differs between hosts with the same module

/** What every x86_64 processor has that runs KVM: the baseline of the ABI, x86-64-v1, and `cmpxchg16b`. */
const BASELINE: readonly CpuidFeature[] = [
  ...(['fpu', 'vme', 'de', 'pse', 'tsc', 'msr', 'pae', 'mce', 'cx8', 'sep', 'mtrr', 'pge', 'mca'] as const),
  ...([
    'cmov',
    'pat',
    'pse36',
    'clflush',
    'mmx',
    'fxsr',
    'sse',
    'sse2',
    'syscall',
    'nx',
    'lm',
    'cx16',
  ] as const),
];
/** What KVM has whatever the processor, since it emulates it. */
const EMULATED: readonly CpuidFeature[] = ['hypervisor', 'x2apic', 'tsc_adjust'];
/** What KVM tells guests about itself is in a golden too; all other features are the processor's. */
const ownFeature = (name: string): boolean =>
  // Stolen time needs a kernel that measures it.
  (name.startsWith('kvm_') && name !== 'kvm_steal_time') ||
  ([...BASELINE, ...EMULATED] as string[]).includes(name);

/** MSRs whose being there depends on the processor, on options of the module or on the kernel's configuration. */
const VARYING_MSR =
  /^(?:HV_|PERF_|LAST|HWCR|IA32_(?:VMX|RTIT|PMC|PERF|FIXED|PEBS|DS_AREA|XFD|XSS|BNDCFGS|UMWAIT|TSX|SPEC|.*CET|.*SSP|FRED|TSC_AUX|FEATURE_CONTROL|SMBASE|ARCH_CAP|MCG_EXT))|PEBS_DATA_CFG|TSC_RATIO|VIRT_SPEC_CTRL|DE_CFG|VM_HSAVE_PA/;

/** Capabilities that differ, and why. */
const VARYING: Partial<Record<CapName, string>> = {
  NrVcpus: 'the number of processors',
  MaxVcpus: "the kernel's configuration",
  MaxVcpuId: "the kernel's configuration",
  Xsave2: "the processor's extended state",
  TscControl: 'needs a processor that scales the counter',
  VmTscControl: 'needs a processor that scales the counter',
  GetTscKhz: 'needs a constant counter',
  NestedState: 'an option of the module, and its processor',
  X86Smm: 'an option of the module',
  X86BusLockExit: 'needs a processor that detects bus locks',
  X86NotifyVmexit: 'needs a processor with notify exits',
  SgxAttribute: 'needs enclaves',
  VmTypes: 'needs encrypted guests',
  VmCopyEncContextFrom: 'needs encrypted guests',
  VmMoveEncContextFrom: 'needs encrypted guests',
  PmuCapability: 'an option of the module',
  PmuEventFilter: 'an option of the module',
  PmuEventMaskedEvents: 'an option of the module',
  SmallerMaxphyaddr: 'an option of the module',
  StealTime: "the kernel's configuration",
  XenHvm: "the kernel's configuration",
  GuestMemfd: "the kernel's configuration",
  MemoryAttributes: "the kernel's configuration",
  AsyncPf: "the kernel's configuration",
  AsyncPfInt: "the kernel's configuration",
  X86DisableExits: 'what the processor can do without exits',
  PvMmu: 'old kernels only',
  Iommu: 'old kernels only',
  ArmEl132bit: 'needs a processor with 32-bit code',
  MsiDevid: 'asked of a machine with an ITS',
  ArmPmuV3: "the processor's",
  ArmSve: "the processor's",
  ArmMte: "the processor's",
  ArmPtrAuthAddress: "the processor's",
  ArmPtrAuthGeneric: "the processor's",
  ArmVmIPASize: "the processor's",
  DebugHwBps: "the processor's",
  DebugHwWps: "the processor's",
};
const varies = (name: string): boolean =>
  name in VARYING || name.startsWith('Hyperv') || name === 'SysHypervCpuid';

/** Capabilities whose value has a bit for each ability: newer kernels have more of them. */
const BITS: ReadonlySet<string> = new Set<CapName>([
  ...(['AdjustClock', 'SyncRegs', 'X2ApicApi', 'ManualDirtyLogProtect2', 'SetGuestDebug2'] as const),
  ...([
    'ExitHypercall',
    'DisableQuirks2',
    'X86UserSpaceMsr',
    'X86MsrFilter',
    'ArmSupportedBlockSizes',
  ] as const),
]);

// ---- what this host has

const hex = (_key: string, value: unknown): unknown =>
  typeof value === 'bigint' ? `0x${value.toString(16)}` : value;
const plain = (value: object): Record<string, unknown> =>
  JSON.parse(JSON.stringify(value, hex)) as Record<string, unknown>;

/** MSRs of which every vCPU has the same at its start. */
const START = [
  Msr.IA32_PAT,
  Msr.IA32_MTRR_DEF_TYPE,
  Msr.IA32_SYSENTER_CS,
  Msr.IA32_STAR,
  Msr.IA32_EFER,
] as const;

function names(indices: readonly number[]): string[] {
  const found = indices.map((index) => msrName(index)).filter((name) => name !== undefined);
  return found.filter((name) => !VARYING_MSR.test(name)).toSorted();
}

/** `KVM_REG_ARM_DEMUX` of <asm/kvm.h>: registers that describe the processor's caches. */
const DEMUX = 0x11n;

function registerIds(t: ExecutionContext): string[] {
  const vm = makeVm(t);
  const vcpu = vm.createVcpu();
  vcpu.vcpuInit({ target: vm.getPreferredTarget().target, features: [] });
  const ids = vcpu.getRegList().filter((id) => ((id >> 16n) & 0xfffn) !== DEMUX);
  return ids.map((id) => `0x${id.toString(16)}`).toSorted();
}

function observe(t: ExecutionContext): Golden {
  const kvm = openKvm(t);
  const capabilities: Golden['capabilities'] = {};
  for (const [name, number] of Object.entries(Cap) as [CapName, number][]) {
    const value = varies(name) ? 0 : kvm.checkExtensionInt(number);
    if (value !== 0) capabilities[name] = value;
  }
  if (!isX86) {
    const none = { features: [], msrs: [], featureMsrs: [], regs: {}, sregs: {}, msrValues: {} };
    return { ...none, capabilities, registerIds: registerIds(t) };
  }
  const vcpu = makeVm(t).createVcpu();
  const values = vcpu.getMsrs(START).map(({ index, data }) => [msrName(index)!, data]);
  return {
    features: new CpuidTable(kvm.getSupportedCpuid()).features.filter(ownFeature).toSorted(),
    msrs: names(kvm.getMsrIndexList()),
    featureMsrs: names(kvm.getMsrFeatureIndexList()),
    capabilities,
    regs: plain(vcpu.getRegs()),
    sregs: plain(vcpu.getSregs()),
    msrValues: plain(Object.fromEntries(values) as object),
    registerIds: [],
  };
}

/** The golden of this host's module, or undefined after saying that there is none. */
function golden(t: ExecutionContext): Golden | undefined {
  if (process.env['VMHATCH_RECORD_GOLDEN'] === '1') {
    writeFileSync(path, `${JSON.stringify(observe(t), undefined, 2)}\n`);
  }
  if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8')) as Golden;
  t.log(
    `skipped: there is no golden for '${module}'; to record one: ` +
      'VMHATCH_RECORD_GOLDEN=1 npx ava __test__/kvm/host-golden.test.ts',
  );
  t.pass();
  return undefined;
}

/** Whether the test is about the other architecture; it says so then. */
function elsewhere(t: ExecutionContext, own: 'x86_64' | 'aarch64', what: string): boolean {
  if (isX86 === (own === 'x86_64')) return false;
  t.log(`skipped: ${what} is that of ${own}`);
  t.pass();
  return true;
}

const missing = (wanted: readonly string[], found: readonly string[]): string[] =>
  wanted.filter((name) => !found.includes(name));

test.serial('the supported CPUID has all that was recorded for this module', (t) => {
  if (elsewhere(t, 'x86_64', 'CPUID')) return;
  const wanted = golden(t);
  if (wanted === undefined) return;
  t.deepEqual(missing(wanted.features, observe(t).features), []);
  t.true(wanted.features.length > 20);
});

test.serial('the lists of MSRs have all that was recorded for this module', (t) => {
  if (elsewhere(t, 'x86_64', 'the list of MSRs')) return;
  const wanted = golden(t);
  if (wanted === undefined) return;
  const found = observe(t);
  t.deepEqual(missing(wanted.msrs, found.msrs), []);
  t.deepEqual(missing(wanted.featureMsrs, found.featureMsrs), []);
  t.true(wanted.msrs.length > 15);
});

test.serial('capabilities have the values that were recorded for this module, or more', (t) => {
  const wanted = golden(t);
  if (wanted === undefined) return;
  const { capabilities } = observe(t);
  const less = Object.entries(wanted.capabilities).filter(([name, value]) => {
    const found = capabilities[name as CapName] ?? 0;
    return BITS.has(name) ? (found & value) !== value : found < value;
  });
  t.deepEqual(
    less.map(([name, value]) => `${name}: ${capabilities[name as CapName] ?? 0}, not ${value}`),
    [],
  );
  t.true(Object.keys(wanted.capabilities).length > 20);
  t.deepEqual(missing(Object.keys(wanted.capabilities), Object.keys(Cap)), []);
});

test.serial('a vCPU starts with the registers that were recorded for this module', (t) => {
  if (elsewhere(t, 'x86_64', 'this set of registers')) return;
  const wanted = golden(t);
  if (wanted === undefined) return;
  const { regs, sregs, msrValues } = observe(t);
  t.deepEqual(
    { regs, sregs, msrValues },
    plain({ regs: wanted.regs, sregs: wanted.sregs, msrValues: wanted.msrValues }),
  );
});

test.serial('a vCPU of aarch64 has the registers that were recorded for this module', (t) => {
  if (elsewhere(t, 'aarch64', 'the list of registers')) return;
  const wanted = golden(t);
  if (wanted === undefined) return;
  const { registerIds: found } = observe(t);
  t.deepEqual(missing(wanted.registerIds, found), []);
  t.true(wanted.registerIds.length > 200);
});

test('a vCPU starts as a processor does after reset, whatever the module', (t) => {
  if (elsewhere(t, 'x86_64', 'the state after reset')) return;
  // Intel SDM volume 3, table 10-1: at the last 16 bytes below 4 GiB, in real mode, caches off.
  const vcpu = makeVm(t).createVcpu();
  t.like(vcpu.getRegs(), { rip: 0xfff0n, rflags: 2n, rax: 0n, rsp: 0n });
  const { cs, ds, cr0, cr3, cr4, efer, gdt, idt } = vcpu.getSregs();
  t.like(cs, { base: 0xffff_0000n, selector: 0xf000, limit: 0xffff, present: 1 });
  t.like(ds, { base: 0n, selector: 0, limit: 0xffff });
  t.deepEqual([cr0, cr3, cr4, efer], [0x6000_0010n, 0n, 0n, 0n]);
  t.deepEqual([gdt.limit, idt.limit], [0xffff, 0xffff]);
  t.is(vcpu.getMsrs([Msr.IA32_PAT])[0]?.data, 0x0007_0406_0007_0406n);
});

test('bits of CPUID that have no name are told', (t) => {
  if (elsewhere(t, 'x86_64', 'CPUID')) return;
  using kvm = new Kvm();
  const table = new CpuidTable(kvm.getSupportedCpuid());
  const without = new CpuidTable(table);
  for (const name of table.features) without.setFeature(name, false);
  const nameless = [...without]
    .filter((entry) => entry.function === 7)
    .flatMap(({ index, ebx, ecx, edx }) => ((ebx | ecx | edx) === 0 ? [] : [{ index, ebx, ecx, edx }]));
  if (nameless.length > 0) t.log(`leaf 7: ${JSON.stringify(nameless)}`);
  t.deepEqual(without.features, []);
  t.true(table.features.length > 40);
});
