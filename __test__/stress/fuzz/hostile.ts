/** Values that nobody means: of wrong types, at the edges of ranges, and objects that do something when looked at. */
import * as fc from 'fast-check';
import { Vm } from 'vmhatch';
import { PAGE } from '../../helpers/page.ts';
import { oneOf, recipe, values, type Recipe } from './recipe.ts';
import { CallersOwnError, TrapError } from './verdict.ts';
import type { World } from './world.ts';

const EDGES = [
  Number.NaN,
  -0,
  0,
  1,
  -1,
  1.5,
  -1.5,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31),
  2 ** 32 - 1,
  2 ** 32,
  2 ** 47,
  2 ** 48,
  2 ** 52 - PAGE,
  2 ** 52,
  2 ** 53 - 1,
  2 ** 53,
  -(2 ** 53),
  2 ** 63,
  2 ** 64,
  1e308,
  Number.MIN_VALUE,
  Infinity,
  -Infinity,
  255,
  256,
  65535,
  65536,
  PAGE - 1,
  PAGE,
];
const BIG_EDGES = [
  0n,
  -1n,
  1n,
  2n ** 31n,
  2n ** 32n,
  2n ** 52n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
  2n ** 64n,
  -(2n ** 63n),
  2n ** 200n,
];

function detached(): ArrayBuffer {
  const buffer = new ArrayBuffer(64);
  structuredClone(buffer, { transfer: [buffer] });
  return buffer;
}

function shrunkView(): Uint8Array {
  // Typed as in ES2024, which the compiler's target is older than.
  const Resizable = ArrayBuffer as unknown as new (
    length: number,
    options: { maxByteLength: number },
  ) => ArrayBuffer & { resize(length: number): void };
  const buffer = new Resizable(64, { maxByteLength: 128 });
  const view = new Uint8Array(buffer, 32, 32);
  buffer.resize(8);
  return view;
}

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function revokedArray(): unknown {
  const { proxy, revoke } = Proxy.revocable([], {});
  revoke();
  return proxy;
}

/** Throws at every touch. */
function trapped(target: object): unknown {
  const trap = (): never => {
    throw new TrapError('a trap');
  };
  return new Proxy(target, {
    get: trap,
    has: trap,
    ownKeys: trap,
    getPrototypeOf: trap,
    getOwnPropertyDescriptor: trap,
    set: trap,
  });
}

function cyclic(): unknown {
  const object: Record<string, unknown> = {};
  object['self'] = object;
  object['list'] = [object];
  return object;
}

/** Claims billions of elements and has none. */
function sparse(): unknown[] {
  const list: unknown[] = [];
  list.length = 2 ** 32 - 1;
  return list;
}

function notThenable(): unknown {
  return JSON.parse('{ "then": 1 }') as unknown;
}

/** A class whose instances have no more than a prototype. */
export class Dressed {
  readonly [Symbol.toStringTag] = 'Dressed';
}

class LyingBytes extends Uint8Array {
  override get length(): never {
    throw new TrapError('a length');
  }
}

const WEIRD: readonly [string, (world: World) => unknown][] = [
  ['{}', () => ({})],
  ['[]', () => []],
  ['[[], {}]', () => [[], {}]],
  ['a sparse array of 2 ** 32 - 1', sparse],
  ['{ length: 2 ** 53 }', () => ({ length: 2 ** 53 })],
  ['a cyclic object', cyclic],
  ['new Map()', () => new Map([['port', 1]])],
  ['new Date(NaN)', () => new Date(Number.NaN)],
  ['new Date(8.64e15)', () => new Date(8.64e15)],
  ['Object.create(Date.prototype)', () => Object.create(Date.prototype) as unknown],
  ['Object(1)', () => new Object(1)],
  ["Object('a')", () => new Object('a')],
  ['() => {}', () => () => undefined],
  ['async () => {}', () => async () => undefined],
  ['class Dressed {}', () => Dressed],
  [
    'a function that throws',
    () => () => {
      throw new CallersOwnError('a function');
    },
  ],
  ['Promise.resolve()', () => Promise.resolve()],
  ['an object with a then that is none', notThenable],
  ['a revoked proxy', revoked],
  ['a revoked proxy of an array', revokedArray],
  ['a proxy that throws', () => trapped({})],
  ['a proxy of an array that throws', () => trapped([1, 2])],
  ['a proxy of a function that throws', () => trapped(() => undefined)],
  ['Object.create(null)', () => Object.create(null) as unknown],
  ['Object.create(Vm.prototype)', () => Object.create(Vm.prototype) as unknown],
  [
    'Object.create(its prototype)',
    (world) => Object.create(Object.getPrototypeOf(world.eventFd) as object) as unknown,
  ],
  ['a detached ArrayBuffer', detached],
  ['a view that hangs over', shrunkView],
  ['a lying Uint8Array', () => new LyingBytes(8)],
  ['new SharedArrayBuffer(64)', () => new SharedArrayBuffer(64)],
  ['a view of a SharedArrayBuffer', () => new Uint8Array(new SharedArrayBuffer(64), 8, 16)],
  ['new Float64Array(3)', () => new Float64Array(3).fill(Number.NaN)],
  ['new DataView()', () => new DataView(new ArrayBuffer(12), 4, 8)],
  ['Buffer.alloc(9)', () => Buffer.alloc(9)],
  ['new Uint8Array(0)', () => new Uint8Array(0)],
  ['new Uint8Array(1 MiB)', () => new Uint8Array(1 << 20)],
  ['new BigUint64Array(4)', () => new BigUint64Array(4)],
  [
    'guest memory',
    (world) => (world.vm.closed || world.region.closed ? null : world.vm.memory.view(0x2000, 64)),
  ],
  ['the Vm', (world) => world.vm],
  ['the Vcpu', (world) => world.vcpu],
  ['the EventFd', (world) => world.eventFd],
  ['a closed EventFd', (world) => world.closedEventFd],
  ['an aborted AbortSignal', () => AbortSignal.abort(new CallersOwnError('a signal'))],
  ['an error', () => new Error('a value')],
  ['globalThis', () => globalThis],
];

const numbers = fc.oneof(oneOf(...EDGES), values(fc.double()), values(fc.integer()));
const bigints = fc.oneof(oneOf(...BIG_EDGES), values(fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n })));
const strings = fc.oneof(
  oneOf('', '1', 'anonymous', 'memfd', 'x'.repeat(100_000), '\0', '__proto__', 'constructor', '\u{d800}'),
  values(fc.string({ maxLength: 12 })),
);
const symbols = fc.constantFrom(
  ...[Symbol('a'), Symbol.iterator, Symbol.for('vmhatch')].map((one) => recipe(String(one), () => one)),
);
const weird = fc.constantFrom(...WEIRD.map(([text, make]) => recipe(text, make)));

/** Anything at all. */
export const hostile: fc.Arbitrary<Recipe> = fc.oneof(
  { weight: 4, arbitrary: numbers },
  { weight: 2, arbitrary: bigints },
  { weight: 2, arbitrary: strings },
  { weight: 1, arbitrary: symbols },
  { weight: 2, arbitrary: oneOf(undefined, null, true, false) },
  { weight: 6, arbitrary: weird },
);

/** What code of the caller's may do while it is asked for a value. Nothing here runs a guest without an end. */
export const actions: readonly [string, (world: World) => void][] = [
  ['vm.close()', (world) => world.vm.close()],
  ['kvm.close()', (world) => world.kvm.close()],
  ['vcpu.close()', (world) => world.vcpu.close()],
  ['spareVcpu.close()', (world) => world.spareVcpu.close()],
  ['region.unmap()', (world) => world.spareRegion.unmap()],
  ['attachment.detach()', (world) => world.attachment.detach()],
  ['eventFd.close()', (world) => world.eventFd.close()],
  ['kick()', (world) => world.vcpu.kickHandle.kick()],
  ['transfer()', (world) => void world.spareVcpu.transfer()],
  ['setRegs()', (world) => world.vcpu.setRegs({ rax: 1 })],
  ['map()', (world) => void world.vm.memory.map({ guestAddress: 0x40_0000, size: PAGE })],
  [
    'step()',
    (world) => {
      world.vcpu.kickHandle.kick();
      world.vcpu.step({ timeoutMs: 1 });
      world.vcpu.kickHandle.kick();
    },
  ],
  [
    'throw',
    () => {
      throw new CallersOwnError('an action');
    },
  ],
];

/** One of the actions; those that end the fun for all that come after come seldom. */
export const action: fc.Arbitrary<Recipe> = fc.oneof(
  ...actions.map(([text, does]) => ({
    weight: /close|unmap|transfer/.test(text) ? 1 : 10,
    arbitrary: fc.constant(recipe(text, (world) => () => does(world))),
  })),
);

/** Does an action of {@link action}. */
export function act(chosen: Recipe, world: World): void {
  (chosen.make(world) as () => void)();
}
