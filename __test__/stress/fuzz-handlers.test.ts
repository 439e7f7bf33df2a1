/** Handlers, devices and listeners that use the API, in any way, while the guest waits for them. */
import { types } from 'node:util';
import test from 'ava';
import * as fc from 'fast-check';
import type { AsyncHandlers, Handlers } from 'vmhatch';
import { anyCall, begin, type Call } from './fuzz/call.ts';
import { hostile } from './fuzz/hostile.ts';
import { rounds } from './fuzz/rounds.ts';
import type { Recipe } from './fuzz/recipe.ts';
import { share } from './fuzz/settings.ts';
import { TrapError, explain, isTypedError, outcomeOf } from './fuzz/verdict.ts';
import { ACCESSES, World, canary } from './fuzz/world.ts';

type Lane = 'run' | 'runSliced' | 'runInBackground' | 'step' | 'device' | 'background device';

/** What one visit of the handlers does: calls, then an answer, perhaps a stop, perhaps later. */
interface Visit {
  readonly calls: readonly Call[];
  readonly answer: Recipe;
  readonly reply: boolean;
  readonly stop: boolean;
  readonly later: boolean;
}

const visit: fc.Arbitrary<Visit> = fc.record({
  calls: fc.array(anyCall, { maxLength: 4 }),
  answer: hostile,
  reply: fc.boolean(),
  stop: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  later: fc.boolean(),
});

const LANES: readonly Lane[] = ['run', 'runSliced', 'runInBackground', 'step', 'device', 'background device'];

/** Plays visits, one at each time that the guest waits. */
class Script {
  readonly #visits: readonly Visit[];
  readonly #world: World;
  readonly #allowsPromises: boolean;
  readonly underWay: Promise<void>[] = [];
  #at = 0;
  calls = 0;

  constructor(visits: readonly Visit[], world: World, allowsPromises: boolean) {
    this.#visits = visits;
    this.#world = world;
    this.#allowsPromises = allowsPromises;
  }

  /** The next visit; after the last one the run is to end. */
  play(exit?: object): unknown {
    const current = this.#visits[this.#at++];
    if (current === undefined) {
      this.#world.vcpu.kickHandle.kick();
      return undefined;
    }
    for (const call of current.calls) {
      this.calls++;
      const promise = begin(call, this.#world);
      // Judged at the end; meanwhile it is nobody's unhandled rejection.
      promise?.catch(() => undefined);
      if (promise !== undefined) this.underWay.push(promise);
    }
    const answer = current.answer.make(this.#world);
    const finish = (): unknown => {
      if (exit !== undefined) this.#touch(exit, current, answer);
      return current.reply ? undefined : answer;
    };
    // A Promise of a proxy asks the proxy for its then(), and fails by itself.
    return current.later && this.#allowsPromises && !types.isProxy(answer)
      ? Promise.resolve().then(finish)
      : finish();
  }

  /** Uses the exit object, which the calls may have made stale. */
  #touch(exit: object, current: Visit, answer: unknown): void {
    const { toJSON, reply, stop } = exit as Record<string, ((value?: unknown) => unknown) | undefined>;
    JSON.stringify(toJSON?.call(exit), (_, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    );
    if (current.reply) reply?.call(exit, answer);
    if (current.stop) stop?.call(exit);
  }
}

function handlersOf(script: Script): AsyncHandlers {
  const handler = (exit: object): never => script.play(exit) as never;
  return {
    ioOut: handler,
    ioIn: handler,
    mmioRead: handler,
    mmioWrite: handler,
    hlt: handler,
    internalError: handler,
  };
}

function attachDevice(world: World, script: Script): void {
  const device = { read: () => script.play() as number, write: () => void script.play() };
  world.vm.io.attach({ base: 0x500, length: 1 }, device);
  world.vm.mmio.attach(ACCESSES, device);
}

function step(world: World, script: Script): void {
  for (let turn = 0; turn < 6; turn++) {
    script.play(world.vcpu.step({ timeoutMs: 5 }));
  }
}

async function runLane(lane: Lane, world: World, script: Script): Promise<void> {
  const timeoutMs = 5;
  switch (lane) {
    case 'run':
      world.vcpu.run(handlersOf(script) as Handlers, { timeoutMs });
      break;
    case 'runSliced':
      await world.vcpu.runSliced(handlersOf(script) as Handlers, { timeoutMs, budgetMs: 1 });
      break;
    case 'runInBackground':
      await world.vcpu.runInBackground(handlersOf(script), { timeoutMs });
      break;
    case 'step':
      step(world, script);
      break;
    case 'device':
      attachDevice(world, script);
      world.vcpu.run({}, { timeoutMs });
      break;
    case 'background device':
      attachDevice(world, script);
      await world.vcpu.runInBackground({}, { timeoutMs });
  }
}

test('handlers and devices may call anything at any time', async (t) => {
  t.timeout(86_400_000);
  await rounds(t, share(0.03), async (count, parameters) => {
    const property = fc.asyncProperty(
      fc.constantFrom(...LANES),
      fc.array(visit, { minLength: 1, maxLength: 8, size: 'max' }),
      fc.nat(7),
      async (lane, visits, number) => {
        // Interrupt controllers take long to make and to take down.
        const world = new World(number === 7);
        const script = new Script(visits, world, lane === 'runInBackground' || lane === 'background device');
        try {
          const outcome = await outcomeOf(() => runLane(lane, world, script));
          // An answer that throws when it is looked at is as good as a handler that throws.
          if ('error' in outcome && !isTypedError(outcome.error) && !(outcome.error instanceof TrapError)) {
            throw new Error(`${lane} threw ${explain(outcome.error)}`);
          }
          await Promise.all(script.underWay);
          world.check();
        } finally {
          world.close();
        }
        count(script.calls + visits.length);
      },
    );
    await fc.assert(property, parameters);
    canary();
  });
  t.pass();
});
