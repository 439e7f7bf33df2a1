import { inspect } from 'node:util';
import test from 'ava';

import { ERROR_CODES } from '../../lib/generated/error-codes.ts';
import {
  KvmError,
  invalidArgType,
  invalidArgValue,
  makeNativeError,
  outOfRange,
} from '../../lib/internal/errors.ts';

test('a KvmError is an Error with a code', (t) => {
  const error = new KvmError('ERR_KVM_CLOSED', 'The VM is closed');
  t.true(error instanceof Error);
  t.is(error.name, 'KvmError');
  t.is(error.code, 'ERR_KVM_CLOSED');
  t.is(error.message, 'The VM is closed');
  t.false('errno' in error);
  t.false('syscall' in error);
  t.false('cause' in error);
  t.regex(error.stack ?? '', /^KvmError: The VM is closed/);
  t.false(Object.keys(error).includes('name'));
});

test('a KvmError carries what the kernel said and the error behind it', (t) => {
  const cause = new Error('behind');
  const error = new KvmError('ERR_KVM_IOCTL', 'refused', { errno: 12, syscall: 'KVM_CREATE_VM', cause });
  t.is(error.errno, 12);
  t.is(error.syscall, 'KVM_CREATE_VM');
  t.is(error.cause, cause);
  t.regex(inspect(error), /KVM_CREATE_VM/);
});

test('the native side makes KvmErrors, with and without the kernel', (t) => {
  const plain = makeNativeError('ERR_KVM_BUSY', 'busy', null, null);
  t.true(plain instanceof KvmError);
  t.false('errno' in plain);
  t.false('syscall' in plain);
  const refused = makeNativeError('ERR_KVM_IOCTL', 'refused', 22, 'KVM_RUN');
  t.is(refused.errno, 22);
  t.is(refused.syscall, 'KVM_RUN');
});

test('every code has a meaning', (t) => {
  for (const [code, meaning] of Object.entries(ERROR_CODES)) {
    t.regex(code, /^ERR_KVM_[A-Z_]+$/);
    t.regex(meaning, /^[A-Z].*[^.]$/);
  }
});

test('a wrong type is told as Node tells it', (t) => {
  const error = invalidArgType('cap', 'of type number', 'x');
  t.true(error instanceof TypeError);
  t.like(error, {
    code: 'ERR_INVALID_ARG_TYPE',
    message: `The "cap" argument must be of type number. Received type string ('x')`,
  });
  const message = (value: unknown): string => invalidArgType('a.b', 'x', value).message;
  t.is(message(null), 'The "a.b" property must be x. Received null');
  t.is(message(undefined), 'The "a.b" property must be x. Received undefined');
  t.is(message(5n), 'The "a.b" property must be x. Received type bigint (5n)');
  t.is(message([]), 'The "a.b" property must be x. Received an instance of Array');
  t.is(message(Object.create(null)), 'The "a.b" property must be x. Received [Object: null prototype] {}');
  t.is(
    message(() => {}),
    'The "a.b" property must be x. Received a function',
  );
  t.is(message(Math.max), 'The "a.b" property must be x. Received function max');
  t.is(message(Symbol('s')), 'The "a.b" property must be x. Received type symbol (Symbol(s))');
  t.true(message('x'.repeat(1e6)).length < 100);
});

test('a number outside its range is told as Node tells it', (t) => {
  const error = outOfRange('port', '>= 0 && <= 65535', 70000);
  t.true(error instanceof RangeError);
  t.like(error, {
    code: 'ERR_OUT_OF_RANGE',
    message: 'The value of "port" is out of range. It must be >= 0 && <= 65535. Received 70000',
  });
  t.regex(outOfRange('n', 'x', 2 ** 40).message, /Received 1_099_511_627_776$/);
  t.regex(outOfRange('n', 'x', -(2 ** 40)).message, /Received -1_099_511_627_776$/);
  t.regex(outOfRange('n', 'x', 1e300).message, /Received 1e\+300$/);
  t.regex(outOfRange('n', 'x', -1234n).message, /Received -1_234n$/);
  t.regex(outOfRange('n', 'x', 0.5).message, /Received 0\.5$/);
  t.regex(outOfRange('n', 'x', Number.NaN).message, /Received NaN$/);
});

test('a value without meaning is told with its reason and cause', (t) => {
  const cause = new Error('behind');
  const error = invalidArgValue('options.size', 3, 'must be even', { cause });
  t.true(error instanceof TypeError);
  t.like(error, {
    code: 'ERR_INVALID_ARG_VALUE',
    message: `The property 'options.size' must be even. Received 3`,
    cause,
  });
  t.regex(invalidArgValue('text', 'x'.repeat(1e6)).message, /\.\.\.$/);
});

test('a value that throws at every touch still gives a message', (t) => {
  const fail = (): never => {
    throw new Error('touched');
  };
  const traps = { get: fail, ownKeys: fail, getPrototypeOf: fail, has: fail };
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  class Hostile {
    override = 1;
    get [Symbol.toStringTag](): string {
      return fail();
    }
  }
  for (const value of [new Proxy({}, traps), new Proxy(() => {}, traps), revoked.proxy, new Hostile()]) {
    t.is(invalidArgType('a', 'b', value).code, 'ERR_INVALID_ARG_TYPE');
    t.is(invalidArgValue('a', value).code, 'ERR_INVALID_ARG_VALUE');
    t.is(outOfRange('a', 'b', value).code, 'ERR_OUT_OF_RANGE');
  }
});
