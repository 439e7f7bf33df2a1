/** A table of CPUID on a vCPU: what is set is what the guest reads. */
import test from 'ava';

import { Cap, CpuidLeaf, CpuidTable, Kvm, Msr, msrName } from '../../index.ts';
import { realModeGuest } from '../helpers/guests.ts';
import { boot, makeVm, openKvm } from '../helpers/machine.ts';

/** `cpuid` with what eax and ecx are, then a halt; the registers say what it read. */
const CPUID = realModeGuest([0x0f, 0xa2], [0xf4]);

test('the supported CPUID can be set as a table, and read back', (t) => {
  const supported = new CpuidTable(openKvm(t).getSupportedCpuid());
  const vcpu = makeVm(t).createVcpu();
  vcpu.setCpuid2(supported);
  const read = new CpuidTable(vcpu.getCpuid2());
  t.is(read.length, supported.length);
  t.is(read.vendor, supported.vendor);
  // Bits that follow CR4, the APIC's base and other MSRs are KVM's to change.
  const follow = new Set(['osxsave', 'apic', 'ospke', 'monitor', 'arch_capabilities']);
  const expected = supported.features.filter((name) => !follow.has(name));
  // KVM-PVM adds what it cannot hide from a guest.
  t.deepEqual(
    expected.filter((name) => !read.feature(name)),
    [],
  );
  t.true(expected.length > 20);
});

test('what this KVM supports is its own intersection, and what it emulates is a table', (t) => {
  const kvm = openKvm(t);
  const supported = new CpuidTable(kvm.getSupportedCpuid());
  t.deepEqual(supported.intersect(supported).features, supported.features);
  t.regex(supported.vendor, /^\w+$/);
  t.true(supported.feature('lm') && supported.feature('x2apic'));
  t.is(supported.feature('kvm_clocksource2'), kvm.checkExtension(Cap.Clocksource));
  t.true(new CpuidTable(kvm.getEmulatedCpuid()).length > 0);
});

test('a guest reads the table as get() gives it', (t) => {
  const kvm = openKvm(t);
  const table = new CpuidTable(kvm.getSupportedCpuid());
  table.set(CpuidLeaf.HypervisorVendor, { eax: 0x4000_0001, ebx: 0x7463_6876, ecx: 1, edx: 2 });
  table.set(CpuidLeaf.KvmFeatures, { eax: 0x0100_0009, edx: 0 });
  const check = (leaf: number, index = 0): void => {
    const { vcpu } = boot(t, CPUID, { regs: { rax: leaf, rcx: index } });
    vcpu.setCpuid2(table);
    vcpu.run();
    const { rax, rbx, rcx, rdx } = vcpu.getRegs();
    const read = { eax: Number(rax), ebx: Number(rbx), ecx: Number(rcx), edx: Number(rdx) };
    // Of the table that the vCPU has: KVM-PVM adds what it cannot hide from a guest.
    t.deepEqual(read, new CpuidTable(vcpu.getCpuid2()).get(leaf, index), `leaf 0x${leaf.toString(16)}`);
  };
  for (const [leaf, index] of [
    [CpuidLeaf.Vendor, 0],
    [CpuidLeaf.ExtendedFeatures, 0],
    [CpuidLeaf.ExtendedFeatures, 0x1234],
    [CpuidLeaf.HypervisorVendor, 0],
    [CpuidLeaf.KvmFeatures, 0],
    [0x8000_0000, 0],
    [0x8000_0008, 0],
    [0x4000_0fff, 0],
    [0x8fff_ffff, 0],
    [0x0fff_ffff, 0],
  ] as const) {
    check(leaf, index);
  }
  check(CpuidLeaf.SerialNumber);
  // On Intel's a leaf beyond the highest reads as the highest, on AMD's as zeros.
  for (const [ebx, edx, ecx] of [
    [0x756e_6547, 0x4965_6e69, 0x6c65_746e],
    [0x6874_7541, 0x6974_6e65, 0x444d_4163],
  ] as const) {
    table.set(CpuidLeaf.Vendor, { ebx, edx, ecx });
    check(0x0fff_ffff);
    check(0x8fff_ffff);
    check(0x4fff_ffff);
    check(CpuidLeaf.ExtendedTopology, 7);
  }
});

test('most of the MSRs of a vCPU have a name, and named ones can be written and read', (t) => {
  using kvm = new Kvm();
  const vcpu = makeVm(t).createVcpu();
  const indices = kvm.getMsrIndexList();
  const nameless = indices.filter((index) => msrName(index) === undefined);
  t.log(`without a name: ${nameless.map((index) => `0x${index.toString(16)}`).join(', ') || 'none'}`);
  t.true(nameless.length < indices.length / 4);
  vcpu.setMsrs([{ index: Msr.IA32_SYSENTER_EIP, data: 0x1234n }]);
  t.deepEqual(vcpu.getMsrs([Msr.IA32_SYSENTER_EIP]), [{ index: 0x176, data: 0x1234n }]);
});
