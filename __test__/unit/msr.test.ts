/** Names of model-specific registers. */
import test from 'ava';

import { Msr, msrName } from '../../index.ts';

test('registers have the numbers of the manuals', (t) => {
  // Written by hand: Intel SDM volume 4, AMD APM volume 2 appendix A, <asm/kvm_para.h>, <asm/hyperv-tlfs.h>.
  t.like(Msr, { IA32_TSC: 0x10, IA32_APIC_BASE: 0x1b, IA32_SPEC_CTRL: 0x48, IA32_PAT: 0x277 });
  t.like(Msr, { IA32_SYSENTER_CS: 0x174, IA32_MISC_ENABLE: 0x1a0, IA32_DEBUGCTL: 0x1d9, IA32_XSS: 0xda0 });
  t.like(Msr, { IA32_EFER: 0xc000_0080, IA32_STAR: 0xc000_0081, IA32_KERNEL_GS_BASE: 0xc000_0102 });
  t.like(Msr, { IA32_TSC_DEADLINE: 0x6e0, IA32_VMX_BASIC: 0x480, IA32_ARCH_CAPABILITIES: 0x10a });
  t.like(Msr, { HWCR: 0xc001_0015, VM_HSAVE_PA: 0xc001_0117, SEV_STATUS: 0xc001_0131 });
  t.like(Msr, { KVM_SYSTEM_TIME_NEW: 0x4b56_4d01, KVM_STEAL_TIME: 0x4b56_4d03, HV_VP_INDEX: 0x4000_0002 });
});

test('each register has one name, and each name is a register', (t) => {
  const entries = Object.entries(Msr);
  t.true(entries.length >= 120);
  t.is(new Set(entries.map(([, index]) => index)).size, entries.length);
  for (const [name, index] of entries) {
    t.true(Number.isInteger(index) && index >= 0 && index <= 0xffff_ffff, name);
    t.is(msrName(index), name);
  }
});

for (const [index, name] of [
  [0xc8, 'IA32_PMC7'],
  [0x18d, 'IA32_PERFEVTSEL7'],
  [0x202, 'IA32_MTRR_PHYSBASE1'],
  [0x20f, 'IA32_MTRR_PHYSMASK7'],
  [0x26f, 'IA32_MTRR_FIX4K_F8000'],
  [0x283, 'IA32_MC3_CTL2'],
  [0x30b, 'IA32_FIXED_CTR2'],
  [0x404, 'IA32_MC1_CTL'],
  [0x47f, 'IA32_MC31_MISC'],
  [0x583, 'IA32_RTIT_ADDR1_B'],
  [0x6a7, 'IA32_PL3_SSP'],
  [0x80b, 'IA32_X2APIC_EOI'],
  [0x817, 'IA32_X2APIC_ISR7'],
  [0x83f, 'IA32_X2APIC_SELF_IPI'],
  [0xc001_0003, 'PERF_LEGACY_CTL3'],
  [0xc001_020b, 'PERF_CTR5'],
  [0x4000_009f, 'HV_SINT15'],
  [0x4000_00b7, 'HV_STIMER3_COUNT'],
  [0x4000_0104, 'HV_CRASH_P4'],
] as const) {
  test(`0x${index.toString(16)} is ${name}`, (t) => {
    t.is(msrName(index), name);
  });
}

test('a number without a name has none, and what is no number is refused', (t) => {
  t.is(msrName(0xdead_beef), undefined);
  t.is(msrName(0xc9), undefined);
  t.throws(() => msrName(-1), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => msrName(2 ** 32), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => msrName(1n as never), { code: 'ERR_INVALID_ARG_TYPE' });
});
