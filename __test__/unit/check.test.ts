import { runInNewContext } from 'node:vm';
import test, { type ExecutionContext } from 'ava';
import * as fc from 'fast-check';

import * as check from '../../lib/internal/check.ts';
import { nearest } from '../../lib/internal/suggest.ts';

const fail = (): never => {
  throw new Error('touched');
};

/** A proxy that throws at every touch. */
const hostile = new Proxy(
  {},
  { get: fail, ownKeys: fail, getPrototypeOf: fail, has: fail, getOwnPropertyDescriptor: fail },
);

function revokedArray(): unknown {
  const { proxy, revoke } = Proxy.revocable([], {});
  revoke();
  return proxy;
}

/** What is no number, bigint or boolean, though it would become one if it were converted. */
const CONVERTIBLE = [
  '1',
  '',
  null,
  undefined,
  [1],
  { valueOf: () => 1 },
  Object(1),
  Object(1n),
  Symbol('1'),
  () => 1,
  hostile,
];

type Code = 'ERR_INVALID_ARG_TYPE' | 'ERR_OUT_OF_RANGE' | 'ERR_INVALID_ARG_VALUE';

function refuses(t: ExecutionContext, code: Code, call: () => unknown, message?: RegExp): void {
  t.throws(call, {
    code,
    instanceOf: code === 'ERR_OUT_OF_RANGE' ? RangeError : TypeError,
    ...(message && { message }),
  });
}

test('integers are taken exactly or not at all', (t) => {
  t.is(check.integer('n', 5, 0, 10), 5);
  t.is(check.integer('n', 0, 0, 10), 0);
  t.is(check.integer('n', 10, 0, 10), 10);
  t.true(Object.is(check.integer('n', -0, 0, 10), 0));
  for (const value of [Number.NaN, 1.5, Infinity, -Infinity]) {
    refuses(t, 'ERR_OUT_OF_RANGE', () => check.integer('n', value, 0, 10), /an integer/);
  }
  refuses(t, 'ERR_OUT_OF_RANGE', () => check.integer('n', 11, 0, 10), />= 0 && <= 10/);
  refuses(t, 'ERR_OUT_OF_RANGE', () => check.integer('n', 2 ** 53));
  for (const value of [...CONVERTIBLE, 1n, true]) {
    refuses(t, 'ERR_INVALID_ARG_TYPE', () => check.integer('n', value));
  }
});

test('ports, addresses and sizes have their ranges', (t) => {
  t.is(check.port('p', 0xffff), 0xffff);
  refuses(t, 'ERR_OUT_OF_RANGE', () => check.port('p', 0x10000));
  t.is(check.address('a', 2 ** 52 - 1), 2 ** 52 - 1);
  refuses(t, 'ERR_OUT_OF_RANGE', () => check.address('a', 2 ** 52));
  refuses(t, 'ERR_OUT_OF_RANGE', () => check.address('a', -1));
  t.is(check.size('s', 1), 1);
  refuses(t, 'ERR_OUT_OF_RANGE', () => check.size('s', 0));
  t.is(check.size('s', 0, 0), 0);
});

test('64-bit values are bigints or exact numbers', (t) => {
  t.is(check.u64('v', 5), 5n);
  t.is(check.u64('v', -0), 0n);
  t.is(check.u64('v', 2n ** 64n - 1n), 2n ** 64n - 1n);
  for (const value of [-1, -1n, 2n ** 64n, 2 ** 53, 1.5, Number.NaN, Infinity]) {
    refuses(t, 'ERR_OUT_OF_RANGE', () => check.u64('v', value));
  }
  for (const value of [...CONVERTIBLE, true]) refuses(t, 'ERR_INVALID_ARG_TYPE', () => check.u64('v', value));
});

test('booleans, strings and functions are not converted', (t) => {
  t.true(check.boolean('b', true));
  for (const value of [...CONVERTIBLE, 0, 1])
    refuses(t, 'ERR_INVALID_ARG_TYPE', () => check.boolean('b', value));
  t.is(check.string('s', ''), '');
  for (const value of [Object('x'), 1, null, hostile]) {
    refuses(t, 'ERR_INVALID_ARG_TYPE', () => check.string('s', value));
  }
  const handler = (): void => {};
  t.is(check.func('f', handler), handler);
  refuses(t, 'ERR_INVALID_ARG_TYPE', () => check.func('f', {} as () => void));
  refuses(t, 'ERR_INVALID_ARG_TYPE', () => check.func('f', undefined));
});

test('one of a few values, with the nearest when it is none', (t) => {
  const kinds = ['anonymous', 'memfd'] as const;
  const kind: 'anonymous' | 'memfd' = check.oneOf('backing', 'memfd', kinds);
  t.is(kind, 'memfd');
  refuses(t, 'ERR_INVALID_ARG_VALUE', () => check.oneOf('backing', 'memdf', kinds), /did you mean 'memfd'\?/);
  refuses(
    t,
    'ERR_INVALID_ARG_VALUE',
    () => check.oneOf('length', 3, [0, 1, 2, 4, 8]),
    /one of: 0, 1, 2, 4, 8/,
  );
  t.is(check.oneOf('length', -0, [0, 1]), 0);
  refuses(t, 'ERR_INVALID_ARG_VALUE', () => check.oneOf('length', '1', [0, 1]));
  refuses(t, 'ERR_INVALID_ARG_VALUE', () => check.oneOf('length', hostile, [0, 1]));
});

test('bytes come from any view or buffer and alias it', (t) => {
  const buffer = new ArrayBuffer(8);
  for (const view of [
    new Uint8Array(buffer, 2, 4),
    new Uint16Array(buffer, 2, 2),
    new DataView(buffer, 2, 4),
    Buffer.from(buffer, 2, 4),
  ]) {
    const bytes = check.bytes('b', view);
    t.is(bytes.buffer, buffer);
    t.deepEqual([bytes.byteOffset, bytes.byteLength], [2, 4]);
    t.is(Object.getPrototypeOf(bytes), Uint8Array.prototype);
  }
  t.is(check.bytes('b', buffer).byteLength, 8);
  t.is(check.bytes('b', new SharedArrayBuffer(3)).byteLength, 3);
  t.is(check.bytes('b', new ArrayBuffer(0)).byteLength, 0);
  t.is(check.bytes('b', runInNewContext('new Uint16Array(4)')).byteLength, 8);
  t.deepEqual(check.bytesOrString('b', 'é'), Uint8Array.of(0xc3, 0xa9));
  for (const value of ['x', [1, 2], null, { length: 3 }, hostile, 5]) {
    refuses(t, 'ERR_INVALID_ARG_TYPE', () => check.bytes('b', value));
  }
});

test('bytes believe the engine, not what a subclass claims', (t) => {
  class Liar extends Uint8Array {
    override get byteLength(): number {
      return 1000;
    }
    override get buffer(): ArrayBuffer {
      return fail();
    }
  }
  const liar = new Liar(4);
  Object.defineProperty(liar, 'length', { value: 1000 });
  t.is(check.bytes('b', liar).length, 4);
});

test('detached buffers are refused', (t) => {
  const buffer = new ArrayBuffer(8);
  const views = [buffer, new Uint8Array(buffer), new DataView(buffer)];
  structuredClone(buffer, { transfer: [buffer] });
  for (const view of views) refuses(t, 'ERR_INVALID_ARG_VALUE', () => check.bytes('b', view), /detached/);
});

test('options are plain objects with known keys, read once', (t) => {
  interface Options {
    size?: number;
    readOnly?: boolean;
  }
  const keys = ['size', 'readOnly'] as const;
  const options = (value: unknown): Options => check.options('options', value as Options, keys);
  t.deepEqual(Object.keys(options(undefined)), []);
  t.is(options({ size: 1, readOnly: undefined }).size, 1);
  t.false('readOnly' in options({ readOnly: undefined }));
  t.is(options(Object.assign(Object.create(null), { size: 2 })).size, 2);
  t.is(options(runInNewContext('({ size: 3 })')).size, 3);
  let reads = 0;
  const counted = options({
    get size() {
      reads += 1;
      return reads;
    },
  });
  t.deepEqual([counted.size, counted.size, reads], [1, 1, 1]);

  refuses(
    t,
    'ERR_INVALID_ARG_VALUE',
    () => options({ szie: 1 }),
    /'options\.szie' is not known; did you mean 'size'\?/,
  );
  refuses(t, 'ERR_INVALID_ARG_VALUE', () => options({ readonly: true }), /did you mean 'readOnly'\?/);
  refuses(t, 'ERR_INVALID_ARG_VALUE', () => options({ zzz: 1 }), /known are: size, readOnly/);
  refuses(t, 'ERR_INVALID_ARG_VALUE', () => options(JSON.parse('{"__proto__": {"size": 1}}')));
  for (const value of [null, 1, 'x', [], new Map(), new Date(), /x/, () => {}]) {
    refuses(t, 'ERR_INVALID_ARG_TYPE', () => options(value));
  }
  refuses(t, 'ERR_INVALID_ARG_VALUE', () => options(hostile), /cannot be read/);
  const thrower = {
    get size(): number {
      return fail();
    },
  };
  const error = t.throws(() => options(thrower), { code: 'ERR_INVALID_ARG_VALUE', message: /options\.size/ });
  t.like(error?.cause, { message: 'touched' });
});

test('arrays and objects', (t) => {
  t.deepEqual(check.array('a', [1]), [1]);
  t.deepEqual(check.array('a', runInNewContext('[1]')), [1] as unknown[]);
  for (const value of [{ length: 1 }, new Uint8Array(1), 'x']) {
    refuses(t, 'ERR_INVALID_ARG_TYPE', () => check.array('a', value));
  }
  refuses(t, 'ERR_INVALID_ARG_VALUE', () => check.array('a', revokedArray()));
  refuses(t, 'ERR_INVALID_ARG_TYPE', () => check.object('o', null));
  refuses(t, 'ERR_INVALID_ARG_VALUE', () => check.property('o', hostile, 'x'), /'o\.x'/);
  refuses(t, 'ERR_INVALID_ARG_VALUE', () => check.property('o', hostile, 3), /'o\[3\]'/);
});

test('timeouts are milliseconds', (t) => {
  t.is(check.timeoutMs('t', undefined), undefined);
  t.is(check.timeoutMs('t', 0.5), 0.5);
  t.true(Object.is(check.timeoutMs('t', -0), 0));
  for (const value of [-1, Number.NaN, Infinity, 2 ** 31]) {
    refuses(t, 'ERR_OUT_OF_RANGE', () => check.timeoutMs('t', value));
  }
  for (const value of ['1', null, 1n]) refuses(t, 'ERR_INVALID_ARG_TYPE', () => check.timeoutMs('t', value));
});

test('signals are AbortSignals', (t) => {
  const { signal } = new AbortController();
  t.is(check.signal('s', signal), signal);
  t.is(check.signal('s', undefined), undefined);
  for (const value of [null, {}, 'x', new EventTarget(), { aborted: false }]) {
    refuses(t, 'ERR_INVALID_ARG_TYPE', () => check.signal('s', value));
  }
  refuses(t, 'ERR_INVALID_ARG_VALUE', () => check.signal('s', hostile));
});

test('instances are of the class, and a class may look closer', (t) => {
  class Loose {
    readonly loose = true;
  }
  class Strict {
    readonly #made = true;
    get made(): boolean {
      return this.#made;
    }
    static [Symbol.hasInstance](value: unknown): boolean {
      return typeof value === 'object' && value !== null && #made in value;
    }
  }
  const loose: Loose = check.instance('x', new Loose(), Loose);
  t.true(loose.loose);
  t.true(check.instance('x', new Strict(), Strict).made);
  refuses(t, 'ERR_INVALID_ARG_TYPE', () => check.instance('x', {}, Loose), /an instance of Loose/);
  refuses(t, 'ERR_INVALID_ARG_TYPE', () => check.instance('x', Object.create(Strict.prototype), Strict));
  refuses(t, 'ERR_INVALID_ARG_VALUE', () => check.instance('x', hostile, Loose));
});

test('the nearest name is near or none', (t) => {
  const names = ['guestAddress', 'size', 'backing', 'readOnly'];
  t.is(nearest('guestaddress', names), 'guestAddress');
  t.is(nearest('guestAdress', names), 'guestAddress');
  t.is(nearest('sise', names), 'size');
  t.is(nearest('isze', names), 'size');
  t.is(nearest('back', names), undefined);
  t.is(nearest('nothing', names), undefined);
  t.is(nearest('x'.repeat(1e6), names), undefined);
  t.is(nearest('', names), undefined);
});

test('whatever is passed, a check gives a value of its type or a typed error', (t) => {
  const codes = new Set(['ERR_INVALID_ARG_TYPE', 'ERR_OUT_OF_RANGE', 'ERR_INVALID_ARG_VALUE']);
  const checks: ((value: unknown) => unknown)[] = [
    (value) => check.integer('x', value, 0, 100),
    (value) => check.u64('x', value),
    (value) => check.bytes('x', value),
    (value) => check.options('x', value as object, ['a' as never]),
    (value) => check.oneOf('x', value, ['a', 1]),
    (value) => check.timeoutMs('x', value),
    (value) => check.signal('x', value),
    (value) => check.array('x', value),
    (value) => check.instance('x', value, Map),
  ];
  const holds = (value: unknown, run: (value: unknown) => unknown): boolean => {
    try {
      run(value);
    } catch (error) {
      return codes.has((error as { code: string }).code);
    }
    return true;
  };
  for (const value of [...CONVERTIBLE, revokedArray()]) {
    t.true(checks.every((run) => holds(value, run)));
  }
  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withTypedArray: true,
  });
  fc.assert(fc.property(anything, fc.constantFrom(...checks), holds), { numRuns: 5000 });
});
