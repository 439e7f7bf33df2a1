// Devices at ports, which only x86_64 has.
import { setTimeout as sleep } from 'node:timers/promises';

import test from 'ava';

import { realModeGuest } from '../helpers/guests.ts';
import { LANES } from '../helpers/lanes.ts';
import { boot, exitOf } from '../helpers/machine.ts';
import { recorder, type Access } from '../helpers/recorder.ts';

/** mov dx, 0x505; in al, dx; inc dx; in ax, dx; mov bx, ax; mov eax, 0x11223344; out dx, eax; hlt */
const OFFSETS = realModeGuest(
  [0xba, 0x05, 0x05, 0xec, 0x42, 0xed, 0x89, 0xc3],
  [0x66, 0xb8, 0x44, 0x33, 0x22, 0x11, 0x66, 0xef, 0xf4],
);

for (const [name, run] of LANES) {
  test(`${name}: a device at ports sees offsets and sizes, and its answers arrive`, async (t) => {
    const { vm, vcpu } = boot(t, OFFSETS);
    const log: Access[] = [];
    vm.io.attach({ base: 0x504, length: 8 }, recorder(log, [0x12, 0x3456]));
    exitOf(await run(vcpu, {}), 'hlt');
    t.deepEqual(log, [
      ['read', 1, undefined, 1],
      ['read', 2, undefined, 2],
      ['write', 2, 0x1122_3344, 4],
    ]);
    t.is(vcpu.regs.rbx, 0x3456n);
  });

  test(`${name}: what a device at ports lacks reads all ones and drops writes`, async (t) => {
    const { vm, vcpu } = boot(t, OFFSETS);
    vm.io.attach({ base: 0x500, length: 0x10 }, {});
    exitOf(await run(vcpu, { ioIn: () => t.fail(), ioOut: () => void t.fail() }), 'hlt');
    t.is(vcpu.regs.rbx, 0xffffn);
  });

  test(`${name}: string accesses come element by element`, async (t) => {
    const { vm, vcpu } = boot(t, 'string-in-word');
    const log: Access[] = [];
    vm.io.attach(
      { base: 0x4ff, length: 4 },
      recorder(
        log,
        [1, 2, 3, 4, 5, 6, 7, 8].map((value) => value * 0x101),
      ),
    );
    exitOf(await run(vcpu, {}), 'hlt');
    t.deepEqual(
      log,
      Array.from({ length: 8 }, () => ['read', 1, undefined, 2]),
    );
    t.deepEqual([...vm.memory.read(0x2000, 16)], [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8]);
  });
}

test('an access of ports belongs to the device that has its first byte, as on hardware', (t) => {
  const { vm, vcpu } = boot(t, OFFSETS);
  const first: Access[] = [];
  const second: Access[] = [];
  vm.io.attach({ base: 0x505, length: 2 }, recorder(first, [0x12, 0x3456]));
  vm.io.attach({ base: 0x507, length: 4 }, recorder(second));
  exitOf(vcpu.run(), 'hlt');
  t.deepEqual(first, [
    ['read', 0, undefined, 1],
    ['read', 1, undefined, 2],
    ['write', 1, 0x1122_3344, 4],
  ]);
  t.deepEqual(second, []);
});

test('in the background, strings may be answered later', async (t) => {
  const { vm, vcpu } = boot(t, 'string-in');
  let next = 1;
  vm.io.attach(
    { base: 0x500, length: 1 },
    {
      // Now and then at once.
      read: () => (next % 3 === 0 ? next++ : sleep(1).then(() => next++)),
    },
  );
  exitOf(await vcpu.runInBackground(), 'hlt');
  t.deepEqual(
    vm.memory.read(0x2000, 16),
    Uint8Array.from({ length: 16 }, (_, at) => at + 1),
  );
});
