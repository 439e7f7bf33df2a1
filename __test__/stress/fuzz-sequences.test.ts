/** Sequences of calls against a model of what is open, running, transferred. */
import test from 'ava';
import * as fc from 'fast-check';
import { commands } from './fuzz/commands.ts';
import { endReal, startModel, startReal } from './fuzz/model.ts';
import { rounds } from './fuzz/rounds.ts';
import { share } from './fuzz/settings.ts';
import { canary } from './fuzz/world.ts';

test('a machine is what its model says, in any order of calls', async (t) => {
  t.timeout(86_400_000);
  await rounds(t, share(0.06), async (count, parameters) => {
    const property = fc.asyncProperty(commands, async (list) => {
      const real = startReal();
      try {
        await fc.asyncModelRun(() => ({ model: startModel(), real }), list);
      } finally {
        await endReal(real);
      }
      count([...list].length);
    });
    await fc.assert(property, parameters);
    canary();
  });
  t.pass();
});
