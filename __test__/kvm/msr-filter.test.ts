import test, { type ExecutionContext } from 'ava';

import { Cap, type KvmError, MSR_EXIT_REASON, denyMsrs, type Exit, type MsrFilter } from '../../index.ts';
import { hasCapability } from '../helpers/capability.ts';
import { realModeGuest } from '../helpers/guests.ts';
import { boot, exitOf, makeVm, openKvm } from '../helpers/machine.ts';

const SYSENTER_CS = 0x174;

/** rdmsr of 0x174; eax to ebx; eax + 1 by wrmsr; hlt */
const GUEST = realModeGuest(
  [0x66, 0xb9, 0x74, 0x01, 0x00, 0x00], // mov ecx, 0x174
  [0x0f, 0x32], //                         rdmsr
  [0x66, 0x89, 0xc3], //                   mov ebx, eax
  [0x66, 0x40], //                         inc eax
  [0x0f, 0x30], //                         wrmsr
  [0xf4], //                               hlt
);
/** At 0x100 lies the handler of #GP, vector 13: hlt with di = 0x6b. */
const GP_HANDLER = Uint8Array.of(0xbf, 0x6b, 0x00, 0xf4);

function bootFiltered(t: ExecutionContext, filter: MsrFilter, exits: boolean) {
  const machine = boot(t, GUEST, {
    prepare: (vm) => {
      if (exits) vm.setUserSpaceMsr({ filter: true });
      vm.setMsrFilter(filter);
    },
    regs: { rsp: 0x3000 },
  });
  machine.vm.memory.writeUint32(13 * 4, 0x100);
  machine.vm.memory.write(0x100, GP_HANDLER);
  machine.vcpu.setMsrs([{ index: SYSENTER_CS, data: 0x10n }]);
  return machine;
}

/** Whether the host has the filter; the rest of a test is about it. */
function hasFilter(t: ExecutionContext): boolean {
  const vm = makeVm(t);
  return hasCapability(t, openKvm(t), Cap.X86MsrFilter, 'KVM_CAP_X86_MSR_FILTER', () => vm.setMsrFilter({}));
}

test('an MSR that the filter denies is #GP in the guest', (t) => {
  if (!hasFilter(t)) return;
  const { vcpu } = bootFiltered(t, denyMsrs([SYSENTER_CS]), false);
  exitOf(vcpu.run(), 'hlt');
  t.is(vcpu.regs.rdi & 0xffffn, 0x6bn);
  t.is(vcpu.getMsrs([SYSENTER_CS])[0]!.data, 0x10n, 'the host is not filtered');
});

test('an MSR that the filter denies comes to the handlers', (t) => {
  if (!hasFilter(t)) return;
  const { vcpu } = bootFiltered(t, denyMsrs([SYSENTER_CS]), true);
  const exits: Exit[] = [];
  const end = vcpu.run({
    x86Rdmsr: (exit) => {
      exits.push(exit.toJSON());
      return 0x41;
    },
    x86Wrmsr: (exit) => void exits.push(exit.toJSON()),
  });
  exitOf(end, 'hlt');
  const common = { index: SYSENTER_CS, why: MSR_EXIT_REASON.FILTER };
  t.deepEqual(exits, [
    { kind: 'x86Rdmsr', ...common },
    { kind: 'x86Wrmsr', ...common, data: 0x42n },
  ]);
  t.is(vcpu.getMsrs([SYSENTER_CS])[0]!.data, 0x10n);
});

test('reads and writes are filtered apart', (t) => {
  if (!hasFilter(t)) return;
  const { vcpu } = bootFiltered(t, denyMsrs([SYSENTER_CS], { read: false }), true);
  const exit = exitOf(vcpu.run(), 'x86Wrmsr');
  t.is(exit.data, 0x11n);
  t.is(vcpu.regs.rbx, 0x10n);
});

test('MSRs beside the denied ones go through, and an empty filter takes the old one back', (t) => {
  if (!hasFilter(t)) return;
  const beside = bootFiltered(t, denyMsrs([SYSENTER_CS - 1, SYSENTER_CS + 1]), true);
  exitOf(beside.vcpu.run(), 'hlt');
  t.is(beside.vcpu.getMsrs([SYSENTER_CS])[0]!.data, 0x11n);
  const freed = bootFiltered(t, denyMsrs([SYSENTER_CS]), true);
  freed.vm.setMsrFilter({});
  exitOf(freed.vcpu.run(), 'hlt');
  t.is(freed.vcpu.getMsrs([SYSENTER_CS])[0]!.data, 0x11n);
});

test('a filter that denies by default lets through what its ranges allow', (t) => {
  if (!hasFilter(t)) return;
  const allowed: MsrFilter = {
    defaultAction: 'deny',
    ranges: [{ base: SYSENTER_CS, count: 1, bitmap: Uint8Array.of(1) }],
  };
  const { vcpu } = bootFiltered(t, allowed, true);
  exitOf(vcpu.run(), 'hlt');
  t.is(vcpu.getMsrs([SYSENTER_CS])[0]!.data, 0x11n);
  const other: MsrFilter = {
    defaultAction: 'deny',
    ranges: [{ base: SYSENTER_CS + 1, count: 1, bitmap: Uint8Array.of(1) }],
  };
  exitOf(bootFiltered(t, other, true).vcpu.run(), 'x86Rdmsr');
});

test("a filter that denies without a range is KVM's to refuse", (t) => {
  if (!hasFilter(t)) return;
  const error = t.throws<KvmError>(() => makeVm(t).setMsrFilter({ defaultAction: 'deny' }), {
    code: 'ERR_KVM_IOCTL',
  });
  t.is(error?.errno, 22);
  t.is(error?.syscall, 'KVM_X86_SET_MSR_FILTER');
});

test('a wrong filter is an argument error', (t) => {
  const vm = makeVm(t);
  const wrong = (filter: unknown, code: string, message: RegExp): void =>
    void t.throws(() => vm.setMsrFilter(filter as MsrFilter), { code, message });
  const range = { base: 0x174, count: 9, bitmap: new Uint8Array(2) };
  wrong(
    { ranges: [{ ...range, bitmap: new Uint8Array(1) }] },
    'ERR_OUT_OF_RANGE',
    /bitmap\.length.*2 for 9 MSRs/,
  );
  wrong({ ranges: [{ ...range, count: 0 }] }, 'ERR_OUT_OF_RANGE', /count/);
  wrong({ ranges: [{ ...range, count: 12_289 }] }, 'ERR_OUT_OF_RANGE', /count/);
  wrong({ ranges: [{ ...range, base: 0xffff_ffff }] }, 'ERR_OUT_OF_RANGE', /count/);
  wrong({ ranges: [{ ...range, read: false, write: false }] }, 'ERR_INVALID_ARG_VALUE', /reads or writes/);
  wrong({ ranges: Array.from({ length: 17 }, () => range) }, 'ERR_OUT_OF_RANGE', /ranges\.length/);
  wrong({ ranges: [{ ...range, bits: 1 }] }, 'ERR_INVALID_ARG_VALUE', /bits/);
  wrong({ defaultAction: 'allw' }, 'ERR_INVALID_ARG_VALUE', /did you mean 'allow'/);
  wrong(undefined, 'ERR_INVALID_ARG_TYPE', /filter/);
});

test('a list of MSRs becomes as few ranges as it can', (t) => {
  t.deepEqual(denyMsrs([]), { defaultAction: 'allow', ranges: [] });
  const { ranges } = denyMsrs([0xc000_0081, 0x10, 0x12, 0xc000_0080, 0x10]);
  t.deepEqual(ranges, [
    { base: 0x10, count: 3, bitmap: Uint8Array.of(0b1111_1010), read: true, write: true },
    { base: 0xc000_0080, count: 2, bitmap: Uint8Array.of(0b1111_1100), read: true, write: true },
  ]);
  const far = Array.from({ length: 17 }, (_, index) => index * 0x10_0000);
  t.is(denyMsrs(far.slice(0, 16)).ranges?.length, 16);
  t.throws(() => denyMsrs(far), { code: 'ERR_OUT_OF_RANGE', message: /at most 16 ranges of 12288/ });
  t.throws(() => denyMsrs([-1]), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => denyMsrs([1], { reed: true } as never), { code: 'ERR_INVALID_ARG_VALUE' });
});

test('the largest range is 12288 MSRs', (t) => {
  if (!hasFilter(t)) return;
  const { ranges } = denyMsrs([0, 12_287]);
  t.is(ranges?.length, 1);
  t.notThrows(() => makeVm(t).setMsrFilter({ ranges }));
});

test('what comes to user space is said by name', (t) => {
  const vm = makeVm(t);
  t.notThrows(() => vm.setUserSpaceMsr({ inval: true, unknown: true, filter: true }));
  t.notThrows(() => vm.setUserSpaceMsr({}));
  t.throws(() => vm.setUserSpaceMsr({ unkown: true } as never), { message: /did you mean 'unknown'/ });
  t.throws(() => vm.setUserSpaceMsr({ inval: 1 as never }), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => vm.setUserSpaceMsr(undefined as never), { code: 'ERR_INVALID_ARG_TYPE' });
});
