/** What examples/background-async.ts relies on, many times over: an awaited handler costs no later exit its handler. */
import { setTimeout as sleep } from 'node:timers/promises';

import test from 'ava';

import { hasKvm } from '../helpers/child-program.ts';
import { realModeGuest } from '../helpers/guests.ts';
import { boot, exitOf } from '../helpers/machine.ts';

// in al, 0x60; add al, 1; out 0x80, al; hlt
const guest = realModeGuest(0xe4, 0x60, 0x04, 0x01, 0xe6, 0x80, 0xf4);

test('each exit after an awaited one gets to its handler, once', async (t) => {
  if (!hasKvm(t)) return;
  for (let round = 0; round < 25; round++) {
    const runs = Array.from({ length: 4 }, async () => {
      const { vm, vcpu } = boot(t, guest);
      const seen: string[] = [];
      const end = await vcpu.runInBackground({
        async ioIn() {
          await sleep(round % 4);
          seen.push('in');
          return 41;
        },
        ioOut: ({ value }) => void seen.push(`out ${value}`),
      });
      exitOf(end, 'hlt');
      vm.close();
      return seen;
    });
    for (const seen of await Promise.all(runs)) t.deepEqual(seen, ['in', 'out 42']);
  }
});

test('a handler whose signal ends the run is the last, awaited or not', async (t) => {
  if (!hasKvm(t)) return;
  for (const pause of [undefined, 1]) {
    const { vcpu } = boot(t, guest);
    const stop = new AbortController();
    let outs = 0;
    const run = vcpu.runInBackground(
      {
        ioIn() {
          stop.abort();
          return pause === undefined ? 41 : sleep(pause, 41);
        },
        ioOut: () => void outs++,
      },
      { signal: stop.signal },
    );
    await t.throwsAsync(run, { any: true, name: 'AbortError' });
    t.is(outs, 0);
    // The vCPU is where it was left, and can be run on.
    exitOf(vcpu.run({ ioOut: () => void outs++ }), 'hlt');
    t.is(outs, 1);
  }
});
