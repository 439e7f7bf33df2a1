import test from 'ava';

import { boot, ended } from '../helpers/common-guests.ts';
import { makeVm } from '../helpers/machine.ts';

const PAGE = 0x1000;

test('the guest makes pages dirty where they are logged', (t) => {
  const { vm, vcpu } = boot(t, 'dirty-one-page', { ramSize: 0x4000 });
  const region = vm.memory.map({ guestAddress: 0x4000, size: 0x4000, logDirtyPages: true });
  t.deepEqual(region.dirtyPages(), []);
  ended(vcpu.run());
  t.deepEqual(region.dirtyPages(), [1]);
  t.deepEqual(region.dirtyPages(), []);
});

test('writes of the host make pages dirty, logged or not', (t) => {
  const { memory } = makeVm(t);
  const region = memory.map({ guestAddress: 0x10000, size: 0x80000 });
  memory.write(0x10fff, Uint8Array.of(1, 2));
  memory.fill(0x13000, PAGE, 1);
  memory.writeUint8(0x8ffff, 1);
  memory.read(0x15000, PAGE);
  t.deepEqual(region.dirtyPages(), [0, 1, 3, 0x7f]);
  t.deepEqual(region.dirtyPages(), []);
});

test('`reset: false` keeps the record, of the guest and of the host', (t) => {
  const { vm, vcpu } = boot(t, 'dirty-one-page', { ramSize: 0x4000 });
  const region = vm.memory.map({ guestAddress: 0x4000, size: 0x4000, logDirtyPages: true });
  ended(vcpu.run());
  t.deepEqual(region.dirtyPages({ reset: false }), [1]);
  vm.memory.writeUint8(0x7000, 1);
  t.deepEqual(region.dirtyPages({ reset: false }), [1, 3]);
  t.deepEqual(region.dirtyPages(), [1, 3]);
  t.deepEqual(region.dirtyPages(), []);
});

test('a window that may write makes its pages dirty as long as it lives', (t) => {
  const { memory } = makeVm(t);
  const region = memory.map({ guestAddress: 0, size: 0x8000 });
  const view = memory.view(0x1800, PAGE);
  t.deepEqual(region.dirtyPages(), [1, 2]);
  t.deepEqual(region.dirtyPages(), [1, 2]);
  t.is(view.length, PAGE);
});

test('a read-only window makes no page dirty', (t) => {
  const { memory } = makeVm(t);
  const region = memory.map({ guestAddress: 0, size: 0x8000 });
  const view = memory.view(0x1800, PAGE, { readOnly: true });
  t.deepEqual(region.dirtyPages(), []);
  t.is(view.length, PAGE);
});

test('a second slot logs by itself', (t) => {
  const { vm, vcpu } = boot(t, 'dirty-one-page', { ramSize: 0x4000 });
  const logged = vm.memory.map({ guestAddress: 0x4000, size: 0x4000, logDirtyPages: true, slot: 9 });
  const other = vm.memory.map({ guestAddress: 0x8000, size: 0x1000, logDirtyPages: true });
  ended(vcpu.run());
  t.deepEqual(other.dirtyPages(), []);
  t.deepEqual(logged.dirtyPages(), [1]);
});
