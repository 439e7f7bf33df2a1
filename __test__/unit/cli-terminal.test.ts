import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';

import { EscapeDecoder } from '../../lib/cli/shared/escape.ts';
import type { EscapeAction, EscapeKeys } from '../../lib/cli/shared/escape.ts';
import { KeyboardInput } from '../../lib/cli/shared/input.ts';
import { Screen } from '../../lib/cli/shared/screen.ts';

const keys: EscapeKeys = { ctrlC: 'interrupt', commands: { x: 'quit' } };

const typed = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

test('escapes: commands are taken out, the rest goes to the guest', (t) => {
  const decoder = new EscapeDecoder(keys);
  t.deepEqual(decoder.decode(typed('ls\r')), { bytes: typed('ls\r'), actions: [] });
  t.deepEqual(decoder.decode(typed('\x03')), { bytes: typed(''), actions: ['interrupt'] });
  t.deepEqual(decoder.decode(typed('a\x01xb')), { bytes: typed('ab'), actions: ['quit'] });
  t.deepEqual(decoder.decode(typed('\x01c\x01a\x01\x01')), { bytes: typed('\x03\x01\x01'), actions: [] });
  t.deepEqual(decoder.decode(typed('\x01?')), { bytes: typed(''), actions: ['help'] });
});

test('escapes: a command may come in two pieces', (t) => {
  const decoder = new EscapeDecoder(keys);
  t.deepEqual(decoder.decode(typed('a\x01')), { bytes: typed('a'), actions: [] });
  t.deepEqual(decoder.decode(typed('x')), { bytes: typed(''), actions: ['quit'] });
});

/** A terminal as far as KeyboardInput looks. */
class FakeTerminal extends PassThrough {
  readonly isTTY = true;
  readonly raw: boolean[] = [];

  setRawMode(raw: boolean): this {
    this.raw.push(raw);
    return this;
  }
}

const asInput = (stream: PassThrough): NodeJS.ReadStream => stream as unknown as NodeJS.ReadStream;

test.serial('a terminal is raw meanwhile, read on whatever the guest takes, and restored', async (t) => {
  const terminal = new FakeTerminal();
  const taken: number[] = [];
  const actions: EscapeAction[] = [];
  const before = process.listenerCount('exit');
  const input = new KeyboardInput(asInput(terminal), keys, {
    take: (bytes) => {
      taken.push(...bytes);
      return 0;
    },
    action: (action) => actions.push(action),
  });
  terminal.write('hi');
  terminal.write('\x03');
  await sleep(20);
  input.stop();
  t.deepEqual(Uint8Array.from(taken), typed('hi'));
  t.deepEqual(actions, ['interrupt']);
  t.deepEqual(terminal.raw, [true, false]);
  t.is(process.listenerCount('exit'), before, 'nothing is left behind');
});

test.serial('a pipe is read no faster than the guest takes it, and all of it arrives', async (t) => {
  const pipe = new PassThrough();
  const taken: number[] = [];
  const input = new KeyboardInput(asInput(pipe), keys, {
    take: (bytes) => {
      taken.push(...bytes.subarray(0, 3));
      return Math.min(3, bytes.length);
    },
    action: () => t.fail('a pipe has no commands'),
  });
  pipe.write('ten\x01xbytes\x03');
  pipe.end('and more');
  for (let waited = 0; taken.length < 18 && waited < 5000; waited += 10) await sleep(10);
  input.stop();
  t.deepEqual(Uint8Array.from(taken), typed('ten\x01xbytes\x03and more'));
});

test('a line of ours never begins inside one of the guest’s, on a terminal; files get no extra newlines', (t) => {
  for (const [isTTY, expected] of [
    [true, ['ab', '\n', 'one\n', 'two\n', 'c\n', 'three\n']],
    [false, ['ab', 'one\n', 'two\n', 'c\n', 'three\n']],
  ] as const) {
    const written: string[] = [];
    const sink = {
      isTTY,
      write: (data: string | Uint8Array) =>
        written.push(typeof data === 'string' ? data : String.fromCharCode(...data)),
    };
    const screen = new Screen(sink, sink);
    screen.guest(typed('ab'));
    screen.line('one');
    screen.line('two');
    screen.guest(typed('c\n'));
    screen.guest(typed(''));
    screen.line('three');
    t.deepEqual(written, [...expected]);
  }
});
