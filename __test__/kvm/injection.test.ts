// What the host can do to a guest from outside: exceptions, interrupts, NMIs, SMIs, messages, and the ends of them.
import { existsSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';

import { Cap, KvmError, VCPU_EVENT, pcGsiRoutes, type Vcpu, type Vm } from '../../index.ts';
import { hasCapability } from '../helpers/capability.ts';
import { enter, findGuest } from '../helpers/guests.ts';
import { boot, exitOf, makeEvent, makeVm, openKvm } from '../helpers/machine.ts';

const EINVAL = 22;
const READY = 0x500;
const COM1 = 0x3f8;

/** Runs to the next port write, and completes it. */
function nextWrite(t: ExecutionContext, vcpu: Vcpu): { port: number; value: number } {
  const exit = vcpu.step({ timeoutMs: 5000 });
  if (exit.kind !== 'ioOut') {
    t.fail(`expected ioOut, not ${exit.kind}`);
    throw new Error(exit.kind);
  }
  vcpu.complete();
  return { port: exit.port, value: exit.value };
}

function printed(t: ExecutionContext, vcpu: Vcpu): string {
  const { port, value } = nextWrite(t, vcpu);
  return port === COM1 ? String.fromCharCode(value) : `a write to port ${port}`;
}

/** A guest that prints a letter for each event, with its interrupts on. */
function bootReady(t: ExecutionContext): { vm: Vm; vcpu: Vcpu } {
  const machine = boot(t, 'injected-events');
  t.deepEqual(nextWrite(t, machine.vcpu), { port: READY, value: 0 });
  t.deepEqual(nextWrite(t, machine.vcpu), { port: READY, value: 1 });
  return machine;
}

test('events go back as they came', (t) => {
  const vcpu = makeVm(t).createVcpu();
  const before = vcpu.getVcpuEvents();
  t.is(before.exception.injected, 0);
  t.not(before.flags & VCPU_EVENT.VALID_NMI_PENDING, 0);
  vcpu.setVcpuEvents(before);
  t.deepEqual(vcpu.getVcpuEvents(), before);
  vcpu.setVcpuEvents({ nmi: { masked: 1 } });
  t.deepEqual(vcpu.getVcpuEvents(), { ...before, nmi: { ...before.nmi, masked: 1 } });
});

test('events that no CPU can have are refused, and change nothing', (t) => {
  const vcpu = makeVm(t).createVcpu();
  const before = vcpu.getVcpuEvents();
  const error = t.throws<KvmError>(() => vcpu.setVcpuEvents({ exception: { injected: 1, nr: 99 } }), {
    code: 'ERR_KVM_IOCTL',
  });
  t.is(error?.errno, EINVAL);
  t.is(error?.syscall, 'KVM_SET_VCPU_EVENTS');
  t.throws(() => vcpu.setVcpuEvents({ flags: 0xffff_ffff }), { code: 'ERR_KVM_IOCTL' });
  t.throws(() => vcpu.setVcpuEvents({ exception: { nr: 256 } }), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vcpu.setVcpuEvents({ exeption: {} } as never), { message: /did you mean 'exception'/ });
  t.deepEqual(vcpu.getVcpuEvents(), before);
});

test('an exception reaches the handler of the guest', (t) => {
  const { vcpu } = bootReady(t);
  vcpu.setVcpuEvents({ exception: { injected: 1, nr: 6, hasErrorCode: 0 } });
  t.is(vcpu.getVcpuEvents().exception.injected, 1);
  t.is(printed(t, vcpu), 'U');
  t.is(vcpu.getVcpuEvents().exception.injected, 0);
  t.is(nextWrite(t, vcpu).port, READY, 'and the guest goes on');
});

test('an exception injected by a handler comes after the access', (t) => {
  const { vcpu } = bootReady(t);
  const letters: string[] = [];
  vcpu.run(
    {
      ioOut: (exit, self) => {
        if (exit.port === READY && letters.length === 0) {
          self.setVcpuEvents({ exception: { injected: 1, nr: 6, hasErrorCode: 0 } });
        }
        if (exit.port !== COM1) return;
        letters.push(String.fromCharCode(exit.value));
        exit.stop();
      },
    },
    { timeoutMs: 5000 },
  );
  t.deepEqual(letters, ['U']);
});

test('an NMI reaches the handler of the guest', (t) => {
  const { vcpu } = bootReady(t);
  vcpu.nmi();
  t.is(printed(t, vcpu), 'N');
  t.is(nextWrite(t, vcpu).port, READY);
});

test('an external interrupt reaches a guest without interrupt controllers', (t) => {
  const { vcpu } = bootReady(t);
  t.true(vcpu.ifFlag);
  t.true(vcpu.readyForInterruptInjection);
  vcpu.interrupt(0x20);
  t.is(vcpu.getVcpuEvents().interrupt.nr, 0x20);
  t.is(printed(t, vcpu), 'I');
  t.is(nextWrite(t, vcpu).port, READY);
});

test('a guest that has interrupts off says when they are on', (t) => {
  const { vcpu } = boot(t, 'injected-events');
  t.deepEqual(nextWrite(t, vcpu), { port: READY, value: 0 });
  t.false(vcpu.ifFlag);
  t.false(vcpu.readyForInterruptInjection);
  vcpu.requestInterruptWindow(true);
  t.is(vcpu.step({ timeoutMs: 5000 }).kind, 'irqWindowOpen');
  t.true(vcpu.readyForInterruptInjection);
  vcpu.requestInterruptWindow(false);
  vcpu.interrupt(0x20);
  t.is(printed(t, vcpu), 'I');
  t.throws(() => vcpu.requestInterruptWindow(1 as never), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('an interrupt has a vector, and needs controllers that are not in the kernel', (t) => {
  const vm = makeVm(t);
  vm.createIrqChip();
  const vcpu = vm.createVcpu();
  const error = t.throws<KvmError>(() => vcpu.interrupt(0x20), { code: 'ERR_KVM_IOCTL' });
  t.is(error?.errno, 6);
  t.is(error?.syscall, 'KVM_INTERRUPT');
  for (const vector of [-1, 256, 1.5]) t.throws(() => vcpu.interrupt(vector), { code: 'ERR_OUT_OF_RANGE' });
});

test('with split controllers one interrupt waits at a time', (t) => {
  const vm = makeVm(t);
  vm.createSplitIrqchip();
  const vcpu = vm.createVcpu();
  vcpu.interrupt(0x20);
  const error = t.throws<KvmError>(() => vcpu.interrupt(0x21), { code: 'ERR_KVM_IOCTL' });
  t.is(error?.errno, 17);
});

test('a system management interrupt reaches its handler', (t) => {
  const vm = makeVm(t);
  const guest = findGuest('system-management');
  const ram = { guestAddress: 0, size: 0x4_0000, smm: true };
  if (!hasCapability(t, openKvm(t), Cap.X86Smm, 'KVM_CAP_X86_SMM', () => vm.memory.map(ram))) return;
  vm.memory.map(ram);
  vm.memory.write(guest.loadAddress, guest.bytes);
  const vcpu = vm.createVcpu();
  enter(vcpu, guest);
  t.is(nextWrite(t, vcpu).port, READY);
  vcpu.smi();
  t.is(printed(t, vcpu), 'S');
  t.is(vcpu.getVcpuEvents().smi.smm, 1);
  t.is(nextWrite(t, vcpu).port, READY);
  t.is(vcpu.getVcpuEvents().smi.smm, 0);
});

// ---- messages

const VECTOR = 0x30;
const LEVEL_TRIGGERED = 0x8000;
const ASSERTED = 0x4000;
const LINE = 24;
const message = { type: 'msi', addressLow: 0xfee0_0000, data: VECTOR } as const;

test('an event becomes a message that interrupts the guest', (t) => {
  const event = makeEvent(t);
  const { vm, vcpu } = boot(t, 'interrupt-message', { prepare: (machine) => machine.createIrqChip() });
  vm.setGsiRouting([...pcGsiRoutes(), { ...message, gsi: LINE }]);
  vm.registerIrqfd(event, LINE);
  const letters: string[] = [];
  const end = vcpu.run(
    {
      ioOut: (exit) => {
        if (exit.port === COM1) letters.push(String.fromCharCode(exit.value));
        if (letters.length === 3) exit.stop();
        else event.write();
      },
    },
    { timeoutMs: 20_000 },
  );
  t.is(end.reason, 'stopped');
  t.deepEqual(letters, ['M', 'M', 'M']);
});

test('a message is sent without a line', (t) => {
  const { vm, vcpu } = boot(t, 'interrupt-message', { prepare: (machine) => machine.createIrqChip() });
  const letters: string[] = [];
  const end = vcpu.run(
    {
      ioOut: (exit) => {
        if (exit.port === COM1) {
          letters.push(String.fromCharCode(exit.value));
          exit.stop();
        } else {
          t.true(vm.signalMsi({ addressLow: message.addressLow, data: message.data }));
        }
      },
    },
    { timeoutMs: 20_000 },
  );
  t.is(end.reason, 'stopped');
  t.deepEqual(letters, ['M']);
});

test('with split controllers the end of a level-triggered interrupt is an exit', (t) => {
  const { vm, vcpu } = boot(t, 'interrupt-message', { prepare: (machine) => machine.createSplitIrqchip() });
  const PIN = 5;
  vm.setGsiRouting([{ ...message, gsi: PIN, data: VECTOR | LEVEL_TRIGGERED | ASSERTED }]);
  const seen: string[] = [];
  const end = vcpu.run(
    {
      ioOut: (exit) => {
        if (exit.port === COM1) seen.push(String.fromCharCode(exit.value));
        else vm.setIrqLine(PIN, true);
      },
      ioapicEoi: (exit) => {
        seen.push(`end of ${exit.vector}`);
        exit.stop();
      },
    },
    { timeoutMs: 20_000 },
  );
  t.is(end.reason, 'stopped');
  t.deepEqual(seen, ['M', `end of ${VECTOR}`]);
});

test('split controllers are made once, before the vCPUs, and instead of the others', (t) => {
  const split = makeVm(t);
  split.createSplitIrqchip({ ioapicPins: 48 });
  const again = t.throws<KvmError>(() => split.createSplitIrqchip(), { code: 'ERR_KVM_IOCTL' });
  t.is(again?.errno, 17);
  t.throws(() => split.createIrqChip(), { code: 'ERR_KVM_IOCTL' });
  const late = makeVm(t);
  late.createVcpu();
  t.throws(() => late.createSplitIrqchip(), { code: 'ERR_KVM_IOCTL' });
  t.throws(() => makeVm(t).createSplitIrqchip({ ioapicPins: 4097 }), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => makeVm(t).createSplitIrqchip({ pins: 24 } as never), { code: 'ERR_INVALID_ARG_VALUE' });
});

// ---- hypercalls

const MAP_GPA_RANGE = 12;

/** KVM-PVM puts its own instruction in the place of every hypercall and then does not know it: such a guest hangs. */
function hasHypercalls(t: ExecutionContext): boolean {
  if (!existsSync('/sys/module/kvm_pvm')) return true;
  t.log('kvm_pvm cannot emulate vmcall: the hypercall was not tested');
  t.pass();
  return false;
}

test('a hypercall that was asked for is an exit, and its answer reaches the guest', (t) => {
  const { vm, vcpu } = boot(t, 'hypercall');
  const ask = (): void => vm.setHypercallExits([MAP_GPA_RANGE]);
  if (!hasCapability(t, openKvm(t), Cap.ExitHypercall, 'KVM_CAP_EXIT_HYPERCALL', ask)) return;
  t.notThrows(ask);
  if (!hasHypercalls(t)) return;
  const seen: unknown[] = [];
  const letters: number[] = [];
  const end = vcpu.run(
    {
      hypercall: (exit) => {
        seen.push(exit.toJSON());
        return 0x2a;
      },
      ioOut: (exit) => void letters.push(exit.value),
    },
    { timeoutMs: 5000 },
  );
  exitOf(end, 'hlt');
  t.deepEqual(seen, [
    { kind: 'hypercall', nr: 12n, args: [0x5000n, 1n, 0x10n, 0n, 0n, 0n], longmode: false },
  ]);
  t.deepEqual(letters, [0x2a]);
});

test('a hypercall that was not asked for is none of ours', (t) => {
  if (!hasHypercalls(t)) return;
  const { vcpu } = boot(t, 'hypercall');
  const letters: number[] = [];
  exitOf(vcpu.run({ ioOut: (exit) => void letters.push(exit.value) }, { timeoutMs: 5000 }), 'hlt');
  // -KVM_ENOSYS
  t.deepEqual(letters, [-1000 & 0xff]);
});

test('hypercalls that KVM answers itself cannot be asked for', (t) => {
  const vm = makeVm(t);
  const error = t.throws<KvmError>(() => vm.setHypercallExits([1]), { instanceOf: KvmError });
  t.true(error?.code === 'ERR_KVM_IOCTL' || error?.code === 'ERR_KVM_UNSUPPORTED');
  t.throws(() => vm.setHypercallExits([31]), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vm.setHypercallExits(12 as never), { code: 'ERR_INVALID_ARG_TYPE' });
});

// ---- the timer

test('a timer without interrupt controllers is refused by every host', (t) => {
  const vm = makeVm(t);
  t.is(t.throws<KvmError>(() => vm.createPit2(), { code: 'ERR_KVM_IOCTL' })?.errno, 2);
  vm.createSplitIrqchip();
  t.is(t.throws<KvmError>(() => vm.createPit2(), { code: 'ERR_KVM_IOCTL' })?.errno, 2);
});
