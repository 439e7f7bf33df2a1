// The wide registers of a vCPU: each structure is read, set as it was, changed, and read again.
import test from 'ava';

import { Cap, CpuidTable, KvmError, type Vcpu } from '../../index.ts';
import { hasCapability } from '../helpers/capability.ts';
import { makeVm, openKvm } from '../helpers/machine.ts';

const EINVAL = 22;

function refusal(t: Parameters<typeof makeVm>[0], call: () => unknown, errno: number, syscall: string): void {
  const error = t.throws<KvmError>(call, { instanceOf: KvmError, code: 'ERR_KVM_IOCTL' });
  t.is(error?.errno, errno);
  t.is(error?.syscall, syscall);
}

/** A vCPU that has all that the host supports. */
function fullVcpu(t: Parameters<typeof makeVm>[0]): Vcpu {
  const kvm = openKvm(t);
  const vm = kvm.createVm();
  t.teardown(() => vm.close());
  const vcpu = vm.createVcpu();
  vcpu.setCpuid2(kvm.getSupportedCpuid());
  return vcpu;
}

test('x87 and SSE registers: a part is set, the rest stays', (t) => {
  const vcpu = makeVm(t).createVcpu();
  const before = vcpu.getFpu();
  t.is(before.xmm.length, 16);
  t.is(before.fpr.length, 8);
  vcpu.setFpu(before);
  t.deepEqual(vcpu.getFpu(), before);
  const xmm = before.xmm.map((_, index) => new Uint8Array(16).fill(index + 1));
  vcpu.setFpu({ xmm, fcw: 0x0f7f, lastIp: 7, fsw: 0x4000 });
  t.deepEqual(vcpu.getFpu(), { ...before, xmm, fcw: 0x0f7f, lastIp: 7n, fsw: 0x4000 });
});

test('a wrong x87 or SSE register changes none', (t) => {
  const vcpu = makeVm(t).createVcpu();
  const before = vcpu.getFpu();
  t.throws(() => vcpu.setFpu({ fcw: 1, mxcsr: 2 ** 32 }), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vcpu.setFpu({ xmm: [new Uint8Array(16)] }), { code: 'ERR_INVALID_ARG_VALUE' });
  t.throws(() => vcpu.setFpu({ xmm: before.xmm.map(() => new Uint8Array(15)) }), {
    code: 'ERR_INVALID_ARG_VALUE',
  });
  t.throws(() => vcpu.setFpu({ mxcr: 1 } as never), { message: /did you mean 'mxcsr'/ });
  t.throws(() => vcpu.setFpu(undefined as never), { code: 'ERR_INVALID_ARG_TYPE' });
  t.deepEqual(vcpu.getFpu(), before);
});

/** `fxsave` area: XMM0 begins at byte 160. The header of `xsave` says at 512 which parts count. */
const XMM0 = 160;
const XSTATE_BV = 512;
const X87_AND_SSE = 3;

for (const [name, get, set] of [
  ['xsave', (vcpu: Vcpu) => vcpu.getXsave(), (vcpu: Vcpu, to: Uint8Array) => vcpu.setXsave(to)],
  ['xsave2', (vcpu: Vcpu) => vcpu.getXsave2(), (vcpu: Vcpu, to: Uint8Array) => vcpu.setXsave2(to)],
] as const) {
  test(`${name}: what was given back is what was there, and a changed register is seen`, (t) => {
    const kvm = openKvm(t);
    const vcpu = fullVcpu(t);
    const [capability, label] =
      name === 'xsave' ? [Cap.Xsave, 'KVM_CAP_XSAVE'] : [Cap.Xsave2, 'KVM_CAP_XSAVE2'];
    if (!hasCapability(t, kvm, capability, label, () => get(vcpu))) return;
    if (name === 'xsave' && vcpu.vm.checkExtensionInt(Cap.Xsave2) > 4096) {
      // The vCPU's state may or may not need the larger structure: both are answers.
      try {
        get(vcpu);
      } catch (error) {
        t.is((error as KvmError).errno, EINVAL);
        return;
      }
    }
    const state = get(vcpu);
    const size = name === 'xsave' ? 4096 : vcpu.vm.checkExtensionInt(Cap.Xsave2);
    t.is(state.length, size);
    set(vcpu, state);
    t.deepEqual(get(vcpu), state);
    state.fill(0x5a, XMM0, XMM0 + 16);
    state[XSTATE_BV]! |= X87_AND_SSE;
    set(vcpu, state);
    t.deepEqual(get(vcpu).subarray(XMM0, XMM0 + 16), new Uint8Array(16).fill(0x5a));
    t.deepEqual(vcpu.getFpu().xmm[0], new Uint8Array(16).fill(0x5a));
  });

  test(`${name}: another size is refused and changes nothing`, (t) => {
    const vcpu = fullVcpu(t);
    const kvm = openKvm(t);
    if (name === 'xsave2' && !hasCapability(t, kvm, Cap.Xsave2, 'KVM_CAP_XSAVE2', () => get(vcpu))) return;
    const before = vcpu.getFpu();
    for (const size of [0, 1, 512, 4095, 4097, 65_536]) {
      if (name === 'xsave2' && size === vcpu.vm.checkExtensionInt(Cap.Xsave2)) continue;
      t.throws(() => set(vcpu, new Uint8Array(size).fill(0xff)), {
        instanceOf: KvmError,
        code: 'ERR_KVM_STATE',
        message: /kvm_xsave has \d+ bytes on this host/,
      });
    }
    t.throws(() => set(vcpu, [1, 2, 3] as never), { code: 'ERR_INVALID_ARG_TYPE' });
    t.deepEqual(vcpu.getFpu(), before);
  });
}

test('an extended state that no processor can have is refused', (t) => {
  const vcpu = fullVcpu(t);
  const kvm = openKvm(t);
  if (!hasCapability(t, kvm, Cap.Xsave2, 'KVM_CAP_XSAVE2', () => vcpu.getXsave2())) return;
  const state = vcpu.getXsave2();
  // The header: a part that does not exist.
  state[XSTATE_BV + 7] = 0x7f;
  refusal(t, () => vcpu.setXsave2(state), EINVAL, 'KVM_SET_XSAVE');
});

test('extended control registers take what the CPUID allows', (t) => {
  const vcpu = fullVcpu(t);
  if (!new CpuidTable(openKvm(t).getSupportedCpuid()).feature('xsave')) {
    t.log(
      'skipped: this processor has no XSAVE, and no extended control register but the first, which is fixed',
    );
    t.pass();
    return;
  }
  const before = vcpu.getXcrs();
  t.is(before.nrXcrs, 1);
  t.is(before.xcrs.length, 16);
  t.is(before.xcrs[0]!.xcr, 0);
  vcpu.setXcrs(before);
  const all = (value: bigint) =>
    before.xcrs.map((one, index) => (index === 0 ? { xcr: 0, value } : { ...one }));
  vcpu.setXcrs({ xcrs: all(3n) });
  t.deepEqual(vcpu.getXcrs(), { ...before, xcrs: all(3n) });
  // SSE without x87.
  refusal(t, () => vcpu.setXcrs({ xcrs: all(2n) }), EINVAL, 'KVM_SET_XCRS');
  t.throws(() => vcpu.setXcrs({ xcrs: [] }), { code: 'ERR_INVALID_ARG_VALUE' });
  t.is(vcpu.getXcrs().xcrs[0]!.value, 3n);
});

test('debug registers are set one by one; bits that do not exist are refused', (t) => {
  const vcpu = makeVm(t).createVcpu();
  const before = vcpu.getDebugRegs();
  t.is(before.db.length, 4);
  vcpu.setDebugRegs(before);
  vcpu.setDebugRegs({ db: [1, 2n, 3, 0xffff_8000_0000_0000n], dr7: 0x400n });
  t.deepEqual(vcpu.getDebugRegs(), { ...before, db: [1n, 2n, 3n, 0xffff_8000_0000_0000n], dr7: 0x400n });
  refusal(t, () => vcpu.setDebugRegs({ dr7: 1n << 40n }), EINVAL, 'KVM_SET_DEBUGREGS');
  t.throws(() => vcpu.setDebugRegs({ db: [1, 2, 3] }), { code: 'ERR_INVALID_ARG_VALUE' });
  t.is(vcpu.getDebugRegs().db[0], 1n);
});

test('special registers with page-directory pointers: as the others, and one more', (t) => {
  const kvm = openKvm(t);
  const vcpu = makeVm(t).createVcpu();
  if (!hasCapability(t, kvm, Cap.Sregs2, 'KVM_CAP_SREGS2', () => vcpu.getSregs2())) return;
  const before = vcpu.getSregs2();
  t.is(before.pdptrs.length, 4);
  t.is(before.flags & 1n, 0n, 'without PAE paging the pointers mean nothing');
  vcpu.setSregs2(before);
  vcpu.setSregs2({ ds: { base: 0x1000, selector: 0x100 }, cr2: 5 });
  t.deepEqual(vcpu.getSregs2(), {
    ...before,
    ds: { ...before.ds, base: 0x1000n, selector: 0x100 },
    cr2: 5n,
  });
  t.is(vcpu.getSregs().ds.base, 0x1000n);
  // Paging without protection.
  refusal(t, () => vcpu.setSregs2({ cr0: 0x8000_0000n, efer: 0x100n }), EINVAL, 'KVM_SET_SREGS2');
});

test('PAE paging has four page-directory pointers', (t) => {
  const kvm = openKvm(t);
  const vm = makeVm(t);
  const vcpu = vm.createVcpu();
  if (!hasCapability(t, kvm, Cap.Sregs2, 'KVM_CAP_SREGS2', () => vcpu.getSregs2())) return;
  vm.memory.map({ guestAddress: 0, size: 0x8000 });
  // Present; the directories need not be there.
  const pdptrs = [0x2001n, 0x3001n, 0x4001n, 0x5001n];
  for (const [index, pointer] of pdptrs.entries()) vm.memory.writeBigUint64(0x1000 + index * 8, pointer);
  vcpu.setSregs2({ cr0: 0x8000_0011n, cr3: 0x1000n, cr4: 0x20n, flags: 1n, pdptrs });
  const after = vcpu.getSregs2();
  t.log(`flags ${after.flags}, pointers ${after.pdptrs.join(' ')}`);
  // Without two-dimensional paging KVM has no use for the pointers that it was given, and says so by the flag.
  if ((after.flags & 1n) === 0n) t.is(after.cr4 & 0x20n, 0x20n);
  else t.deepEqual(after.pdptrs, pdptrs);
});

// ---- nested state

test('nested state is a header where the guest runs no hypervisor, and goes back as it came', (t) => {
  const kvm = openKvm(t);
  const vcpu = fullVcpu(t);
  const name = 'KVM_CAP_NESTED_STATE';
  t.throws(() => vcpu.setNestedState('no bytes' as never), { code: 'ERR_INVALID_ARG_TYPE' });
  if (!hasCapability(t, kvm, Cap.NestedState, name, () => vcpu.getNestedState())) {
    hasCapability(t, kvm, Cap.NestedState, name, () => vcpu.setNestedState(new Uint8Array(128)));
    return;
  }
  const state = vcpu.getNestedState();
  t.true(state.length >= 128 && state.length <= kvm.checkExtensionInt(Cap.NestedState));
  t.is(new DataView(state.buffer).getUint32(4, true), state.length);
  vcpu.setNestedState(state);
  t.deepEqual(vcpu.getNestedState(), state);
  for (const wrong of [state.subarray(1), new Uint8Array(state.length + 8), new Uint8Array(0)]) {
    t.throws(() => vcpu.setNestedState(wrong), { instanceOf: KvmError, code: 'ERR_KVM_STATE' });
  }
});

// ---- CPUID

test('only the CPUID entries that there are come back', (t) => {
  const kvm = openKvm(t);
  const vcpu = makeVm(t).createVcpu();
  t.deepEqual(vcpu.getCpuid2(), []);
  const given = kvm.getSupportedCpuid().slice(0, 2);
  vcpu.setCpuid2(given);
  // KVM keeps some bits up to date, and some hosts add the leaf of the extended state; none adds empty entries.
  const read = vcpu.getCpuid2().map((entry) => entry.function);
  t.deepEqual(
    read.filter((leaf) => leaf !== 0xd),
    given.map((entry) => entry.function),
  );
});

test('a CPUID of 256 entries is taken; a longer one is refused as such and changes nothing', (t) => {
  const vcpu = makeVm(t).createVcpu();
  const entry = { function: 0, index: 0, flags: 0, eax: 0, ebx: 0, ecx: 0, edx: 0 };
  const entries = Array.from({ length: 256 }, (_, index) => ({ ...entry, function: 0x100 + index }));
  vcpu.setCpuid2(entries);
  t.is(vcpu.getCpuid2().length, 256);
  const error = t.throws(() => vcpu.setCpuid2([...entries, entry]), { instanceOf: RangeError });
  t.is((error as { code?: string }).code, 'ERR_OUT_OF_RANGE');
  t.regex(error?.message ?? '', /entries\.length.*<= 256\. Received 257/);
  t.is(vcpu.getCpuid2().length, 256);
});

// ---- clocks, addresses, capabilities

test("the time stamp counter keeps the host's speed, or takes another one where the host can", (t) => {
  const kvm = openKvm(t);
  const vcpu = makeVm(t).createVcpu();
  const khz = vcpu.getTscKhz();
  vcpu.setTscKhz(khz);
  t.is(vcpu.getTscKhz(), khz);
  // Slower than the hardware: only a processor that scales can do it.
  const slower = Math.trunc(khz / 2);
  if (!hasCapability(t, kvm, Cap.TscControl, 'KVM_CAP_TSC_CONTROL', () => vcpu.setTscKhz(slower))) return;
  vcpu.setTscKhz(slower);
  t.is(vcpu.getTscKhz(), slower);
  t.throws(() => vcpu.setTscKhz(-1), { code: 'ERR_OUT_OF_RANGE' });
});

test('a guest that uses kvmclock is told that it was stopped', (t) => {
  const kvm = openKvm(t);
  const vm = makeVm(t);
  vm.memory.map({ guestAddress: 0, size: 0x8000 });
  const vcpu = vm.createVcpu();
  if (!hasCapability(t, kvm, Cap.KvmclockCtrl, 'KVM_CAP_KVMCLOCK_CTRL', () => vcpu.kvmclockCtrl())) return;
  refusal(t, () => vcpu.kvmclockCtrl(), EINVAL, 'KVM_KVMCLOCK_CTRL');
  const MSR_KVM_SYSTEM_TIME_NEW = 0x4b56_4d01;
  vcpu.setMsrs([{ index: MSR_KVM_SYSTEM_TIME_NEW, data: 0x2001n }]);
  t.notThrows(() => vcpu.kvmclockCtrl());
});

test('addresses are translated by the page tables of the guest', (t) => {
  const vm = makeVm(t);
  vm.memory.map({ guestAddress: 0, size: 0x8000 });
  const vcpu = vm.createVcpu();
  const flat = vcpu.translateGva(0x1234);
  t.is(flat?.physicalAddress, 0x1234, 'without paging an address is what it is');
  // Four levels: 0x5000 is page 0x6000, nothing else is there.
  for (const [table, entry, value] of [
    [0x1000, 0, 0x2003n],
    [0x2000, 0, 0x3003n],
    [0x3000, 0, 0x4003n],
    [0x4000, 5, 0x6003n],
  ] as const)
    vm.memory.writeBigUint64(table + entry * 8, value);
  const { cs } = vcpu.getSregs();
  vcpu.setSregs({ cs: { ...cs, l: 1, db: 0 }, cr0: 0x8000_0011n, cr3: 0x1000n, cr4: 0x20n, efer: 0x500n });
  t.is(vcpu.translateGva(0x5123n)?.physicalAddress, 0x6123);
  t.is(vcpu.translateGva(0x6000), undefined);
  t.is(vcpu.translateGva(0), undefined);
  t.throws(() => vcpu.translateGva(-1), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vcpu.translateGva('0' as never), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('a capability of a vCPU that nobody has is ERR_KVM_UNSUPPORTED', (t) => {
  const vcpu = makeVm(t).createVcpu();
  const error = t.throws<KvmError>(() => vcpu.enableCap(0xffff_ffff), { code: 'ERR_KVM_UNSUPPORTED' });
  t.is(error?.syscall, 'KVM_ENABLE_CAP');
  t.throws(() => vcpu.enableCap(Cap.HypervSynic, [1, 2, 3, 4, 5]), { code: 'ERR_OUT_OF_RANGE' });
  // A capability of machines is none of vCPUs.
  refusal(t, () => vcpu.enableCap(Cap.SplitIrqchip, [24]), EINVAL, 'KVM_ENABLE_CAP');
});

test("Hyper-V's interrupt controller is turned on, where the host has it", (t) => {
  const kvm = openKvm(t);
  const vm = makeVm(t);
  vm.createSplitIrqchip();
  const vcpu = vm.createVcpu();
  const enable = (): void => vcpu.enableCap(Cap.HypervSynic);
  if (!kvm.checkExtension(Cap.HypervSynic)) {
    t.throws(enable, { code: 'ERR_KVM_UNSUPPORTED' });
    t.log('this host lacks KVM_CAP_HYPERV_SYNIC: only the refusal was tested');
    return;
  }
  t.notThrows(enable);
});

// ---- a closed vCPU, and one that runs

const CALLS: readonly (readonly [string, (vcpu: Vcpu) => unknown])[] = [
  ['getFpu', (vcpu) => vcpu.getFpu()],
  ['setFpu', (vcpu) => vcpu.setFpu({ fcw: 1 })],
  ['getXsave', (vcpu) => vcpu.getXsave()],
  ['getXsave2', (vcpu) => vcpu.getXsave2()],
  ['setXsave', (vcpu) => vcpu.setXsave(new Uint8Array(4096))],
  ['setXsave2', (vcpu) => vcpu.setXsave2(new Uint8Array(4096))],
  ['getXcrs', (vcpu) => vcpu.getXcrs()],
  ['getDebugRegs', (vcpu) => vcpu.getDebugRegs()],
  ['getSregs2', (vcpu) => vcpu.getSregs2()],
  ['getVcpuEvents', (vcpu) => vcpu.getVcpuEvents()],
  ['setVcpuEvents', (vcpu) => vcpu.setVcpuEvents({})],
  ['getNestedState', (vcpu) => vcpu.getNestedState()],
  ['setNestedState', (vcpu) => vcpu.setNestedState(new Uint8Array(128))],
  ['smi', (vcpu) => vcpu.smi()],
  ['interrupt', (vcpu) => vcpu.interrupt(1)],
  ['kvmclockCtrl', (vcpu) => vcpu.kvmclockCtrl()],
  ['setTscKhz', (vcpu) => vcpu.setTscKhz(1)],
  ['translateGva', (vcpu) => vcpu.translateGva(0)],
  ['enableCap', (vcpu) => vcpu.enableCap(1)],
  ['requestInterruptWindow', (vcpu) => vcpu.requestInterruptWindow(true)],
  ['ifFlag', (vcpu) => vcpu.ifFlag],
  ['readyForInterruptInjection', (vcpu) => vcpu.readyForInterruptInjection],
  ['fd', (vcpu) => vcpu.fd],
];

for (const [name, call] of CALLS) {
  test(`${name} on a closed vCPU is ERR_KVM_CLOSED`, (t) => {
    const vcpu = makeVm(t).createVcpu();
    vcpu.close();
    t.throws(() => call(vcpu), { instanceOf: KvmError, code: 'ERR_KVM_CLOSED' });
  });
}
