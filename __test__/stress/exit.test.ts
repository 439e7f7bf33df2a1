/** The process ends while guests run: at once, with its own exit code. */
import test from 'ava';

import { expectEnd, hasKvm, runProgram } from '../helpers/child-program.ts';

const leaves = [
  'background spin',
  'background storm',
  'background handler',
  'worker spin',
  'worker hot handler',
  'worker rust device',
  'worker that nobody waits for',
  'sliced',
  'sync handler',
];

for (const scenario of leaves) {
  test.serial(`process.exit() keeps its code: ${scenario}`, async (t) => {
    if (!hasKvm(t)) return;
    await expectEnd(t, ['exit', scenario], 42);
  });
}

test.serial('a run in an exit listener does not enter the guest any more', async (t) => {
  if (!hasKvm(t)) return;
  const { stdout } = await expectEnd(t, ['exit', 'exit listener'], 42);
  t.is(stdout, 'kicked\n');
});

test.serial('a program ends by itself with machines and windows open', async (t) => {
  if (!hasKvm(t)) return;
  const { stdout, stderr } = await expectEnd(t, ['exit', 'natural'], 0);
  t.is(stdout, 'the end\n');
  t.is(stderr, '');
});

const throws = [
  ['throw in a sync handler', 'from the handler'],
  ['throw in a background handler', 'from the handler'],
  ['throw beside guests', 'from a timer'],
  ['throw beside a worker', 'from the main thread'],
] as const;

for (const [scenario, message] of throws) {
  test.serial(`an uncaught error ends the process as ever: ${scenario}`, async (t) => {
    if (!hasKvm(t)) return;
    const { stderr } = await expectEnd(t, ['exit', scenario], 1);
    t.true(stderr.includes(message), stderr);
  });
}

for (const wanted of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  test.serial(`${wanted} from outside ends a process with guests`, async (t) => {
    if (!hasKvm(t)) return;
    const end = await runProgram('exit', 'killed from outside', { onLine: (_line, kill) => kill(wanted) });
    t.false(end.hung);
    t.is(end.signal, wanted);
  });
}
