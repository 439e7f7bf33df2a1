import test, { type ExecutionContext } from 'ava';

import {
  Cap,
  DebugConsole,
  type Handlers,
  type KvmError,
  type MemoryRegion,
  type Vcpu,
  type Vm,
} from '../../index.ts';
import { load, onArm, scaled } from '../helpers/common-guests.ts';
import { LANES } from '../helpers/lanes.ts';
import { exitOf, makeVm, openKvm } from '../helpers/machine.ts';
import { PAGE } from '../helpers/page.ts';
import { until } from '../helpers/wait.ts';
import { ENTRIES, PROGRESS, ROOM, WRITTEN, enterWritePages } from '../helpers/write-pages.ts';

/**
 * One lap of the guest: each of its pages is written once. What it says after each Rust answers: KVM looks at the ring at
 * each entry. (One that emulates instructions does so hardly ever else, and would run over the ring's end.)
 */
const lap = (vcpu: Vcpu): unknown => exitOf(vcpu.run(), 'mmioRead');
/** Where another region can be. */
const BEHIND = 2 * PROGRESS.base;

/** For laps without an end. */
const LAPS: Handlers = { mmioRead: () => undefined };

/** Says aloud that this host has no dirty rings; what it says instead is tested below. */
function hasRings(t: ExecutionContext): boolean {
  const kvm = openKvm(t);
  if (kvm.checkExtension(Cap.DirtyLogRingAcqRel) || (!onArm && kvm.checkExtension(Cap.DirtyLogRing)))
    return true;
  t.log('skipped: this KVM lacks KVM_CAP_DIRTY_LOG_RING');
  t.pass();
  return false;
}

/** Says aloud that this host takes no ring so small that the guest below fills it. */
function hasSmallRings(t: ExecutionContext): boolean {
  if (!hasRings(t)) return false;
  if (entriesOf(makeVm(t), ENTRIES) === ENTRIES) return true;
  t.log("skipped: this host's smallest ring has more entries than the guest writes pages");
  t.pass();
  return false;
}

interface Ringed {
  vm: Vm;
  vcpu: Vcpu;
  region: MemoryRegion;
}

/** The smallest ring that a host takes. */
const entriesOf = (vm: Vm, wanted: number): number => {
  try {
    vm.enableDirtyRing({ entries: wanted });
    return wanted;
  } catch (error) {
    // Intel hosts keep 576 entries.
    if ((error as KvmError).errno !== 22 || wanted >= 1024) throw error;
    return entriesOf(vm, 1024);
  }
};

function makeRinged(t: ExecutionContext, whenFull?: 'collect' | 'exit', entries = ENTRIES): Ringed {
  const vm = makeVm(t);
  if (whenFull === undefined) entriesOf(vm, entries);
  else vm.enableDirtyRing({ entries, whenFull });
  const region = vm.memory.map({ guestAddress: 0, size: PROGRESS.base, logDirtyPages: true });
  load(vm, 'write-pages');
  vm.mmio.attach(PROGRESS, new DebugConsole());
  const vcpu = vm.createVcpu();
  enterWritePages(vcpu);
  // What the program's own bytes made dirty.
  region.dirtyPages();
  return { vm, vcpu, region };
}

/** All of `wanted`, and nothing beyond it but what the processor itself may write. */
function includes(t: ExecutionContext, pages: Iterable<number>, wanted: readonly number[]): void {
  const found = new Set(pages);
  t.deepEqual(
    wanted.filter((page) => !found.has(page)),
    [],
  );
}

for (const [name, run] of LANES) {
  test(`${name}: a ring that fills up many times loses no page, and no JavaScript runs`, async (t) => {
    if (!hasRings(t)) return;
    const { vm, vcpu, region } = makeRinged(t);
    const laps = scaled(20);
    for (let lapsDone = 0; lapsDone < laps; lapsDone++) exitOf(await run(vcpu, {}), 'mmioRead');
    includes(t, region.dirtyPages(), WRITTEN);
    t.deepEqual(region.dirtyPages(), []);
    t.is(vcpu.stats.byRoute.javascript, laps);
    // More pages than a ring has room for, which is then empty.
    if (vm.dirtyRingEntries === ENTRIES) t.true(vcpu.stats.byReason.dirtyRingFull! >= laps);
  });

  test(`${name}: a full ring is an exit for a handler that wants it`, async (t) => {
    if (!hasSmallRings(t)) return;
    const { vm, vcpu } = makeRinged(t, 'exit');
    const pages = new Set<number>();
    let full = 0;
    const end = await run(vcpu, {
      dirtyRingFull: () => {
        full++;
        for (const found of vm.harvestDirtyRings()) for (const page of found.pages) pages.add(page);
        t.true(vm.resetDirtyRings() >= ROOM);
      },
    });
    exitOf(end, 'mmioRead');
    t.is(full, 1);
    t.true(pages.size < WRITTEN.length);
    for (const found of vm.harvestDirtyRings()) for (const page of found.pages) pages.add(page);
    includes(t, pages, WRITTEN);
  });
}

test('without a handler a full ring ends the run, and again until there is room', (t) => {
  if (!hasSmallRings(t)) return;
  const { vm, vcpu } = makeRinged(t, 'exit');
  exitOf(vcpu.run(), 'dirtyRingFull');
  exitOf(vcpu.run(), 'dirtyRingFull');
  const [found] = vm.harvestDirtyRings();
  t.true(found!.pages.length >= ROOM);
  vm.resetDirtyRings();
  lap(vcpu);
});

test('a harvested page is noted again after the reset', (t) => {
  if (!hasRings(t)) return;
  // Room for more than a lap: the run loop has nothing to do with it.
  const { vm, vcpu, region } = makeRinged(t, undefined, 16 * ENTRIES);
  const harvestLap = (): number[] => {
    lap(vcpu);
    return vm.harvestDirtyRings().flatMap(({ pages }) => Array.from(pages));
  };
  includes(t, harvestLap(), WRITTEN);
  // (Where instructions are emulated KVM notes every write, before a reset as well.)
  harvestLap();
  t.true(vm.resetDirtyRings() >= WRITTEN.length);
  t.is(vm.resetDirtyRings(), 0);
  includes(t, harvestLap(), WRITTEN);
  t.true(vm.resetDirtyRings() > 0);
  lap(vcpu);
  includes(t, region.dirtyPages(), WRITTEN);
});

test('what the host writes is part of a harvest, in every region', (t) => {
  if (!hasRings(t)) return;
  const { vm } = makeRinged(t);
  const other = vm.memory.map({ guestAddress: BEHIND, size: 4 * PAGE });
  vm.memory.write(6 * PAGE - 1, Uint8Array.of(1, 2));
  vm.memory.writeUint8(BEHIND + 3 * PAGE, 1);
  t.deepEqual(vm.harvestDirtyRings(), [
    { slot: 0, pages: Uint32Array.of(5, 6) },
    { slot: other.slot, pages: Uint32Array.of(3) },
  ]);
  t.deepEqual(vm.harvestDirtyRings(), []);
});

test('a vCPU that is closed leaves its pages in the record', (t) => {
  if (!hasRings(t)) return;
  const { vm, vcpu, region } = makeRinged(t);
  lap(vcpu);
  vcpu.close();
  includes(t, region.dirtyPages(), WRITTEN);
  t.deepEqual(vm.harvestDirtyRings(), []);
});

test('a region that comes in the place of another does not inherit its pages', (t) => {
  if (!hasRings(t)) return;
  const { vm, vcpu } = makeRinged(t);
  const old = vm.memory.map({ guestAddress: BEHIND, size: PAGE, logDirtyPages: true, slot: 7 });
  lap(vcpu);
  vm.memory.regions[0]!.unmap();
  old.unmap();
  const fresh = vm.memory.map({ guestAddress: 0, size: PROGRESS.base, logDirtyPages: true, slot: 0 });
  t.deepEqual(fresh.dirtyPages(), []);
  t.deepEqual(vm.harvestDirtyRings(), []);
});

test('the rings are harvested while the vCPU runs in the background', async (t) => {
  if (!hasRings(t)) return;
  const { vm, vcpu } = makeRinged(t);
  const running = vcpu.runInBackground(LAPS);
  const seen = new Set<number>();
  let harvests = 0;
  await until(() => {
    for (const { pages } of vm.harvestDirtyRings()) for (const page of pages) seen.add(page);
    vm.resetDirtyRings();
    return ++harvests > 50 && WRITTEN.every((page) => seen.has(page));
  });
  vcpu.kickHandle.kick();
  t.is((await running).reason, 'kicked');
});

test('closing the machine, or the vCPU, while the rings are harvested harms nothing', async (t) => {
  if (!hasRings(t)) return;
  for (const close of [(m: Ringed) => m.vm.close(), (m: Ringed) => m.vcpu.close()]) {
    const made = makeRinged(t);
    const running = made.vcpu.runInBackground(LAPS);
    for (let times = 0; times < 20; times++) {
      made.vm.harvestDirtyRings();
      made.vm.resetDirtyRings();
      await new Promise(setImmediate);
    }
    close(made);
    await t.throwsAsync(running, { code: 'ERR_KVM_CLOSED' });
    if (!made.vm.closed) t.true(Array.isArray(made.vm.harvestDirtyRings()));
  }
});

test('two vCPUs have a ring each', async (t) => {
  if (!hasRings(t)) return;
  const { vm, vcpu, region } = makeRinged(t);
  const second = vm.createVcpu();
  enterWritePages(second);
  const laps = [0, 0];
  const runs = [vcpu, second].map((one, at) => one.runInBackground({ mmioRead: () => void laps[at]!++ }));
  await until(() => laps.every((count) => count >= 3));
  for (const one of [vcpu, second]) one.kickHandle.kick();
  for (const end of await Promise.all(runs)) t.is(end.reason, 'kicked');
  includes(t, region.dirtyPages(), WRITTEN);
});

test('with rings there is no log of a slot, or it has only what the kernel writes itself', (t) => {
  if (!hasRings(t)) return;
  const { vm, vcpu, region } = makeRinged(t);
  if (vm.checkExtension(Cap.DirtyLogRingWithBitmap)) {
    lap(vcpu);
    return t.true(vm.getDirtyLog(region.slot).every((word) => word === 0n));
  }
  t.throws(() => vm.getDirtyLog(region.slot), { code: 'ERR_KVM_IOCTL' });
  return t.like(
    t.throws(() => vm.clearDirtyLog({ slot: region.slot, bitmap: new BigUint64Array(4) })),
    {
      code: 'ERR_KVM_IOCTL',
    },
  );
});

test('rings by the plain capability are rings as well, with the exit', (t) => {
  if (!hasSmallRings(t)) return;
  const vm = makeVm(t);
  if (!vm.checkExtension(Cap.DirtyLogRingAcqRel)) return t.pass();
  vm.enableCap(Cap.DirtyLogRingAcqRel, [ENTRIES * 16]);
  t.is(vm.dirtyRingEntries, ENTRIES);
  const region = vm.memory.map({ guestAddress: 0, size: PROGRESS.base, logDirtyPages: true });
  load(vm, 'write-pages');
  vm.mmio.attach(PROGRESS, new DebugConsole());
  const vcpu = vm.createVcpu();
  enterWritePages(vcpu);
  exitOf(vcpu.run(), 'dirtyRingFull');
  t.true(region.dirtyPages().length >= 100);
  return lap(vcpu);
});

test('bad arguments and wrong orders are refused before anything happens', (t) => {
  const vm = makeVm(t);
  t.throws(() => vm.enableDirtyRing(undefined as never), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => vm.enableDirtyRing({ entries: 1.5 }), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vm.enableDirtyRing({ entries: 0 }), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vm.enableDirtyRing({ entries: 1000 }), { code: 'ERR_INVALID_ARG_VALUE' });
  t.throws(() => vm.enableDirtyRing({ entries: 256, whenFull: 'stop' as never }), {
    code: 'ERR_INVALID_ARG_VALUE',
  });
  t.throws(() => vm.enableDirtyRing({ entries: 256, size: 1 } as never), { code: 'ERR_INVALID_ARG_VALUE' });
  t.is(vm.dirtyRingEntries, 0);
  t.like(
    t.throws(() => vm.harvestDirtyRings()),
    { code: 'ERR_KVM_IOCTL', errno: 22 },
  );
  t.like(
    t.throws(() => vm.resetDirtyRings()),
    {
      code: 'ERR_KVM_IOCTL',
      errno: 22,
      syscall: 'KVM_RESET_DIRTY_RINGS',
    },
  );
});

test('a host without rings says so; one with them refuses what it cannot do', (t) => {
  const vm = makeVm(t);
  if (!vm.checkExtension(Cap.DirtyLogRingAcqRel) && !vm.checkExtension(Cap.DirtyLogRing)) {
    const error = t.throws(() => vm.enableDirtyRing({ entries: 256 }), { code: 'ERR_KVM_UNSUPPORTED' });
    t.regex(error.message, /KVM_CAP_DIRTY_LOG_RING_ACQ_REL/);
    return;
  }
  t.like(
    t.throws(() => vm.enableDirtyRing({ entries: 2 ** 27 })),
    { code: 'ERR_KVM_IOCTL', errno: 7 },
  );
  t.like(
    t.throws(() => vm.enableDirtyRing({ entries: 64 })),
    { code: 'ERR_KVM_IOCTL', errno: 22 },
  );
  t.is(vm.dirtyRingEntries, 0);
  const entries = entriesOf(vm, ENTRIES);
  t.is(vm.dirtyRingEntries, entries);
  t.like(
    t.throws(() => vm.enableDirtyRing({ entries })),
    { code: 'ERR_KVM_IOCTL', errno: 22 },
  );
  const late = makeVm(t);
  late.createVcpu();
  t.like(
    t.throws(() => late.enableDirtyRing({ entries })),
    {
      code: 'ERR_KVM_IOCTL',
      errno: 22,
      syscall: 'KVM_ENABLE_CAP',
    },
  );
  t.is(late.dirtyRingEntries, 0);
});

test('after close every method says so', (t) => {
  const vm = makeVm(t);
  vm.close();
  const uses = {
    enableDirtyRing: () => vm.enableDirtyRing({ entries: 256 }),
    harvestDirtyRings: () => vm.harvestDirtyRings(),
    resetDirtyRings: () => vm.resetDirtyRings(),
  };
  for (const [name, use] of Object.entries(uses)) t.throws(use, { code: 'ERR_KVM_CLOSED' }, name);
});
