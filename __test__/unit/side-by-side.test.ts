import test from 'ava';
import { sideBySide } from '../../scripts/shared/side-by-side.mjs';

/** Runs jobs by their weights; what began and ended, in order. Each ends when all that can begin has begun. */
async function history(weights: readonly number[], most: number): Promise<string[]> {
  const events: string[] = [];
  const sum = (some: readonly number[]): number => some.reduce((total, one) => total + one, 0);
  await sideBySide(
    weights,
    (one, beside) => sum([one, ...beside]) <= most,
    async (one) => {
      events.push(`${one} begins`);
      await new Promise((resolve) => void setImmediate(resolve));
      events.push(`${one} ends`);
    },
  );
  return events;
}

test('jobs begin in their order, one that does not fit after those that do', async (t) => {
  t.deepEqual(await history([3, 4, 2, 1], 5), [
    '3 begins',
    '2 begins',
    '3 ends',
    '1 begins',
    '2 ends',
    '4 begins',
    '1 ends',
    '4 ends',
  ]);
});

test('a job that fits beside none runs alone', async (t) => {
  const events = await history([9, 1], 5);
  t.deepEqual(events, ['9 begins', '9 ends', '1 begins', '1 ends']);
});

test('what goes wrong in a job is told', async (t) => {
  const broken = sideBySide(
    ['a'],
    () => true,
    () => Promise.reject(new Error('broken')),
  );
  await t.throwsAsync(broken, { message: 'broken' });
  await t.notThrowsAsync(
    sideBySide(
      [],
      () => true,
      () => Promise.resolve(),
    ),
  );
});
