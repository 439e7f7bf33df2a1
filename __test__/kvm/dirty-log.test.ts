import test, { type ExecutionContext } from 'ava';

import { Cap, DebugConsole, type KvmError, type MemoryRegion, type Vcpu, type Vm } from '../../index.ts';
import { load } from '../helpers/common-guests.ts';
import { exitOf, makeVm } from '../helpers/machine.ts';
import { PAGE } from '../helpers/page.ts';
import { END_OF_WRITTEN, PROGRESS, WRITTEN as ALL_WRITTEN, enterWritePages } from '../helpers/write-pages.ts';

/** 100 pages are logged: the last word of the log has 36 bits. */
const PAGES = 100;
/** The pages that the guest writes; those of them that are logged. */
const WRITTEN = ALL_WRITTEN.filter((page) => page < PAGES);

interface Logged {
  vm: Vm;
  vcpu: Vcpu;
  region: MemoryRegion;
}

function makeLogged(t: ExecutionContext, prepare: (vm: Vm) => void = () => undefined): Logged {
  const vm = makeVm(t);
  prepare(vm);
  const region = vm.memory.map({ guestAddress: 0, size: PAGES * PAGE, logDirtyPages: true });
  vm.memory.map({ guestAddress: PAGES * PAGE, size: END_OF_WRITTEN - PAGES * PAGE });
  // What the guest says of its way is dropped, so that only the end of a lap ends a run.
  vm.mmio.attach(PROGRESS, new DebugConsole());
  load(vm, 'write-pages');
  const vcpu = vm.createVcpu();
  enterWritePages(vcpu);
  return { vm, vcpu, region };
}

/** One lap of the guest: each of its pages is written once. */
const lap = (vcpu: Vcpu): unknown => exitOf(vcpu.run(), 'mmioRead');

const pagesOf = (log: BigUint64Array): number[] =>
  Array.from({ length: PAGES }, (_, page) => page).filter(
    (page) => ((log[page >> 6]! >> BigInt(page & 63)) & 1n) === 1n,
  );

/** Processors may write more than the guest's program does, never less. */
function includes(t: ExecutionContext, pages: readonly number[], wanted: readonly number[]): void {
  t.deepEqual(
    wanted.filter((page) => !pages.includes(page)),
    [],
  );
}

function hasManual(t: ExecutionContext): boolean {
  if (makeVm(t).checkExtension(Cap.ManualDirtyLogProtect2)) return true;
  t.log('skipped: this KVM lacks KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2');
  t.pass();
  return false;
}

test('the log has a bit for each page, in whole words', (t) => {
  const { vm, vcpu, region } = makeLogged(t);
  lap(vcpu);
  const log = vm.getDirtyLog(region.slot);
  t.is(log.length, 2);
  includes(t, pagesOf(log), WRITTEN);
  t.deepEqual(pagesOf(vm.getDirtyLog(region.slot)), []);
});

test('reading and clearing are two steps where they are made so', (t) => {
  if (!hasManual(t)) return;
  const { vm, vcpu, region } = makeLogged(t, (machine) => machine.enableManualDirtyLogProtect());
  const { slot } = region;
  lap(vcpu);
  includes(t, pagesOf(vm.getDirtyLog(slot)), WRITTEN);
  includes(t, pagesOf(vm.getDirtyLog(slot)), WRITTEN);
  // The first 64 pages, but only those whose bits are set.
  vm.clearDirtyLog({ slot, bitmap: BigUint64Array.of(0xffff_ffffn), pages: 64 });
  const left = pagesOf(vm.getDirtyLog(slot));
  includes(
    t,
    left,
    WRITTEN.filter((page) => page >= 32),
  );
  t.true(left.every((page) => page >= 32));
  // The rest of the region is no multiple of 64.
  vm.clearDirtyLog({ slot, firstPage: 64, bitmap: BigUint64Array.of(-1n) });
  t.true(pagesOf(vm.getDirtyLog(slot)).every((page) => page >= 32 && page < 64));
  vm.clearDirtyLog({ slot, bitmap: vm.getDirtyLog(slot) });
  t.deepEqual(pagesOf(vm.getDirtyLog(slot)), []);
  lap(vcpu);
  includes(t, pagesOf(vm.getDirtyLog(slot)), WRITTEN);
});

test('`dirtyPages()` tells each page once, also where clearing is a step of its own', (t) => {
  if (!hasManual(t)) return;
  const { vm, vcpu, region } = makeLogged(t, (machine) => machine.enableManualDirtyLogProtect());
  region.dirtyPages();
  for (let laps = 0; laps < 2; laps++) {
    lap(vcpu);
    vm.memory.writeUint8(5 * PAGE, 1);
    includes(t, region.dirtyPages(), [5, ...WRITTEN]);
    t.deepEqual(region.dirtyPages(), []);
    t.deepEqual(pagesOf(vm.getDirtyLog(region.slot)), []);
  }
  lap(vcpu);
  includes(t, region.dirtyPages({ reset: false }), WRITTEN);
  includes(t, region.dirtyPages(), WRITTEN);
});

test('the plain capability is the same', (t) => {
  if (!hasManual(t)) return;
  const { vcpu, region } = makeLogged(t, (machine) => machine.enableCap(Cap.ManualDirtyLogProtect2, [1]));
  lap(vcpu);
  includes(t, region.dirtyPages(), WRITTEN);
  t.deepEqual(region.dirtyPages(), []);
});

test('a log that begins with all pages set', (t) => {
  if (!hasManual(t)) return;
  const vm = makeVm(t);
  if ((vm.checkExtensionInt(Cap.ManualDirtyLogProtect2) & 2) === 0) {
    const error = t.throws(() => vm.enableManualDirtyLogProtect({ initiallySet: true }), {
      code: 'ERR_KVM_UNSUPPORTED',
    });
    t.regex(error.message, /KVM_DIRTY_LOG_INITIALLY_SET/);
    return;
  }
  vm.enableManualDirtyLogProtect({ initiallySet: true });
  const region = vm.memory.map({ guestAddress: 0, size: PAGES * PAGE, logDirtyPages: true });
  t.is(pagesOf(vm.getDirtyLog(region.slot)).length, PAGES);
  t.is(region.dirtyPages().length, PAGES);
  t.deepEqual(region.dirtyPages(), []);
});

test('a part that cannot be cleared is refused, and nothing is cleared', (t) => {
  if (!hasManual(t)) return;
  const { vm, vcpu, region } = makeLogged(t, (machine) => machine.enableManualDirtyLogProtect());
  const { slot } = region;
  lap(vcpu);
  const before = pagesOf(vm.getDirtyLog(slot));
  const bitmap = BigUint64Array.of(-1n, -1n);
  for (const part of [
    { firstPage: 1 },
    { firstPage: 63, pages: 1 },
    { firstPage: 64, pages: 32 },
    { pages: 65 },
    { pages: 128 },
    { firstPage: 128 },
    { firstPage: 64, pages: 64 },
  ]) {
    const error = t.throws<KvmError>(() => vm.clearDirtyLog({ slot, bitmap, ...part }), {
      code: 'ERR_KVM_IOCTL',
    });
    t.is(error?.errno, 22, JSON.stringify(part));
    t.is(error?.syscall, 'KVM_CLEAR_DIRTY_LOG');
  }
  t.like(
    t.throws(() => vm.clearDirtyLog({ slot: 77, bitmap })),
    { code: 'ERR_KVM_IOCTL', errno: 2 },
  );
  const unlogged = vm.memory.map({ guestAddress: 2 ** 30, size: 64 * PAGE });
  t.like(
    t.throws(() => vm.clearDirtyLog({ slot: unlogged.slot, bitmap: BigUint64Array.of(1n) })),
    {
      code: 'ERR_KVM_IOCTL',
      errno: 2,
    },
  );
  t.deepEqual(pagesOf(vm.getDirtyLog(slot)), before);
});

test('wrong arguments are refused', (t) => {
  const { vm, region } = makeLogged(t);
  const { slot } = region;
  const bitmap = BigUint64Array.of(-1n, -1n);
  t.throws(() => vm.clearDirtyLog({ slot } as never), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => vm.clearDirtyLog({ slot, bitmap: [1n] as never }), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => vm.clearDirtyLog({ slot, bitmap: new Uint8Array(9) }), { code: 'ERR_INVALID_ARG_VALUE' });
  t.throws(() => vm.clearDirtyLog({ slot, bitmap: new Uint8Array() }), { code: 'ERR_INVALID_ARG_VALUE' });
  t.throws(() => vm.clearDirtyLog({ slot, bitmap: bitmap.subarray(1), pages: 100 }), {
    code: 'ERR_INVALID_ARG_VALUE',
  });
  t.throws(() => vm.clearDirtyLog({ slot, bitmap, firstPage: -64 }), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vm.clearDirtyLog({ slot, bitmap, pages: 0 }), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vm.enableManualDirtyLogProtect({ initiallySet: 1 as never }), {
    code: 'ERR_INVALID_ARG_TYPE',
  });
  t.throws(() => vm.getDirtyLog(1.5), { code: 'ERR_OUT_OF_RANGE' });
});

test('a host that lacks the two steps says so, and a closed machine that it is closed', (t) => {
  const { vm, region } = makeLogged(t);
  const bitmap = BigUint64Array.of(0n, 0n);
  if (!vm.checkExtension(Cap.ManualDirtyLogProtect2)) {
    for (const use of [
      () => vm.enableManualDirtyLogProtect(),
      () => vm.clearDirtyLog({ slot: region.slot, bitmap }),
    ]) {
      t.regex(t.throws(use, { code: 'ERR_KVM_UNSUPPORTED' }).message, /KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2/);
    }
  }
  vm.close();
  t.throws(() => vm.enableManualDirtyLogProtect(), { code: 'ERR_KVM_CLOSED' });
  t.throws(() => vm.clearDirtyLog({ slot: 0, bitmap }), { code: 'ERR_KVM_CLOSED' });
  t.throws(() => vm.getDirtyLog(0), { code: 'ERR_KVM_CLOSED' });
});

test('a target that only says that it is one is refused', (t) => {
  const vm = makeVm(t);
  vm.memory.map({ guestAddress: 0, size: PAGE, logDirtyPages: true });
  const trap = new Proxy(() => 0, {
    get: () => {
      throw new Error('a trap');
    },
    getPrototypeOf: () => {
      throw new Error('a trap');
    },
  });
  for (const target of [trap, Object.create(BigUint64Array.prototype), new Uint8Array(8), null]) {
    t.throws(() => vm.getDirtyLog(0, target as never), { code: 'ERR_INVALID_ARG_TYPE' });
  }
});
