import test from 'ava';

import { DebugConsole } from '../../index.ts';
import { END, OUTPUT, boot, ended } from '../helpers/common-guests.ts';
import { LANES } from '../helpers/lanes.ts';
import { exitOf, makeVm } from '../helpers/machine.ts';

test('a vCPU that never ran has zeros', (t) => {
  t.deepEqual(makeVm(t).createVcpu().stats, {
    exits: 0,
    byReason: {},
    byRoute: { rust: 0, javascript: 0, posted: 0 },
    kicks: 0,
    slices: 0,
    guestTimeNs: 0,
  });
});

for (const [name, run] of LANES) {
  test(`${name}: exits are counted by reason and by route`, async (t) => {
    const { vm, vcpu } = boot(t, 'mmio-sizes');
    vm.mmio.attach({ base: OUTPUT, length: 4 }, new DebugConsole());
    ended(await run(vcpu, { mmioRead: () => 0, mmioWrite: () => {} }));
    const { exits, byReason, byRoute, guestTimeNs } = vcpu.stats;
    t.is(exits, 7);
    t.deepEqual(byReason, { mmio: 6, [END]: 1 });
    t.deepEqual(byRoute, { rust: 2, javascript: 5, posted: 0 });
    t.true(guestTimeNs > 0);
  });

  test(`${name}: exits to a JavaScript device count as JavaScript's`, async (t) => {
    const { vm, vcpu } = boot(t, 'mmio-8-byte');
    vm.mmio.attach({ base: OUTPUT, length: 16 }, { read: () => 0 });
    ended(await run(vcpu, {}));
    t.deepEqual(vcpu.stats.byRoute, { rust: 0, javascript: 3, posted: 0 });
  });

  test(`${name}: kicks are counted`, async (t) => {
    const { vcpu } = boot(t, 'mmio-storm');
    vcpu.kickHandle.kick();
    vcpu.kickHandle.kick();
    t.is((await run(vcpu, {})).reason, 'kicked');
    t.is(vcpu.stats.kicks, 2);
    t.is(vcpu.stats.exits, 0);
  });
}

test('slices are counted', (t) => {
  const { vcpu } = boot(t, 'spin');
  t.is(vcpu.run({}, { timeoutMs: 50 }).reason, 'timeout');
  t.true(vcpu.stats.slices >= 1);
});

test('stats are a copy', (t) => {
  const { vcpu } = boot(t, 'mmio-storm');
  const before = vcpu.stats;
  exitOf(vcpu.run(), 'mmioWrite');
  t.is(before.exits, 0);
  t.is(vcpu.stats.exits, 1);
  t.is(vcpu.stats.byReason['mmio'], 1);
});

test('a handler sees its own exit counted', (t) => {
  const { vcpu } = boot(t, 'mmio-storm');
  const seen: number[] = [];
  vcpu.run({
    mmioWrite: (exit) => {
      seen.push(vcpu.stats.exits);
      if (seen.length === 3) exit.stop();
    },
  });
  t.deepEqual(seen, [1, 2, 3]);
});
