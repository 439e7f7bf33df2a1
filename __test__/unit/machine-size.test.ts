/** Sizes as people write them, and the end of a stream. */
import test from 'ava';
import * as fc from 'fast-check';

import { byteSize, readableSize } from '../../lib/machine/size.ts';
import { Tail } from '../../lib/machine/tail.ts';

test('sizes as people write them', (t) => {
  for (const [text, size] of [
    ['0', 0],
    ['4096', 4096],
    ['4096B', 4096],
    ['4096 b', 4096],
    ['64K', 65_536],
    ['64k', 65_536],
    ['64KiB', 65_536],
    ['64kib', 65_536],
    ['512M', 512 * 2 ** 20],
    ['512MiB', 512 * 2 ** 20],
    ['5G', 5 * 2 ** 30],
    [' 5 GiB ', 5 * 2 ** 30],
    ['\t1MIB\n', 2 ** 20],
    [4096, 4096],
    [0, 0],
  ] as const) {
    t.is(byteSize('n', text), size, JSON.stringify(text));
  }
});

test('sizes that are none', (t) => {
  for (const text of [
    '',
    ' ',
    'MiB',
    '1.5G',
    '-1',
    '+1',
    '1e3',
    '0x10',
    '1KB',
    '1MB',
    '1 fortnight',
    '1 2',
  ]) {
    t.throws(() => byteSize('config.n', text), { code: 'ERR_INVALID_ARG_VALUE', message: /'config\.n'/ });
  }
  for (const value of [-1, 1.5, Number.NaN, Infinity, 2 ** 52 + 1, `${2 ** 53}`, `${'9'.repeat(400)}G`]) {
    t.throws(() => byteSize('config.n', value), { code: 'ERR_OUT_OF_RANGE', message: /"config\.n"/ });
  }
  for (const value of [null, undefined, 1n, true, {}, ['1']]) {
    t.throws(() => byteSize('config.n', value), { code: 'ERR_INVALID_ARG_TYPE', message: /"config\.n"/ });
  }
});

test('a number of any unit is that many bytes', (t) => {
  const units = { '': 1, B: 1, K: 2 ** 10, KiB: 2 ** 10, M: 2 ** 20, MiB: 2 ** 20, G: 2 ** 30, GiB: 2 ** 30 };
  fc.assert(
    fc.property(fc.nat(2 ** 20), fc.constantFrom(...Object.entries(units)), (count, [unit, factor]) => {
      t.is(byteSize('n', `${count}${unit}`), count * factor);
    }),
  );
});

test('sizes as people read them', (t) => {
  for (const [bytes, text] of [
    [0, '0 bytes'],
    [1023, '1023 bytes'],
    [1024, '1 KiB'],
    [1536, '1.5 KiB'],
    [2 ** 20, '1 MiB'],
    [7.7 * 2 ** 30, '7.7 GiB'],
    [2 ** 40, '1024 GiB'],
  ] as const) {
    t.is(readableSize(bytes), text);
  }
});

const LENGTH = 16 * 1024;

test('a tail has the last 16 KiB of all that came, however it came', (t) => {
  const chunk = fc.oneof(fc.nat(40), fc.nat(3 * LENGTH));
  fc.assert(
    fc.property(fc.array(chunk, { maxLength: 30 }), (lengths) => {
      const tail = new Tail();
      let all = '';
      for (const [index, length] of lengths.entries()) {
        const text = String.fromCharCode(97 + (index % 26)).repeat(length);
        all += text;
        tail.push(Buffer.from(text));
      }
      t.is(tail.toString(), all.slice(-LENGTH));
    }),
    { numRuns: 200 },
  );
});

test('a tail of many small pieces, and one that was cleared', (t) => {
  const tail = new Tail();
  t.is(tail.toString(), '');
  for (let index = 0; index < 100_000; index++) tail.push(Buffer.from(String(index % 10)));
  t.is(tail.toString(), '0123456789'.repeat(10_000).slice(-LENGTH));
  tail.clear();
  t.is(tail.toString(), '');
  tail.push(Buffer.from('x'));
  t.is(tail.toString(), 'x');
});

test('a tail keeps what it was given, not what became of it', (t) => {
  const bytes = Buffer.from('before');
  const tail = new Tail();
  tail.push(bytes);
  t.is(tail.toString(), 'before');
  tail.push(new Uint8Array(0));
  t.is(tail.toString(), 'before');
});

test('bytes that are no UTF-8 are replaced, also where a character was cut', (t) => {
  const tail = new Tail();
  tail.push(Buffer.from('é'.repeat(LENGTH)));
  tail.push(Buffer.from('x'));
  const text = tail.toString();
  t.true(text.startsWith('\ufffdé') && text.endsWith('éx'), text.slice(0, 8));
});
