/** Every public member of every exported class, with arguments of every sort. */
import test from 'ava';
import * as fc from 'fast-check';
import { anyCall, make, succeeded, unknownMembers } from './fuzz/call.ts';
import { rounds } from './fuzz/rounds.ts';
import { share } from './fuzz/settings.ts';
import { members } from './fuzz/surface.ts';
import { World, canary } from './fuzz/world.ts';

const CALLS_A_WORLD = 64;

/** Only the package makes these; and what needs hardware that not every host has. */
function neverSucceeds(name: string): boolean {
  const makers = [
    'Vm',
    'Vcpu',
    'GuestMemory',
    'MemoryRegion',
    'Bus',
    'Attachment',
    'KickHandle',
    'RustDevice',
  ];
  return makers.some((maker) => name === `new ${maker}`) || name === 'static Vm.adopt';
}

test('the generators know every public member', (t) => {
  t.true(members.length > 100, `only ${members.length} members were found`);
  t.deepEqual(unknownMembers, [], 'say in __test__/stress/fuzz/arguments.ts what these take');
});

test('every call succeeds or throws a typed error, and the process goes on', async (t) => {
  t.timeout(86_400_000);
  const made = await rounds(t, share(0.87), async (count, parameters) => {
    const property = fc.asyncProperty(
      fc.array(anyCall, { minLength: 1, maxLength: CALLS_A_WORLD, size: 'max' }),
      fc.boolean(),
      async (calls, irqChip) => {
        const world = new World(irqChip);
        try {
          for (const call of calls) await make(call, world);
          world.check();
        } finally {
          world.close();
        }
        count(calls.length);
      },
    );
    await fc.assert(property, parameters);
    canary();
  });
  t.true(made >= share(0.87));
  // Few cases reach little: then there is nothing to say about what they reached.
  const missed = members
    .filter(({ name }) => !succeeded.has(name) && !neverSucceeds(name))
    .map(({ name }) => name);
  if (made >= 80_000)
    t.deepEqual(missed, [], 'these never succeeded: their arguments are not what they take');
});
