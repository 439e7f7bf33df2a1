/** Child processes, signals and floods of output beside running guests. */
import test from 'ava';

import { expectEnd, hasKvm } from '../helpers/child-program.ts';

test.serial('child processes start, run and see nothing of the guests, which go on', async (t) => {
  if (!hasKvm(t)) return;
  const { stdout } = await expectEnd(t, ['beside', 'child processes'], 0);
  t.is(stdout, 'exec sync spawn clean unblocked forked:7\nthe guest went on true\nkicked\nkicked\n');
});

test.serial('a handler may start a process and wait for it', async (t) => {
  if (!hasKvm(t)) return;
  const { stdout } = await expectEnd(t, ['beside', 'a child from a handler'], 0);
  t.is(stdout, '52 10\n');
});

test.serial("SIGUSR1 stays the inspector's", async (t) => {
  if (!hasKvm(t)) return;
  const { stdout, stderr } = await expectEnd(t, ['beside', 'SIGUSR1'], 0, {
    onLine: (line, kill) => line === 'ready' && kill('SIGUSR1'),
    nodeOptions: ['--inspect-port=0'],
  });
  t.is(stdout, 'ready\nkicked\nkicked\n');
  t.regex(stderr, /Debugger listening on/);
});

for (const scenario of ['SIGINT in a sliced run', 'SIGINT beside a background run']) {
  test.serial(`a signal reaches its listener: ${scenario}`, async (t) => {
    if (!hasKvm(t)) return;
    const { stdout } = await expectEnd(t, ['beside', scenario], 0, {
      onLine: (line, kill) => line === 'ready' && kill('SIGINT'),
    });
    t.is(stdout, 'ready\ninterrupted\n');
  });
}

test.serial('a flood of output arrives complete and in order on every lane', async (t) => {
  if (!hasKvm(t)) return;
  const { stdout } = await expectEnd(t, ['beside', 'a flood, in order'], 0);
  const lanes = ['run', 'runSliced', 'runInBackground'];
  t.is(stdout, lanes.map((lane) => `${lane} kicked true bounded\n`).join(''));
});

test.serial('of a flood that nobody takes the last 64 KiB are kept', async (t) => {
  if (!hasKvm(t)) return;
  const { stdout } = await expectEnd(t, ['beside', 'a flood that nobody takes'], 0);
  t.is(stdout, 'more was written than is kept true kept 65536\ngaps -1\n');
});

test.serial('a flood after the listener has gone is one that nobody takes', async (t) => {
  if (!hasKvm(t)) return;
  const { stdout } = await expectEnd(t, ['beside', 'a flood after the listener has gone'], 0);
  t.is(stdout, 'run 65536\nrunInBackground 65536\n');
});

test.serial('a guest on the background lane waits for a listener that is slow', async (t) => {
  if (!hasKvm(t)) return;
  const { stdout } = await expectEnd(t, ['beside', 'a flood that is taken slowly'], 0);
  t.is(stdout, 'the guest waits at the limit\nkicked\n');
});
