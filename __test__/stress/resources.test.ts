/** What is forgotten or closed is given back; many machines at once; many kicks. */
import test from 'ava';

import { expectEnd, hasKvm } from '../helpers/child-program.ts';

const gc = { nodeOptions: ['--expose-gc'] };

test.serial('what JavaScript forgets is given back, in whatever order it is collected', async (t) => {
  if (!hasKvm(t)) return;
  const { stdout, stderr } = await expectEnd(t, ['collect', 'any order'], 0, gc);
  t.is(stdout, 'descriptors as before\nmaps as before\nthreads as before\n', stderr);
});

test.serial('a machine that is closed lets go of its JavaScript devices', async (t) => {
  if (!hasKvm(t)) return;
  const { stdout } = await expectEnd(t, ['collect', 'devices of closed machines'], 0, gc);
  t.is(stdout, 'alive 0\n');
});

test.serial('200 rounds of create, run and close leave nothing behind', async (t) => {
  if (!hasKvm(t)) return;
  const { stdout } = await expectEnd(t, ['many', 'rounds of create, run, close'], 0);
  t.is(stdout, 'descriptors as before\nmaps as before\nthreads as before\nresident memory bounded\n');
});

test.serial('100 machines live in one process', async (t) => {
  if (!hasKvm(t)) return;
  const { stdout } = await expectEnd(t, ['many', '100 machines at once'], 0);
  t.is(stdout, 'halted 100 right true\n');
});

test.serial('a storm of kicks from another thread ends every run and loses none', async (t) => {
  if (!hasKvm(t)) return;
  const { stdout } = await expectEnd(t, ['many', 'a storm of kicks'], 0);
  t.is(stdout, `${'after stopped\n'.repeat(8)}each was kicked true\n`);
});
