// Workers that run guests which use ports: what only x86_64 has.
import { setTimeout as sleep } from 'node:timers/promises';

import test from 'ava';

import { realModeGuest } from '../helpers/guests.ts';
import { hand } from '../helpers/hand.ts';
import { boot } from '../helpers/machine.ts';

/** mov dx, 0x500; in al, dx; inc al; out dx, al; mov dx, 0x3f8; out dx, al; hlt */
const ASKS_DEVICE = realModeGuest([0xba, 0x00, 0x05, 0xec, 0xfe, 0xc0, 0xee], [0xba, 0xf8, 0x03, 0xee, 0xf4]);

for (const [name, later] of [
  ['at once', false],
  ['by a Promise', true],
] as const) {
  test(`a device of this isolate at ports answers ${name} while a Worker runs the vCPU`, async (t) => {
    const { vm, vcpu } = boot(t, ASKS_DEVICE);
    const written: number[] = [];
    vm.io.attach(
      { base: 0x500, length: 1 },
      {
        read: () => (later ? sleep(2).then(() => 0x41) : 0x41),
        write: (_offset, value) => {
          written.push(value);
          return later ? sleep(2) : undefined;
        },
      },
    );
    const { report } = hand(t, { token: vcpu.transfer(), job: 'run' });
    t.deepEqual(await report, { end: { reason: 'exit', exit: { kind: 'hlt' } }, values: [0x42] });
    t.deepEqual(written, [0x42]);
  });
}

test('a device of this isolate answers a string read of a Worker', async (t) => {
  const { vm, vcpu } = boot(t, 'string-in-dword');
  let next = 0;
  vm.io.attach({ base: 0x500, length: 4 }, { read: () => ++next * 0x0101_0101 });
  const { report } = hand(t, { token: vcpu.transfer(), job: 'run' });
  t.deepEqual((await report).end, { reason: 'exit', exit: { kind: 'hlt' } });
  t.deepEqual([...vm.memory.read(0x2000, 16)], [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4]);
});
