/** What a guest prints, as a stream: read, not read, or not read any more. */
import { once } from 'node:events';
import { PassThrough, Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';

import test from 'ava';

import type { Machine } from '../../index.ts';
import {
  COM2,
  FLOOD,
  POWER_OFF,
  SLEEP,
  SPIN,
  flat,
  makeMachine,
  out,
  print,
  soon,
  startMachine,
  textOf,
} from '../helpers/whole-machine.ts';
import { until } from '../helpers/wait.ts';

/** What the stream holds, and the port behind it, before the guest waits. */
const HELD = 64 * 1024;

/** mov dx, COM1; mov cx, count; xor al, al; again: out dx, al; inc al; loop again */
function counting(count: number): number[] {
  return [0xba, 0xf8, 0x03, 0xb9, count & 0xff, count >> 8, 0x30, 0xc0, 0xee, 0xfe, 0xc0, 0xe2, 0xfb];
}

function countsUp(bytes: Uint8Array): boolean {
  return bytes.every((byte, index) => index === 0 || byte === ((bytes[index - 1]! + 1) & 0xff));
}

/** How many bytes a guest has sent by now: each is an exit, or collected by KVM. */
function sent(machine: Machine): number {
  const { exits, byRoute } = machine.vm.vcpus[0]!.stats;
  return exits + byRoute.posted;
}

/** Waits until a guest sends nothing any more. */
async function quiet(machine: Machine): Promise<void> {
  for (let before = -1, now = sent(machine); now !== before; before = now, now = sent(machine))
    await sleep(300);
}

test('all that is printed is read, and the stream ends with the machine', async (t) => {
  const machine = await makeMachine(t, flat(print('Hello, '), print('wörld\n'), POWER_OFF));
  const text = textOf(machine.console);
  await machine.start();
  t.is(await soon('the text', text), 'Hello, wörld\n');
  t.like(await machine.exited, { reason: 'poweroff' });
});

test('what is printed comes while the guest runs, without a newline too', async (t) => {
  const machine = await startMachine(t, flat(print('prompt> '), SLEEP));
  const [bytes] = (await soon('the text', once(machine.console, 'data'))) as [Buffer];
  t.is(bytes.toString(), 'prompt> ');
  t.is(machine.state, 'running');
});

test('what was printed before anybody read is read first', async (t) => {
  const machine = await startMachine(t, flat(print('early'), SLEEP));
  await until(() => sent(machine) > 4);
  await sleep(50);
  const [bytes] = (await soon('the text', once(machine.console, 'data'))) as [Buffer];
  t.is(bytes.toString(), 'early');
});

test('an encoding makes strings of it', async (t) => {
  const machine = await makeMachine(t, flat(print('ä€😀'), POWER_OFF));
  machine.console.setEncoding('utf8');
  let text = '';
  machine.console.on('data', (part: string) => (text += part));
  await machine.start();
  await soon('the end', once(machine.console, 'end'));
  t.is(text, 'ä€😀');
});

test('nobody reads: the guest never waits, the last 64 KiB are kept', async (t) => {
  const machine = await startMachine(t, flat(counting(0x9000), counting(0x9000), POWER_OFF));
  t.like(await soon('the end', machine.exited), { reason: 'poweroff' });
  const chunks: Buffer[] = [];
  for await (const chunk of machine.console) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  t.is(bytes.length, HELD);
  t.true(countsUp(bytes));
  t.is(bytes.at(-1), 0xff);
});

test('a reader that stops: the guest waits; when it reads on, nothing is missing', async (t) => {
  const machine = await makeMachine(t, flat(counting(0xffff), counting(0xffff), counting(0xffff), POWER_OFF));
  const stream = machine.console;
  await machine.start();
  await once(stream, 'readable');
  const first = stream.read(1) as Buffer;
  t.is(first[0], 0);
  await quiet(machine);
  t.is(machine.state, 'running', 'it has not come to its end');
  // What the stream has, what the port has, what KVM collects.
  const bound = 3 * HELD + 1024;
  t.true(sent(machine) < bound, `${sent(machine)} bytes were sent`);
  t.true(stream.readableLength <= 2 * HELD, `the stream holds ${stream.readableLength}`);
  const chunks: Buffer[] = [first];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  t.is(bytes.length, 3 * 0xffff);
  for (let run = 0; run < 3; run++) t.true(countsUp(bytes.subarray(run * 0xffff, (run + 1) * 0xffff)));
  t.like(await machine.exited, { reason: 'poweroff' });
});

test('a machine whose reader has stopped can be paused, reset and stopped', async (t) => {
  const machine = await makeMachine(t, flat(FLOOD));
  machine.console.once('readable', () => undefined);
  await machine.start();
  await quiet(machine);
  await soon('pause()', machine.pause());
  await machine.resume();
  await soon('reset()', machine.reset());
  await quiet(machine);
  const held = machine.console.readableLength;
  t.true(held <= 2 * HELD, `the stream holds ${held}`);
  await soon('stop()', machine.stop());
  t.like(await machine.exited, { reason: 'killed' });
});

test('resets do not fill a stream that nobody reads on', async (t) => {
  const machine = await makeMachine(t, flat(FLOOD));
  machine.console.once('readable', () => undefined);
  await machine.start();
  for (let round = 0; round < 5; round++) {
    await until(() => sent(machine) > 1000 || machine.console.readableLength >= HELD);
    await machine.reset();
  }
  t.true(machine.console.readableLength <= 2 * HELD, `it holds ${machine.console.readableLength}`);
  await soon('stop()', machine.stop());
});

test('asynchronous iteration, left in the middle: the guest prints on, for nobody', async (t) => {
  const machine = await startMachine(t, flat(FLOOD));
  let read = 0;
  for await (const chunk of machine.console) {
    read += (chunk as Buffer).length;
    if (read > 10_000) break;
  }
  t.true(machine.console.destroyed);
  const before = sent(machine);
  await until(() => sent(machine) > before + 200_000);
  t.is(machine.state, 'running');
  await soon('stop()', machine.stop());
  t.is((await machine.exited).consoleTail.length > 0, true);
});

test('destroy(), with an error: the error, close, and the machine runs on', async (t) => {
  const machine = await startMachine(t, flat(print('x'), SLEEP));
  const closed = once(machine.console, 'close').catch((error: unknown) => error);
  const failed = once(machine.console, 'error');
  machine.console.resume();
  machine.console.destroy(new Error('mine'));
  t.is(((await failed) as [Error])[0].message, 'mine');
  await soon('close', closed);
  t.is(machine.state, 'running');
  await machine.pause();
  await machine.resume();
  await until(() => sent(machine) === 1);
  await soon('stop()', machine.stop());
  t.is((await machine.exited).consoleTail, 'x');
});

test('piped into a slow writer: all of it, in order', async (t) => {
  const machine = await makeMachine(t, flat(counting(0xffff), POWER_OFF));
  const chunks: Buffer[] = [];
  const slow = new Writable({
    highWaterMark: 1024,
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      setTimeout(done, 1);
    },
  });
  await machine.start();
  await soon('the pipe', pipeline(machine.console, slow));
  const bytes = Buffer.concat(chunks);
  t.is(bytes.length, 0xffff);
  t.true(countsUp(bytes));
});

test('piped both ways, the pipe ends with the machine, and input that comes later does no harm', async (t) => {
  const machine = await makeMachine(t, flat(print('out'), POWER_OFF));
  const input = new PassThrough();
  const output = new PassThrough();
  const text = textOf(output);
  input.write('in');
  input.pipe(machine.console).pipe(output);
  const typing = setInterval(() => input.write('more'), 1);
  await machine.start();
  t.is(await soon('the text', text), 'out');
  await until(() => machine.console.closed);
  await sleep(50);
  clearInterval(typing);
  t.is(input.listenerCount('data'), 0, 'it is still piped');
});

test('a pipeline whose input is over ends with the machine', async (t) => {
  const machine = await makeMachine(t, flat(print('out'), POWER_OFF));
  const output = new PassThrough();
  const text = textOf(output);
  await machine.start();
  await soon('the pipe', pipeline(Readable.from(['in']), machine.console, output));
  t.is(await text, 'out');
});

test('end and close come once the machine has ended and its words are read', async (t) => {
  const machine = await makeMachine(t, flat(print('x'), POWER_OFF));
  const seen: string[] = [];
  for (const event of ['end', 'finish', 'close', 'error'] as const) {
    machine.console.on(event, () => seen.push(event));
  }
  await machine.start();
  await machine.exited;
  await sleep(20);
  t.deepEqual(seen, [], 'nobody has read it yet');
  machine.console.resume();
  await soon('close', once(machine.console, 'close'));
  t.deepEqual(seen, ['end', 'close']);
});

test('the second port and the debug console are streams of their own', async (t) => {
  const machine = await makeMachine(t, {
    ...flat(print('one'), print('two', COM2), print('three', 0xe9), POWER_OFF),
    console2: true,
    debugConsole: true,
  });
  const texts = [machine.console, machine.console2!, machine.debugConsole!].map(textOf);
  await machine.start();
  t.deepEqual(await soon('the texts', Promise.all(texts)), ['one', 'two', 'three']);
  t.is((await machine.exited).consoleTail, 'one');
});

test('the debug console’s port says that it is there, at any port', async (t) => {
  // mov dx, 0x402; in al, dx; mov dx, COM1; out dx, al
  const machine = await startMachine(t, {
    ...flat([0xba, 0x02, 0x04, 0xec, 0xba, 0xf8, 0x03, 0xee], out(0x402, 0x78), POWER_OFF),
    debugConsole: 0x402,
  });
  await soon('the end', machine.exited);
  const bytes = machine.console.read() as Buffer;
  t.deepEqual([...bytes], [0xe9]);
  t.is(String(machine.debugConsole!.read()), 'x');
});

test('without the options there is neither, and their ports are nobody’s', async (t) => {
  const machine = await startMachine(t, flat(print('x', COM2), print('y', 0xe9), POWER_OFF));
  t.is(machine.console2, undefined);
  t.is(machine.debugConsole, undefined);
  t.like(await soon('the end', machine.exited), { consoleTail: '' });
});

test('a debug console takes nothing', async (t) => {
  const machine = await startMachine(t, { ...flat(SPIN), debugConsole: true });
  const failed = once(machine.debugConsole!, 'error');
  const said = new Promise((resolve) => void machine.debugConsole!.write('x', resolve));
  t.like(((await failed) as [Error])[0], { code: 'ERR_KVM_UNSUPPORTED' });
  t.like(await said, { message: 'a debug console has no input' });
  t.is(machine.state, 'running');
});
