import test from 'ava';

import { parseOptions } from '../../lib/cli/options.ts';
import { formatBytes, parseCount, parseQuantity, parseSeconds } from '../../lib/cli/quantity.ts';
import { wantsColour } from '../../lib/cli/style.ts';

const specs = {
  load: { type: 'string', value: 'ADDR', help: '' },
  trace: { type: 'boolean', help: '' },
  serial: { type: 'boolean', negatable: true, help: '' },
} as const;

test('options: values, negation, positionals, the later one wins, -- ends them', (t) => {
  const { values, positionals } = parseOptions(specs, [
    '--load=1',
    'a.bin',
    '--load',
    '2',
    '--no-serial',
    '--trace',
    '--',
    '--trace=no',
  ]);
  t.deepEqual({ ...values }, { load: '2', serial: false, trace: true });
  t.deepEqual(positionals, ['a.bin', '--trace=no']);
});

for (const [args, message] of [
  [['--trcae'], /unknown option '--trcae' \(did you mean '--trace'\?\)/],
  [['--no-seriel'], /did you mean '--no-serial'\?/],
  [['--no-trace'], /unknown option '--no-trace'/],
  [['--zzzzzz'], /^unknown option '--zzzzzz'$/],
  [['-x'], /unknown option '-x'/],
  [['--constructor'], /unknown option/],
  [['--load'], /--load wants a value: --load ADDR/],
  [['--load='], /--load wants a value/],
  [['--load', '--trace'], /looks like an option/],
  [['--trace=yes'], /--trace takes no value/],
] as const) {
  test(`refused: ${args.join(' ')}`, (t) => {
    t.throws(() => parseOptions(specs, args), { code: 'ERR_USAGE', message });
  });
}

test('quantities', (t) => {
  for (const [text, value] of [
    ['4096', 4096],
    ['0x1000', 4096],
    ['0XfF', 255],
    ['64KiB', 65536],
    ['16M', 2 ** 24],
    ['16 MiB', 2 ** 24],
    ['2g', 2 ** 31],
    ['12b', 12],
  ] as const) {
    t.is(parseQuantity(text, '--memory'), value, text);
  }
  for (const text of [
    '',
    'x',
    '-1',
    '1.5',
    '1e3',
    '0x',
    '0xg',
    '16MB',
    '0x10MiB',
    '9007199254740993',
    '4194304GiB',
    'NaN',
    '１',
  ]) {
    t.throws(() => parseQuantity(text, '--memory'), { code: 'ERR_USAGE', message: /^--memory: / }, text);
  }
  t.is(parseCount('10', '--max-exits'), 10);
  for (const text of ['0', '-1', '1.5', 'x', ''])
    t.throws(() => parseCount(text, 'n'), { code: 'ERR_USAGE' }, text);
  t.is(parseSeconds('0.5', '--timeout'), 500);
  t.is(parseSeconds('.25', '--timeout'), 250);
  for (const text of ['0', '-1', '1e9', '9999999', 'x', '', '0.0001'])
    t.throws(() => parseSeconds(text, 't'), { code: 'ERR_USAGE' }, text);
  t.deepEqual([formatBytes(100), formatBytes(2 ** 24), formatBytes(8e9)], ['100 bytes', '16 MiB', '7.5 GiB']);
});

test('colours: FORCE_COLOR, then NO_COLOR, then the terminal', (t) => {
  const terminal = { isTTY: true };
  t.true(wantsColour(terminal, {}));
  t.false(wantsColour({}, {}));
  t.false(wantsColour(terminal, { NO_COLOR: '1' }));
  t.true(wantsColour(terminal, { NO_COLOR: '' }));
  t.false(wantsColour(terminal, { TERM: 'dumb' }));
  t.true(wantsColour({}, { FORCE_COLOR: '' }));
  t.true(wantsColour({}, { FORCE_COLOR: '1', NO_COLOR: '1' }));
  t.false(wantsColour(terminal, { FORCE_COLOR: '0' }));
});
