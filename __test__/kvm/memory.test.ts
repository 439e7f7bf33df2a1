import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test, { type ExecutionContext } from 'ava';

import { KvmError } from '../../index.ts';
import { OUTPUT, boot, ended, enter, load } from '../helpers/common-guests.ts';
import { LANES } from '../helpers/lanes.ts';
import { exitOf, makeVm, openKvm } from '../helpers/machine.ts';
import { PAGE, wholePages } from '../helpers/page.ts';
import { until } from '../helpers/wait.ts';

const GIB = 2 ** 30;

/** What the guest writes: the first byte of its sixth page. */
const WRITTEN = 5 * PAGE;
const regs = { own: WRITTEN };

/** A file of two pages: the first full of 1, the second full of 2. */
function makeFile(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'vmhatch-memory-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'backing');
  writeFileSync(path, Buffer.concat([Buffer.alloc(PAGE, 1), Buffer.alloc(PAGE, 2)]));
  return path;
}

// ---- kinds of memory

for (const backing of ['anonymous', 'memfd'] as const) {
  for (const shared of [false, true]) {
    test(`${backing} memory, ${shared ? 'shared' : 'private'}, is zero at first and holds a guest`, (t) => {
      const vm = makeVm(t);
      const region = vm.memory.map({ guestAddress: 0, size: 2 * PAGE, backing, shared });
      t.deepEqual(vm.memory.read(PAGE, PAGE), new Uint8Array(PAGE));
      vm.memory.map({ guestAddress: WRITTEN, size: PAGE });
      load(vm, 'dirty-one-page');
      const vcpu = vm.createVcpu();
      enter(vcpu, 'dirty-one-page', regs);
      ended(vcpu.run());
      t.is(vm.memory.readUint8(WRITTEN), 0x5a);
      t.like(region, { slot: 0, guestAddress: 0, size: 2 * PAGE, readOnly: false, logDirtyPages: false });
    });
  }
}

test('a private file region starts as the file and does not change it', (t) => {
  const path = makeFile(t);
  const { memory } = makeVm(t);
  memory.map({ guestAddress: 0, size: 2 * PAGE, backing: { path } });
  t.is(memory.readUint8(PAGE - 1), 1);
  t.is(memory.readUint8(PAGE), 2);
  memory.writeUint8(0, 9);
  t.is(memory.readUint8(0), 9);
  t.is(readFileSync(path)[0], 1);
});

test('a shared file region is the file', (t) => {
  const path = makeFile(t);
  const vm = makeVm(t);
  vm.memory.map({ guestAddress: 0, size: PAGE, backing: { path, offset: PAGE }, shared: true });
  t.is(vm.memory.readUint8(0), 2);
  vm.memory.writeUint8(3, 9);
  vm.close();
  const bytes = readFileSync(path);
  t.is(bytes[PAGE + 3], 9);
  t.is(bytes[3], 1);
});

test('a file that is missing or too short is ERR_KVM_MEMORY', (t) => {
  const path = makeFile(t);
  const { memory } = makeVm(t);
  const map = (backing: { path: string; offset?: number }) => () =>
    memory.map({ guestAddress: 0, size: 2 * PAGE, backing });
  t.throws(map({ path: `${path}.not` }), { instanceOf: KvmError, code: 'ERR_KVM_MEMORY' });
  t.throws(map({ path, offset: PAGE }), { code: 'ERR_KVM_MEMORY' });
  t.throws(map({ path, offset: 1 }), { code: 'ERR_INVALID_ARG_VALUE' });
  t.throws(map({ path: '' }), { code: 'ERR_INVALID_ARG_VALUE' });
  t.deepEqual(memory.regions, []);
});

test('a file that shrinks reads as zero where it was, and does not end the process', (t) => {
  const path = makeFile(t);
  const { memory } = makeVm(t);
  memory.map({ guestAddress: 0, size: 2 * PAGE, backing: { path }, shared: true });
  truncateSync(path, PAGE);
  t.is(memory.readUint8(PAGE - 1), 1);
  t.is(memory.readUint8(PAGE), 0);
});

test('a guest that uses what a file has lost ends with ERR_KVM_BACKING_LOST', (t) => {
  const path = makeFile(t);
  const { vm, vcpu } = boot(t, 'dirty-one-page', { regs, ramSize: 4 * PAGE });
  vm.memory.map({ guestAddress: 4 * PAGE, size: 2 * PAGE, backing: { path }, shared: true });
  truncateSync(path, PAGE);
  t.throws(() => vcpu.run(), { instanceOf: KvmError, code: 'ERR_KVM_BACKING_LOST' });
});

for (const [name, run] of LANES) {
  test(`${name}: writes to a read-only region are exits, and change nothing`, async (t) => {
    const { vm, vcpu } = boot(t, 'write-read-only', {
      regs: { own: 3 * PAGE },
      ramSize: wholePages(0x3000),
    });
    vm.memory.map({ guestAddress: 3 * PAGE, size: PAGE, readOnly: true });
    vm.memory.writeUint8(3 * PAGE, 0x72);
    const writes: [number, number, number][] = [];
    const end = await run(vcpu, {
      mmioWrite: ({ address, size, value }) => void writes.push([address, size, value]),
    });
    ended(end);
    t.deepEqual(writes, [
      [3 * PAGE, 1, 0x57],
      [OUTPUT, 1, 0x72],
    ]);
  });
}

test('the host may write to a read-only region through a window', (t) => {
  const { memory } = makeVm(t);
  memory.map({ guestAddress: 0, size: PAGE, readOnly: true });
  memory.view(0, 1)[0] = 5;
  t.is(memory.readUint8(0), 5);
});

// ---- places

test('regions are listed by address, and slots are the lowest free ones', (t) => {
  const { memory } = makeVm(t);
  const high = memory.map({ guestAddress: 4 * PAGE, size: PAGE });
  const low = memory.map({ guestAddress: PAGE, size: PAGE });
  const chosen = memory.map({ guestAddress: 9 * PAGE, size: PAGE, slot: 7 });
  t.deepEqual(memory.regions, [low, high, chosen]);
  t.deepEqual(
    [high, low, chosen].map((region) => region.slot),
    [0, 1, 7],
  );
  high.unmap();
  t.is(memory.map({ guestAddress: 4 * PAGE, size: PAGE }).slot, 0);
});

test('regions may touch but not overlap', (t) => {
  const { memory } = makeVm(t);
  memory.map({ guestAddress: 2 * PAGE, size: 2 * PAGE });
  memory.map({ guestAddress: PAGE, size: PAGE });
  memory.map({ guestAddress: 4 * PAGE, size: PAGE });
  for (const guestAddress of [PAGE, 2 * PAGE, 3 * PAGE, 4 * PAGE]) {
    t.throws(() => memory.map({ guestAddress, size: PAGE }), {
      instanceOf: KvmError,
      code: 'ERR_KVM_MEMORY_OVERLAP',
    });
  }
  t.throws(() => memory.map({ guestAddress: 0, size: 16 * PAGE }), { code: 'ERR_KVM_MEMORY_OVERLAP' });
  t.throws(() => memory.map({ guestAddress: 8 * PAGE, size: PAGE, slot: 0 }), {
    code: 'ERR_KVM_MEMORY_OVERLAP',
    message: /slot 0/,
  });
});

test('a slot that the host does not have is ERR_KVM_NO_SLOTS', (t) => {
  const kvm = openKvm(t);
  using vm = kvm.createVm();
  const slot = kvm.getNrMemslots();
  t.throws(() => vm.memory.map({ guestAddress: 0, size: PAGE, slot }), { code: 'ERR_KVM_NO_SLOTS' });
  t.is(vm.memory.map({ guestAddress: 0, size: PAGE, slot: slot - 1 }).slot, slot - 1);
});

test('addresses, sizes and options are checked', (t) => {
  const { memory } = makeVm(t);
  const map = (options: object) => () => memory.map(options as never);
  t.throws(map({ guestAddress: 1, size: PAGE }), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: new RegExp(`${PAGE}`),
  });
  t.throws(map({ guestAddress: 0, size: 1 }), { code: 'ERR_INVALID_ARG_VALUE' });
  t.throws(map({ guestAddress: 0, size: 0 }), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(map({ guestAddress: -PAGE, size: PAGE }), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(map({ guestAddress: 2 ** 52 - PAGE, size: 2 * PAGE }), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(map({ guestAddress: 0 }), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(map({ guestAddress: 0, size: PAGE, backing: 'memfs' }), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /did you mean 'memfd'/,
  });
  t.throws(map({ guestAddress: 0, size: PAGE, readonly: true }), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /did you mean 'readOnly'/,
  });
});

test('a region larger than 4 GiB is mapped lazily and used to its end', (t) => {
  const { memory } = makeVm(t);
  memory.map({ guestAddress: 0, size: 5 * GIB });
  memory.writeBigUint64(5 * GIB - 8, 0x1122_3344_5566_7788n);
  t.is(memory.readUint32(5 * GIB - 4), 0x1122_3344);
  t.is(memory.view(5 * GIB - 8, 8)[0], 0x88);
  t.is(memory.find(Uint8Array.of(0x11), { start: 5 * GIB - 16 }), 5 * GIB - 1);
  t.throws(() => memory.readUint8(5 * GIB), { code: 'ERR_KVM_MEMORY_BOUNDS' });
});

test('guest addresses may be above 4 GiB', (t) => {
  const { memory } = makeVm(t);
  const guestAddress = 6 * GIB;
  const region = memory.map({ guestAddress, size: PAGE });
  t.is(region.guestAddress, guestAddress);
  memory.writeUint16(guestAddress + PAGE - 2, 0xbeef);
  t.is(memory.readUint16(guestAddress + PAGE - 2), 0xbeef);
  t.deepEqual(region.dirtyPages(), [0]);
});

test('unmapping takes the memory from the guest', (t) => {
  const { vm, vcpu } = boot(t, 'dirty-one-page', { regs, ramSize: 5 * PAGE });
  const region = vm.memory.map({ guestAddress: WRITTEN, size: PAGE });
  ended(vcpu.run());
  t.is(vm.memory.readUint8(WRITTEN), 0x5a);
  region.unmap();
  region.unmap();
  t.true(region.closed);
  t.throws(() => vm.memory.readUint8(WRITTEN), { code: 'ERR_KVM_MEMORY_BOUNDS' });
  t.throws(() => region.dirtyPages(), { code: 'ERR_KVM_CLOSED' });
  enter(vcpu, 'dirty-one-page', regs);
  const { address, size, value } = exitOf(vcpu.run(), 'mmioWrite');
  t.deepEqual([address, size, value], [WRITTEN, 1, 0x5a]);
});

test('memory that is mapped under a running guest is there at its next access', async (t) => {
  const { vm, vcpu } = boot(t, 'mmio-echo');
  let mapped = false;
  const run = vcpu.runInBackground({
    mmioRead: () => {
      vm.memory.map({ guestAddress: OUTPUT, size: PAGE });
      vm.memory.writeUint32(OUTPUT, 0x99);
      mapped = true;
      return 1;
    },
  });
  await until(() => mapped && vm.memory.readUint32(OUTPUT + 4) === 0x99);
  vcpu.kickHandle.kick();
  t.deepEqual(await run, { reason: 'kicked' });
});

test('a region that took the slot of an unmapped one is not touched by the old object', (t) => {
  const { memory } = makeVm(t);
  const old = memory.map({ guestAddress: 0, size: PAGE });
  old.unmap();
  const fresh = memory.map({ guestAddress: 0, size: PAGE });
  t.is(fresh.slot, old.slot);
  old.unmap();
  t.throws(() => old.dirtyPages(), { code: 'ERR_KVM_CLOSED' });
  t.false(fresh.closed);
  t.is(memory.readUint8(0), 0);
  t.deepEqual(memory.regions, [fresh]);
});

// ---- access

test('an access may go from one region to the next', (t) => {
  const { memory } = makeVm(t);
  memory.map({ guestAddress: PAGE, size: PAGE });
  memory.map({ guestAddress: 2 * PAGE, size: PAGE });
  const bytes = Uint8Array.of(1, 2, 3, 4);
  memory.write(2 * PAGE - 2, bytes);
  t.deepEqual(memory.read(2 * PAGE - 2, 4), bytes);
  t.is(memory.readUint32(2 * PAGE - 2), 0x0403_0201);
  memory.fill(2 * PAGE - 1, 2, 0xaa);
  const target = new Uint8Array(4);
  memory.readInto(2 * PAGE - 2, target);
  t.deepEqual(target, Uint8Array.of(1, 0xaa, 0xaa, 4));
  t.throws(() => memory.view(2 * PAGE - 2, 4), { code: 'ERR_KVM_MEMORY_BOUNDS' });
});

test('out of bounds is an error and changes nothing', (t) => {
  const { memory } = makeVm(t);
  memory.map({ guestAddress: PAGE, size: PAGE });
  memory.map({ guestAddress: 3 * PAGE, size: PAGE });
  const bounds = { instanceOf: KvmError, code: 'ERR_KVM_MEMORY_BOUNDS' };
  t.throws(() => memory.read(0, 1), bounds);
  t.throws(() => memory.read(PAGE - 1, 2), bounds);
  t.throws(() => memory.read(2 * PAGE - 4, 8), bounds);
  t.throws(() => memory.read(PAGE, 2 ** 52), bounds);
  t.throws(() => memory.write(2 * PAGE - 2, Uint8Array.of(1, 2, 3)), bounds);
  t.throws(() => memory.fill(2 * PAGE - 2, 3, 1), bounds);
  t.throws(() => memory.writeUint32(2 * PAGE - 2, 1), bounds);
  t.throws(() => memory.readBigUint64(2 ** 52 - 1), bounds);
  t.throws(() => memory.view(2 * PAGE - 2, 3), bounds);
  t.is(memory.readUint16(2 * PAGE - 2), 0);
  t.throws(() => memory.read(-1, 1), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => memory.read(PAGE, 1.5), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => memory.write(PAGE, [1] as never), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('nothing is read or written of an empty range in bounds', (t) => {
  const { memory } = makeVm(t);
  memory.map({ guestAddress: PAGE, size: PAGE });
  t.is(memory.read(PAGE, 0).length, 0);
  memory.write(PAGE, new Uint8Array(0));
  memory.fill(PAGE, 0);
  t.throws(() => memory.read(0, 0), { code: 'ERR_KVM_MEMORY_BOUNDS' });
});

test('sources and targets may be any view or buffer', (t) => {
  const { memory } = makeVm(t);
  memory.map({ guestAddress: 0, size: PAGE });
  memory.write(0, Uint16Array.of(0x0201, 0x0403));
  memory.write(4, new DataView(Uint8Array.of(9, 5, 6, 9).buffer, 1, 2));
  memory.write(6, Uint8Array.of(7, 8).buffer);
  t.deepEqual([...memory.read(0, 8)], [1, 2, 3, 4, 5, 6, 7, 8]);
  const target = new Uint16Array(2);
  memory.readInto(0, target);
  t.deepEqual([...target], [0x0201, 0x0403]);
});

test('scalars are little-endian and checked', (t) => {
  const { memory } = makeVm(t);
  memory.map({ guestAddress: 0, size: PAGE });
  memory.writeUint8(0, 0xfe);
  memory.writeUint16(1, 0x1234);
  memory.writeUint32(3, 0x89ab_cdef);
  memory.writeBigUint64(7, 0x0102_0304_0506_0708n);
  const bytes = [0xfe, 0x34, 0x12, 0xef, 0xcd, 0xab, 0x89, 8, 7, 6, 5, 4, 3, 2, 1];
  t.deepEqual([...memory.read(0, 15)], bytes);
  t.is(memory.readUint8(0), 0xfe);
  t.is(memory.readUint16(1), 0x1234);
  t.is(memory.readUint32(3), 0x89ab_cdef);
  t.is(memory.readBigUint64(7), 0x0102_0304_0506_0708n);
  memory.writeBigUint64(0, 2n ** 64n - 1n);
  t.is(memory.readBigUint64(0), 2n ** 64n - 1n);
  t.throws(() => memory.writeUint8(0, 256), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => memory.writeUint16(0, -1), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => memory.writeUint32(0, 2 ** 32), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => memory.writeBigUint64(0, 2n ** 64n), { code: 'ERR_OUT_OF_RANGE' });
});

// ---- windows

test('a window is the memory itself, both ways', (t) => {
  const { vm, vcpu } = boot(t, 'dirty-one-page', { regs, ramSize: 8 * PAGE });
  const view = vm.memory.view(WRITTEN, 16);
  t.is(view.length, 16);
  view[1] = 7;
  t.is(vm.memory.readUint8(WRITTEN + 1), 7);
  ended(vcpu.run());
  t.is(view[0], 0x5a);
});

test('windows become empty when their region is unmapped, others live', (t) => {
  const { memory } = makeVm(t);
  const region = memory.map({ guestAddress: 0, size: PAGE });
  memory.map({ guestAddress: PAGE, size: PAGE });
  const gone = memory.view(0, 16);
  const stays = memory.view(PAGE, 16);
  region.unmap();
  t.is(gone.length, 0);
  t.is(gone.buffer.byteLength, 0);
  t.is(stays.length, 16);
});

test('windows become empty when the machine is closed', (t) => {
  const vm = makeVm(t);
  vm.memory.map({ guestAddress: 0, size: PAGE });
  const views = [vm.memory.view(0, 16), vm.memory.view(0, 16, { readOnly: true })];
  vm.close();
  t.deepEqual(
    views.map((view) => view.length),
    [0, 0],
  );
});

// ---- find

test('find gives the first whole match', (t) => {
  const { memory } = makeVm(t);
  memory.map({ guestAddress: PAGE, size: 2 * PAGE });
  memory.write(PAGE + 0x100, Buffer.from('aab aabb'));
  t.is(memory.find('aabb'), PAGE + 0x104);
  t.is(memory.find(Uint8Array.of(0x61, 0x62)), PAGE + 0x101);
  t.is(memory.find('aab', { start: PAGE + 0x101 }), PAGE + 0x104);
  t.is(memory.find('aabb', { end: PAGE + 0x107 }), undefined);
  t.is(memory.find('aabb', { end: PAGE + 0x108 }), PAGE + 0x104);
  t.is(memory.find('nowhere'), undefined);
  t.is(memory.find('a', { start: 3 * PAGE }), undefined);
  t.throws(() => memory.find(''), { code: 'ERR_INVALID_ARG_VALUE' });
});

test('find sees across the chunks that it reads', (t) => {
  const { memory } = makeVm(t);
  memory.map({ guestAddress: 0, size: 0x40000 });
  for (const boundary of [0x10000, 0x20000, 0x30000]) {
    for (const at of [boundary - 4, boundary - 3, boundary - 1, boundary]) {
      memory.write(at, Buffer.from('edge'));
      t.is(memory.find('edge'), at);
      memory.fill(at, 4);
    }
  }
  memory.write(0x40000 - 4, Buffer.from('last'));
  t.is(memory.find('last'), 0x40000 - 4);
});

test('find sees across regions that touch, and passes over holes', (t) => {
  const { memory } = makeVm(t);
  memory.map({ guestAddress: 2 * PAGE, size: PAGE });
  memory.map({ guestAddress: PAGE, size: PAGE });
  memory.map({ guestAddress: 5 * PAGE, size: PAGE });
  memory.write(2 * PAGE - 2, Buffer.from('abcd'));
  memory.write(3 * PAGE - 1, Buffer.from('x'));
  memory.write(5 * PAGE, Buffer.from('yz'));
  t.is(memory.find('abcd'), 2 * PAGE - 2);
  t.is(memory.find('yz'), 5 * PAGE);
  t.is(memory.find('xyz'), undefined);
});
