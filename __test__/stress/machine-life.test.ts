/** Machines in processes of their own: nothing is left of a hundred, ten live at once, and a process ends as it should. */
import test from 'ava';

import { expectEnd, hasKvm } from '../helpers/child-program.ts';

/** A scenario of programs/machine-life.ts, its exit code, and what it prints. */
const SCENARIOS: readonly (readonly [scenario: string, code: number, stdout: string])[] = [
  [
    '100 rounds of create, boot, dispose',
    0,
    'descriptors as before\nmaps as before\nthreads as before\nresident memory bounded\n',
  ],
  ['ten machines at once', 0, 'powered off 10\nprinted xxxxxxxxxx\n'],
  ['a machine that runs keeps the process', 0, 'still here\nkilled\n'],
  ['one that is unreferenced does not', 0, 'running\n'],
  ['nor does one that storms a JavaScript device', 0, 'running\n'],
  ['one that is paused does not', 0, 'paused\n'],
  ['exit while one runs', 7, ''],
];

for (const [scenario, code, printed] of SCENARIOS) {
  test.serial(scenario, async (t) => {
    if (!hasKvm(t)) return;
    const { stdout, stderr } = await expectEnd(t, ['machine-life', scenario], code);
    t.is(stdout, printed, stderr);
  });
}
