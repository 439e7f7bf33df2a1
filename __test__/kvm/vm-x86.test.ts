// What a machine of x86_64 has beside that of every architecture: interrupt controllers, timer, clock, ports.
import test from 'ava';

import type { KvmError } from '../../index.ts';
import { realModeGuest } from '../helpers/guests.ts';
import { boot, exitOf, makeEvent, makeVm } from '../helpers/machine.ts';

const EINVAL = 22;
const EEXIST = 17;
const ENOENT = 2;
const ENXIO = 6;

/** mov dx, 0x500; mov al, 0x2a; out dx, al; out dx, ax; hlt (ah is 0) */
const TWO_WRITES = realModeGuest(0xba, 0x00, 0x05, 0xb0, 0x2a, 0xee, 0xef, 0xf4);

test('the interrupt controllers are made once, and needed for the rest', (t) => {
  const vm = makeVm(t);
  t.is(t.throws<KvmError>(() => vm.setIrqLine(4, true), { code: 'ERR_KVM_IOCTL' })?.errno, ENXIO);
  t.is(t.throws<KvmError>(() => vm.getIrqchip(0), { code: 'ERR_KVM_IOCTL' })?.errno, ENXIO);
  vm.createIrqChip();
  const again = t.throws<KvmError>(() => vm.createIrqChip(), { code: 'ERR_KVM_IOCTL' });
  t.is(again?.errno, EEXIST);
  t.is(again?.syscall, 'KVM_CREATE_IRQCHIP');
});

for (const chip of [0, 1, 2] as const) {
  test(`interrupt controller ${chip} gives its state and takes it back`, (t) => {
    const vm = makeVm(t);
    vm.createIrqChip();
    const state = vm.getIrqchip(chip);
    vm.setIrqchip(chip, state);
    t.deepEqual(vm.getIrqchip(chip), state);
    t.throws(() => vm.setIrqchip(chip, state.subarray(1)), { code: 'ERR_KVM_STATE' });
    t.throws(() => vm.getIrqchip(3 as never), { code: 'ERR_INVALID_ARG_VALUE' });
  });
}

test('an interrupt line raises a request in the first PIC', (t) => {
  const vm = makeVm(t);
  vm.createIrqChip();
  // struct kvm_irqchip: chip id and padding, then struct kvm_pic_state: last_irr, irr, …
  const LAST_IRR = 8;
  vm.setIrqLine(5, true);
  t.is(vm.getIrqchip(0)[LAST_IRR]! & (1 << 5), 1 << 5);
  vm.setIrqLine(5, false);
  t.is(vm.getIrqchip(0)[LAST_IRR]! & (1 << 5), 0);
});

test('the timer gives its state and takes a part of it', (t) => {
  const vm = makeVm(t);
  vm.createIrqChip();
  vm.createPit2({ speakerDummy: true });
  const before = vm.getPit2();
  t.is(before.channels.length, 3);
  vm.setPit2({ channels: [{}, {}, { count: 0x1234, mode: 3 }] });
  const after = vm.getPit2();
  t.is(after.channels[2]!.count, 0x1234);
  t.is(after.channels[2]!.mode, 3);
  t.is(after.channels[1]!.count, before.channels[1]!.count);
  t.throws(() => vm.createPit2(), { code: 'ERR_KVM_IOCTL' });
});

test('the timer needs interrupt controllers', (t) => {
  t.is(t.throws<KvmError>(() => makeVm(t).createPit2(), { code: 'ERR_KVM_IOCTL' })?.errno, ENOENT);
});

test('the clock can be set, and runs', (t) => {
  const vm = makeVm(t);
  const HOUR_NS = 3_600_000_000_000n;
  vm.setClock({ clock: 100n * HOUR_NS });
  const first = vm.getClock().clock;
  const second = vm.getClock().clock;
  t.true(first >= 100n * HOUR_NS && first < 101n * HOUR_NS);
  t.true(second >= first);
});

test('addresses for Intel hosts are taken', (t) => {
  const vm = makeVm(t);
  vm.setIdentityMapAddress(0xfeff_c000);
  vm.setTssAddress(0xfeff_d000);
  t.throws(() => vm.setTssAddress(-1), { code: 'ERR_OUT_OF_RANGE' });
});

test('an ioeventfd at a port takes writes of any size without an exit', (t) => {
  const { vm, vcpu } = boot(t, TWO_WRITES);
  const event = makeEvent(t);
  vm.registerIoevent(event, { port: 0x500 });
  exitOf(vcpu.run(), 'hlt');
  t.is(event.read(), 2n);
  t.is(vcpu.stats.exits, 1);
});

test('an irqfd wakes the guest; unregistered, it does not', (t) => {
  const event = makeEvent(t);
  const { vm, vcpu } = boot(t, 'device-interrupt', { prepare: (machine) => machine.createIrqChip() });
  vm.registerIrqfd(event, 5);
  const data = [...Buffer.from('ok'), 0];
  const printed: number[] = [];
  const end = vcpu.run({
    ioOut: (exit) => {
      if (exit.port === 0x500) event.write();
      else if (exit.port === 0xf4) exit.stop();
      else printed.push(exit.value);
    },
    ioIn: () => {
      const next = data.shift()!;
      if (next !== 0) event.write();
      return next;
    },
  });
  t.is(end.reason, 'stopped');
  t.is(String.fromCharCode(...printed), 'ok');
  vm.unregisterIrqfd(event, 5);
  vm.registerIrqfd(event, 5);
});

test('an irqfd needs interrupt controllers, and is registered once', (t) => {
  const vm = makeVm(t);
  const event = makeEvent(t);
  t.is(t.throws<KvmError>(() => vm.registerIrqfd(event, 5), { code: 'ERR_KVM_IOCTL' })?.errno, EINVAL);
  vm.createIrqChip();
  vm.registerIrqfd(event, 5);
  const twice = t.throws<KvmError>(() => vm.registerIrqfd(event, 6), { code: 'ERR_KVM_IOCTL' });
  t.is(twice?.syscall, 'KVM_IRQFD');
  const resample = makeEvent(t);
  vm.unregisterIrqfd(event, 5);
  vm.registerIrqfd(event, 5, resample);
});

test('an interrupt message reaches a local APIC that is on, and no other', (t) => {
  const vm = makeVm(t);
  t.throws(() => vm.signalMsi({ addressLow: 0xfee0_0000, data: 0x30 }), { code: 'ERR_KVM_IOCTL' });
  vm.createIrqChip();
  vm.createVcpu();
  t.is(typeof vm.signalMsi({ addressLow: 0xfee0_0000, data: 0x30 }), 'boolean');
  t.throws(() => vm.signalMsi({ data: 0x30 } as never), { code: 'ERR_INVALID_ARG_TYPE' });
});
