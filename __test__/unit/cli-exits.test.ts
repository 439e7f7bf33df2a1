import test from 'ava';

import { ending } from '../../lib/cli/run/ending.ts';
import { bytesText, detailText, placeText } from '../../lib/cli/run/exit-text.ts';
import { stoppedEnding } from '../../lib/cli/shared/ending.ts';

type Exit = Parameters<typeof placeText>[0];

/** An exit's plain copy, as much of it as the text looks at. */
const exit = (fields: object): Exit => fields as Exit;

test('bytes as text', (t) => {
  t.is(bytesText(Uint8Array.of(0x48, 0x69)), '48 69');
  t.is(bytesText(new Uint8Array(20)), `${'00 '.repeat(16).trim()} …`);
  t.is(bytesText(new Uint8Array()), '');
});

for (const [fields, place, detail] of [
  [{ kind: 'ioOut', port: 0x3f8, size: 1, count: 1, data: Uint8Array.of(0x34) }, '0x03f8/1', '34  "4"'],
  [{ kind: 'ioIn', port: 0x10, size: 2, count: 3 }, '0x0010/2 ×3', ''],
  [
    { kind: 'ioOut', port: 0x3f8, size: 1, count: 3, data: Uint8Array.of(0x48, 0x69, 0x0a) },
    '0x03f8/1 ×3',
    '48 69 0a  "Hi\\n"',
  ],
  [{ kind: 'ioOut', port: 0x80, size: 2, count: 1, data: Uint8Array.of(0x48, 0xff) }, '0x0080/2', '48 ff'],
  [{ kind: 'mmioRead', address: 0xe000_0000, size: 8 }, '0xe0000000/8', ''],
  [{ kind: 'mmioWrite', address: 0x8000, size: 4, value64: 0x04030201n }, '0x00008000/4', '01 02 03 04'],
  [{ kind: 'x86Wrmsr', index: 0x10, data: 5n }, 'msr 0x00000010', '0x5'],
  [
    { kind: 'internalError', suberror: 1, data: [], instruction: Uint8Array.of(0x0f, 0x0b) },
    '',
    'emulation failure (KVM_INTERNAL_ERROR_EMULATION) at 0f 0b',
  ],
  [{ kind: 'internalError', suberror: 77, data: [] }, '', 'sub-error 77'],
  [{ kind: 'hlt' }, '', ''],
  [{ kind: 'unknown', reason: 99 }, '', 'reason 99'],
] as const) {
  test(`an exit as text: ${fields.kind} ${place}${detail.slice(0, 12)}`, (t) => {
    t.is(placeText(exit(fields)), place);
    t.is(detailText(exit(fields)), detail);
  });
}

for (const [result, exitCode, message] of [
  [{ reason: 'exit', exit: exit({ kind: 'hlt' }) }, 0, /halted/],
  [{ reason: 'exit', exit: exit({ kind: 'shutdown' }) }, 1, /triple fault/],
  [
    { reason: 'exit', exit: exit({ kind: 'internalError', suberror: 1, data: [] }) },
    1,
    /KVM_INTERNAL_ERROR_EMULATION/,
  ],
  [
    { reason: 'exit', exit: exit({ kind: 'failEntry', hardwareEntryFailureReason: 0x8000_0021n, cpu: 1 }) },
    1,
    /0x80000021/,
  ],
  [{ reason: 'exit', exit: exit({ kind: 'unknown', reason: 99 }) }, 1, /unknown reason 99/],
  [{ reason: 'device', device: 'isa-debug-exit', code: 33 }, 33, /code 33/],
  [{ reason: 'device', device: 'isa-debug-exit', code: 0x201 }, 1, /code 513/],
  [{ reason: 'device', device: 'i8042', code: 0 }, 0, /reset/],
  [{ reason: 'timeout' }, 4, /--timeout/],
] as const) {
  test(`an ending: ${JSON.stringify(result, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}`, (t) => {
    const found = ending(result);
    t.is(found.exitCode, exitCode);
    t.regex(found.message, message);
    t.is(found.failed, exitCode === 1 && result.reason === 'exit');
  });
}

test('an ending by us', (t) => {
  t.is(stoppedEnding('SIGINT').exitCode, 130);
  t.is(stoppedEnding('SIGTERM').exitCode, 143);
  t.is(stoppedEnding('max-exits').exitCode, 4);
  t.is(stoppedEnding('quit').exitCode, 0);
});
