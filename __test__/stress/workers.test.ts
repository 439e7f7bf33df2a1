/** Workers that are ended while they run guests, and isolates that need each other. */
import test from 'ava';

import { expectEnd, hasKvm } from '../helpers/child-program.ts';

const terminated = [
  'spin',
  'hot handler',
  'hot device',
  'rust device',
  'halted inside KVM',
  'waits for a device of the main isolate',
];

for (const scenario of terminated) {
  test.serial(`Worker.terminate() ends a Worker: ${scenario}`, async (t) => {
    if (!hasKvm(t)) return;
    const { stdout } = await expectEnd(t, ['terminate', scenario], 0);
    t.regex(stdout, /^terminated 1$/m);
  });
}

const reads = [
  'a Worker ends that has the device: sliced',
  'a Worker ends that has the device: background',
  'a Worker ends that owes an answer: sliced',
  'a Worker ends that owes an answer: background',
];

for (const scenario of reads) {
  test.serial(`what its device would answer reads all ones: ${scenario}`, async (t) => {
    if (!hasKvm(t)) return;
    const { stdout } = await expectEnd(t, ['isolates', scenario], 0);
    t.is(stdout, 'stopped 255\n');
  });
}

for (const scenario of ['each of two runs a vCPU that needs the other', 'three in a ring']) {
  test.serial(`isolates that wait for each other answer each other: ${scenario}`, async (t) => {
    if (!hasKvm(t)) return;
    const { stdout } = await expectEnd(t, ['isolates', scenario], 0);
    t.is(stdout, 'stopped\n');
  });
}
