/** What is typed at a guest: it arrives by interrupt, waits for who is slow, and is let go at the end. */
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';

import test, { type ExecutionContext } from 'ava';

import type { Machine } from '../../index.ts';
import {
  COM1,
  POWER_OFF,
  SPIN,
  flat,
  guest,
  makeMachine,
  print,
  soon,
  startMachine,
  textOf,
} from '../helpers/whole-machine.ts';
import { until } from '../helpers/wait.ts';

const CTRL_D = '\u0004';

/** A machine whose guest halts, wakes by the port's interrupt, and echoes; Ctrl-D powers it off. */
async function echoing(t: ExecutionContext): Promise<{ machine: Machine; printed: () => string }> {
  const machine = await makeMachine(t, guest('echo'));
  const chunks: Buffer[] = [];
  machine.console.on('data', (bytes: Buffer) => chunks.push(bytes));
  await machine.start();
  const printed = (): string => Buffer.concat(chunks).toString('latin1');
  await until(() => printed() === '>');
  return { machine, printed };
}

/** A write, until it is done. */
function type(machine: Machine, text: string | Uint8Array): Promise<Error | null | undefined> {
  return new Promise((resolve) => void machine.console.write(text, resolve));
}

test('a guest that halts is woken by what is typed, and echoes it', async (t) => {
  const { machine, printed } = await echoing(t);
  for (const word of ['h', 'ello', ' world\n', 'ö']) {
    const before = printed();
    const bytes = Buffer.from(word);
    machine.console.write(word);
    await until(() => printed().length === before.length + bytes.length);
    t.is(printed(), before + bytes.toString('latin1'));
  }
  machine.console.write(CTRL_D);
  t.like(await soon('the end', machine.exited), { reason: 'poweroff' });
});

test('what is typed before the start is there when the guest looks', async (t) => {
  const machine = await makeMachine(t, guest('echo'));
  machine.console.write(`early${CTRL_D}`);
  const text = textOf(machine.console);
  await machine.start();
  t.is(await soon('the text', text), '>early');
});

test('more than the port holds arrives whole and in order, at a guest that reads', async (t) => {
  const { machine, printed } = await echoing(t);
  const bytes = Uint8Array.from({ length: 67_000 }, (_, index) => 32 + (index % 90));
  t.falsy(await soon('the write', type(machine, bytes)));
  await until(() => printed().length === 1 + bytes.length);
  t.true(Buffer.from(printed().slice(1), 'latin1').equals(bytes));
});

test('a guest that reads slowly gets all of it, and the writer waits', async (t) => {
  // A byte at every other pause: again: mov dx, 0x3fd; in al, dx; test al, 1; jz again; mov dx, 0x3f8; in al, dx;
  // add bx, 1; adc si, 0; (cmp si, 1; jb again); cmp bx, 0x1000; jb again; then off
  const machine = await startMachine(
    t,
    flat(
      [0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xf8, 0xba, 0xf8, 0x03, 0xec],
      [0x83, 0xc3, 0x01, 0x83, 0xd6, 0x00, 0x83, 0xfe, 0x01, 0x72, 0xe9],
      [0x81, 0xfb, 0x00, 0x10, 0x72, 0xe3],
      POWER_OFF,
    ),
  );
  const bytes = new Uint8Array(0x1_1000);
  const write = type(machine, bytes);
  t.true(machine.console.writableLength > 0, 'the port cannot hold all of it');
  await soon('the write', write);
  t.like(await soon('the end', machine.exited), { reason: 'poweroff' });
});

test('a guest that never reads: the port fills, the writer waits, stop() lets it go', async (t) => {
  const machine = await startMachine(t, flat(SPIN));
  const before = process.memoryUsage().external;
  const writes: Promise<unknown>[] = [];
  let full = false;
  for (let index = 0; index < 20; index++) {
    writes.push(type(machine, new Uint8Array(64 * 1024)));
    full ||= machine.console.writableNeedDrain;
  }
  t.true(full, 'who asks is told to wait');
  await sleep(100);
  t.true(machine.console.writableLength >= 18 * 64 * 1024, 'most of it waits');
  const { external } = process.memoryUsage();
  t.true(external - before < 64 * 2 ** 20, `${external - before} bytes more`);
  await soon('stop()', machine.stop());
  const ends = await soon('the writes', Promise.all(writes));
  t.deepEqual(ends.filter(Boolean), []);
  t.is(machine.console.writableLength, 0);
});

test('a writer that is piped in stops when the port is full, and goes on', async (t) => {
  let sent = 0;
  const endless = new Readable({
    read() {
      sent += 16_384;
      this.push(Buffer.alloc(16_384, 0x61));
    },
  });
  const machine = await startMachine(t, flat(SPIN));
  const piping = pipeline(endless, machine.console, async function* (source: AsyncIterable<Buffer>) {
    for await (const chunk of source) yield chunk;
  });
  await until(() => machine.console.writableNeedDrain);
  await sleep(200);
  const held = sent;
  await sleep(200);
  t.is(sent, held, 'it goes on though nothing is read');
  t.true(held < 2 ** 20, `${held} bytes were taken`);
  await soon('stop()', machine.stop());
  machine.console.resume();
  await soon(
    'the pipe',
    piping.catch(() => undefined),
  );
  t.pass();
});

test('writes to a machine that has ended are let go', async (t) => {
  const machine = await startMachine(t, flat(POWER_OFF));
  await soon('the end', machine.exited);
  t.falsy(await soon('the write', type(machine, 'late')));
  machine.console.resume();
  await soon('close', once(machine.console, 'close'));
  // Then it is a stream that is gone, as any other, without an event that nobody expects.
  t.like(await soon('the write', type(machine, 'later')), { code: 'ERR_STREAM_DESTROYED' });
});

test('destroy() lets a write go that waits', async (t) => {
  const machine = await startMachine(t, flat(SPIN));
  const write = type(machine, new Uint8Array(200_000));
  await sleep(20);
  machine.console.destroy();
  await soon('the write', write);
  t.is(machine.state, 'running');
});

test('end() of what is typed does not end what is printed', async (t) => {
  // in al, COM1's status until something is there; then it prints and powers off
  const machine = await makeMachine(
    t,
    flat([0xba, (COM1 + 5) & 0xff, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xf8], print('still here'), POWER_OFF),
  );
  const text = textOf(machine.console);
  await machine.start();
  machine.console.end('x');
  await soon('finish', once(machine.console, 'finish'));
  t.is(await soon('the text', text), 'still here');
});

test('typing goes on after a pause and after a reset', async (t) => {
  const { machine, printed } = await echoing(t);
  await machine.pause();
  machine.console.write('paused');
  await sleep(20);
  t.is(printed(), '>');
  await machine.resume();
  await until(() => printed() === '>paused');
  await machine.reset();
  await until(() => printed() === '>paused>');
  machine.console.write('again');
  await until(() => printed() === '>paused>again');
  await soon('stop()', machine.stop());
  t.pass();
});

test('the second port has its own input', async (t) => {
  // again: mov dx, 0x2fd; in al, dx; test al, 1; jz again; mov dx, 0x2f8; in al, dx; mov dx, 0x3f8; out dx, al; off
  const machine = await startMachine(t, {
    ...flat(
      [0xba, 0xfd, 0x02, 0xec, 0xa8, 0x01, 0x74, 0xf8, 0xba, 0xf8, 0x02, 0xec, 0xba, 0xf8, 0x03, 0xee],
      POWER_OFF,
    ),
    console2: true,
  });
  machine.console.write('a');
  machine.console2!.write('b');
  t.like(await soon('the end', machine.exited), { consoleTail: 'b' });
});
