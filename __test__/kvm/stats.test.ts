import test from 'ava';

import { DebugConsole } from '../../index.ts';
import { realModeGuest } from '../helpers/guests.ts';
import { LANES } from '../helpers/lanes.ts';
import { boot, exitOf, makeVm } from '../helpers/machine.ts';

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
    const { vm, vcpu } = boot(t, 'kvm-ioctls-example');
    vm.mmio.attach({ base: 0x8000, length: 1 }, new DebugConsole());
    exitOf(await run(vcpu, { ioOut: () => {}, ioIn: () => 0 }), 'hlt');
    const { exits, byReason, byRoute, guestTimeNs } = vcpu.stats;
    t.is(exits, 5);
    t.deepEqual(byReason, { io: 2, mmio: 2, hlt: 1 });
    t.deepEqual(byRoute, { rust: 2, javascript: 3, posted: 0 });
    t.true(guestTimeNs > 0);
  });

  test(`${name}: exits to a JavaScript device count as JavaScript's`, async (t) => {
    const { vm, vcpu } = boot(t, realModeGuest(0xe6, 0x10, 0xe4, 0x10, 0xf4));
    vm.io.attach({ base: 0x10, length: 1 }, { read: () => 0 });
    exitOf(await run(vcpu, {}), 'hlt');
    t.deepEqual(vcpu.stats.byRoute, { rust: 0, javascript: 3, posted: 0 });
  });

  test(`${name}: kicks are counted`, async (t) => {
    const { vcpu } = boot(t, 'hlt-loop');
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
  const { vcpu } = boot(t, 'hlt-loop');
  const before = vcpu.stats;
  exitOf(vcpu.run(), 'hlt');
  t.is(before.exits, 0);
  t.is(vcpu.stats.exits, 1);
  t.is(vcpu.stats.byReason['hlt'], 1);
});

test('a handler sees its own exit counted', (t) => {
  const { vcpu } = boot(t, 'exit-storm');
  const seen: number[] = [];
  vcpu.run({
    ioOut: (exit) => {
      seen.push(vcpu.stats.exits);
      if (seen.length === 3) exit.stop();
    },
  });
  t.deepEqual(seen, [1, 2, 3]);
});
