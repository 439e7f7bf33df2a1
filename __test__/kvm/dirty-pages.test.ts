import test from 'ava';

import { boot, ended } from '../helpers/common-guests.ts';
import { RAM_SIZE, makeVm } from '../helpers/machine.ts';
import { PAGE } from '../helpers/page.ts';

/** A logged region behind the guest's own memory, and what the guest writes there: its second page. */
const START = RAM_SIZE;
const SIZE = 4 * PAGE;
const regs = { own: START + PAGE + 7 };

test('the guest makes pages dirty where they are logged', (t) => {
  const { vm, vcpu } = boot(t, 'dirty-one-page', { regs });
  const region = vm.memory.map({ guestAddress: START, size: SIZE, logDirtyPages: true });
  t.deepEqual(region.dirtyPages(), []);
  ended(vcpu.run());
  t.deepEqual(region.dirtyPages(), [1]);
  t.deepEqual(region.dirtyPages(), []);
});

test('writes of the host make pages dirty, logged or not', (t) => {
  const { memory } = makeVm(t);
  const start = 16 * PAGE;
  const region = memory.map({ guestAddress: start, size: 0x80 * PAGE });
  memory.write(start + PAGE - 1, Uint8Array.of(1, 2));
  memory.fill(start + 3 * PAGE, PAGE, 1);
  memory.writeUint8(start + 0x80 * PAGE - 1, 1);
  memory.read(start + 5 * PAGE, PAGE);
  t.deepEqual(region.dirtyPages(), [0, 1, 3, 0x7f]);
  t.deepEqual(region.dirtyPages(), []);
});

test('`reset: false` keeps the record, of the guest and of the host', (t) => {
  const { vm, vcpu } = boot(t, 'dirty-one-page', { regs });
  const region = vm.memory.map({ guestAddress: START, size: SIZE, logDirtyPages: true });
  ended(vcpu.run());
  t.deepEqual(region.dirtyPages({ reset: false }), [1]);
  vm.memory.writeUint8(START + 3 * PAGE, 1);
  t.deepEqual(region.dirtyPages({ reset: false }), [1, 3]);
  t.deepEqual(region.dirtyPages(), [1, 3]);
  t.deepEqual(region.dirtyPages(), []);
});

test('a window that may write makes its pages dirty as long as it lives', (t) => {
  const { memory } = makeVm(t);
  const region = memory.map({ guestAddress: 0, size: 8 * PAGE });
  const view = memory.view(1.5 * PAGE, PAGE);
  t.deepEqual(region.dirtyPages(), [1, 2]);
  t.deepEqual(region.dirtyPages(), [1, 2]);
  t.is(view.length, PAGE);
});

test('a read-only window makes no page dirty', (t) => {
  const { memory } = makeVm(t);
  const region = memory.map({ guestAddress: 0, size: 8 * PAGE });
  const view = memory.view(1.5 * PAGE, PAGE, { readOnly: true });
  t.deepEqual(region.dirtyPages(), []);
  t.is(view.length, PAGE);
});

test('a second slot logs by itself', (t) => {
  const { vm, vcpu } = boot(t, 'dirty-one-page', { regs });
  const logged = vm.memory.map({ guestAddress: START, size: SIZE, logDirtyPages: true, slot: 9 });
  const other = vm.memory.map({ guestAddress: START + SIZE, size: PAGE, logDirtyPages: true });
  ended(vcpu.run());
  t.deepEqual(other.dirtyPages(), []);
  t.deepEqual(logged.dirtyPages(), [1]);
});
