import test from 'ava';

import { Cap, type Exit } from '../../index.ts';
import { realModeGuest } from '../helpers/guests.ts';
import { boot, exitOf } from '../helpers/machine.ts';

/** rdmsr of 0xdead0000, which nobody knows; eax and edx into ebx and esi; wrmsr of ebx + 1; hlt */
const MSR_GUEST = realModeGuest(
  [0x66, 0xb9, 0x00, 0x00, 0xad, 0xde], //  mov ecx, 0xdead0000
  [0x0f, 0x32], //                          rdmsr
  [0x66, 0x89, 0xc3], //                    mov ebx, eax
  [0x66, 0x89, 0xd6], //                    mov esi, edx
  [0x66, 0x40], //                          inc eax
  [0x0f, 0x30], //                          wrmsr
  [0xf4], //                                hlt
);
const UNKNOWN_MSR = 0xdead_0000;
const KVM_MSR_EXIT_REASON_UNKNOWN = 2;
/** At 0x100 lies the handler of #GP, vector 13: hlt with di = 0x6b. */
const GP_HANDLER = Uint8Array.of(0xbf, 0x6b, 0x00, 0xf4);

function bootMsr(t: Parameters<typeof boot>[0]) {
  const machine = boot(t, MSR_GUEST, {
    prepare: (vm) => vm.enableCap(Cap.X86UserSpaceMsr, [KVM_MSR_EXIT_REASON_UNKNOWN]),
    regs: { rsp: 0x3000 },
  });
  machine.vm.memory.writeUint32(13 * 4, 0x100);
  machine.vm.memory.write(0x100, GP_HANDLER);
  return machine;
}

test('rdmsr and wrmsr of an unknown MSR come to the handlers, and the answer arrives', (t) => {
  const { vcpu } = bootMsr(t);
  const exits: Exit[] = [];
  const end = vcpu.run({
    x86Rdmsr: (exit) => {
      exits.push(exit.toJSON());
      return 0x1111_2222_3333_4444n;
    },
    x86Wrmsr: (exit) => void exits.push(exit.toJSON()),
  });
  exitOf(end, 'hlt');
  const common = { index: UNKNOWN_MSR, why: KVM_MSR_EXIT_REASON_UNKNOWN };
  t.deepEqual(exits, [
    { kind: 'x86Rdmsr', ...common },
    { kind: 'x86Wrmsr', ...common, data: 0x1111_2222_3333_4445n },
  ]);
  const { rbx, rsi, rdi } = vcpu.getRegs();
  t.is(rbx, 0x3333_4444n);
  t.is(rsi, 0x1111_2222n);
  t.not(rdi & 0xffffn, 0x6bn);
});

test('an unanswered rdmsr reads 0', (t) => {
  const { vcpu } = bootMsr(t);
  const end = vcpu.run({ x86Rdmsr: () => {}, x86Wrmsr: (exit) => exit.stop() });
  if (end.reason !== 'stopped' || end.exit.kind !== 'x86Wrmsr') return t.fail();
  t.is(end.exit.data, 1n);
});

test('an rdmsr that fails is #GP in the guest', (t) => {
  const { vcpu } = bootMsr(t);
  let failed = 0;
  const end = vcpu.run({
    x86Rdmsr: (exit) => {
      failed++;
      exit.fail();
    },
  });
  exitOf(end, 'hlt');
  t.is(failed, 1);
  t.is(vcpu.getRegs().rdi & 0xffffn, 0x6bn);
});

test('a wrmsr that fails is #GP in the guest', (t) => {
  const { vcpu } = bootMsr(t);
  let failed = 0;
  const end = vcpu.run({
    x86Rdmsr: () => 1,
    x86Wrmsr: (exit) => {
      failed++;
      exit.fail();
    },
  });
  exitOf(end, 'hlt');
  t.is(failed, 1);
  t.is(vcpu.getRegs().rdi & 0xffffn, 0x6bn);
});
