import test from 'ava';

import { Cap, Kvm, KvmError, MP_STATE, type Vm } from '../../index.ts';
import { realModeGuest } from '../helpers/guests.ts';
import { boot, exitOf, makeVm } from '../helpers/machine.ts';

const EINVAL = 22;

// ---- special registers

test('special registers merge, inside of segments too', (t) => {
  const vcpu = makeVm(t).createVcpu();
  const before = vcpu.getSregs();
  vcpu.setSregs({ ds: { base: 0x1000, selector: 0x100 }, gdt: { limit: 0x7f }, cr2: 5 });
  const after = vcpu.getSregs();
  t.deepEqual(after, {
    ...before,
    ds: { ...before.ds, base: 0x1000n, selector: 0x100 },
    gdt: { ...before.gdt, limit: 0x7f },
    cr2: 5n,
  });
});

for (const controllers of [false, true]) {
  test(`the task priority is the guest's ${controllers ? 'with' : 'without'} a local APIC in the kernel`, (t) => {
    const guest = realModeGuest([0xe6, 0x80]); // out 0x80, al
    const prepare = (vm: Vm): void => vm.createIrqChip();
    const { vcpu } = boot(t, guest, controllers ? { prepare } : {});
    vcpu.setSregs({ cr8: 5 });
    exitOf(vcpu.run(), 'ioOut');
    t.is(vcpu.getSregs().cr8, 5n);
    if (vcpu.vm.checkExtension(Cap.Sregs2)) vcpu.setSregs2({ cr8: 7 });
    else vcpu.setSregs({ cr8: 7 });
    vcpu.complete();
    t.is(vcpu.getSregs().cr8, 7n);
    t.throws(() => vcpu.setSregs({ cr8: -1 }), { code: 'ERR_OUT_OF_RANGE' });
  });
}

test('a wrong special register changes none', (t) => {
  const vcpu = makeVm(t).createVcpu();
  const before = vcpu.getSregs();
  t.throws(() => vcpu.setSregs({ cr2: 7, ds: { selector: 0x1_0000 } }), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vcpu.setSregs({ ds: { bse: 1 } } as never), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /did you mean 'base'/,
  });
  t.deepEqual(vcpu.getSregs(), before);
});

test('a state that no CPU can have is EINVAL', (t) => {
  const vcpu = makeVm(t).createVcpu();
  // Paging without protection.
  const error = t.throws<KvmError>(() => vcpu.setSregs({ cr0: 0x8000_0000n, efer: 0x100n }), {
    instanceOf: KvmError,
    code: 'ERR_KVM_IOCTL',
  });
  t.is(error?.errno, EINVAL);
  t.is(error?.syscall, 'KVM_SET_SREGS');
});

// ---- CPUID, MSRs, state

test('the CPUID that was set is the one that is read', (t) => {
  // mov eax, 0x40000000; cpuid; hlt
  const { vcpu } = boot(t, realModeGuest(0x66, 0xb8, 0, 0, 0, 0x40, 0x0f, 0xa2, 0xf4));
  using kvm = new Kvm();
  const entries = kvm.getSupportedCpuid();
  const base = entries.find((entry) => entry.function === 0x4000_0000)!;
  base.ebx = 0x7463_6876;
  vcpu.setCpuid2(entries);
  const read = vcpu.getCpuid2();
  t.is(read.length, entries.length);
  t.is(read.find((entry) => entry.function === 0x4000_0000)?.ebx, 0x7463_6876);
  t.throws(() => vcpu.setCpuid2([{ function: -1 }] as never), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vcpu.setCpuid2({} as never), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('MSRs are written and read back', (t) => {
  const vcpu = makeVm(t).createVcpu();
  const [SYSENTER_CS, SYSENTER_ESP] = [0x174, 0x175];
  vcpu.setMsrs([
    { index: SYSENTER_CS, data: 0x10n },
    { index: SYSENTER_ESP, data: 0xffff_8000_0000_1000n },
  ]);
  t.deepEqual(vcpu.getMsrs([SYSENTER_ESP, SYSENTER_CS]), [
    { index: SYSENTER_ESP, data: 0xffff_8000_0000_1000n },
    { index: SYSENTER_CS, data: 0x10n },
  ]);
  t.deepEqual(vcpu.getMsrs([]), []);
});

test('an MSR that the host refuses is named; those before it are set', (t) => {
  const vcpu = makeVm(t).createVcpu();
  const read = t.throws<KvmError>(() => vcpu.getMsrs([0x174, 0xdead_beef]), {
    code: 'ERR_KVM_IOCTL',
    message: /0xdeadbeef/,
  });
  t.is(read?.syscall, 'KVM_GET_MSRS');
  const entries = [
    { index: 0x174, data: 0x18n },
    { index: 0xdead_beef, data: 0n },
  ];
  const write = t.throws<KvmError>(() => vcpu.setMsrs(entries), { message: /0xdeadbeef/ });
  t.is(write?.syscall, 'KVM_SET_MSRS');
  t.is(vcpu.getMsrs([0x174])[0]!.data, 0x18n);
});

test('a second vCPU waits for its startup, and can be set going', (t) => {
  const vm = makeVm(t);
  vm.createIrqChip();
  const first = vm.createVcpu();
  const second = vm.createVcpu();
  t.is(first.getMpState(), MP_STATE.RUNNABLE);
  t.is(second.getMpState(), MP_STATE.UNINITIALIZED);
  second.setMpState(MP_STATE.RUNNABLE);
  t.is(second.getMpState(), MP_STATE.RUNNABLE);
  t.throws(() => second.setMpState(99), { code: 'ERR_KVM_IOCTL' });
});

test('an NMI runs its handler', (t) => {
  // hlt; and at 0x100 the handler: mov di, 0x6b; hlt
  const { vm, vcpu } = boot(t, realModeGuest(0xf4, 0xeb, 0xfd), { regs: { rsp: 0x3000 } });
  vm.memory.writeUint32(2 * 4, 0x100);
  vm.memory.write(0x100, Uint8Array.of(0xbf, 0x6b, 0x00, 0xf4));
  exitOf(vcpu.run(), 'hlt');
  vcpu.nmi();
  exitOf(vcpu.run(), 'hlt');
  t.is(vcpu.regs.rdi & 0xffffn, 0x6bn);
});

test('debugging takes four breakpoints at most', (t) => {
  const vcpu = makeVm(t).createVcpu();
  t.notThrows(() => vcpu.setGuestDebug({ hardwareBreakpoints: [1, 2n, 3, 4] }));
  t.throws(() => vcpu.setGuestDebug({ hardwareBreakpoints: [1, 2, 3, 4, 5] }), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vcpu.setGuestDebug({ singleStep: 1 as never }), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('this host has sync regs, or each access is an ioctl', (t) => {
  using kvm = new Kvm();
  t.log(`sync regs: ${kvm.checkExtensionInt(Cap.SyncRegs)}`);
  t.true([0, 7].includes(kvm.checkExtensionInt(Cap.SyncRegs) & 7));
});
