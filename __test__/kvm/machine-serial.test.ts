/** A serial port's listener that comes late, pauses and goes on; and how much it takes of what is typed. */
import { setTimeout as sleep } from 'node:timers/promises';

import test, { type ExecutionContext } from 'ava';

import { DebugConsole, Serial, type OutputListener, type Vcpu } from '../../index.ts';
import { realModeGuest, type Guest } from '../helpers/guests.ts';
import { LANES } from '../helpers/lanes.ts';
import { boot, exitOf, type Machine } from '../helpers/machine.ts';
import { until } from '../helpers/wait.ts';

const COM1 = { base: 0x3f8, length: 8 };
const POSTED = { posted: { offset: 0, length: 1 } };

/** How much a port holds for a listener that takes none, on a lane whose thread can wait for it. */
const OUTPUT_LIMIT = 64 * 1024;
/** And on one whose thread cannot. */
const OUTPUT_BOUND = 256 * 1024;
/** What KVM collects before the port has it. */
const RING = 170;

/** How much the guests below print: more than a port holds before its guest waits. */
const PRINTED = 17 * 0x1000;

/** Prints PRINTED bytes that count up, then halts; `poll` looks at the line status before each. */
function counting(poll: boolean): Guest {
  // again: mov dx, 0x3fd; in al, dx; test al, 0x20; jz again
  const wait = poll ? [0xba, 0xfd, 0x03, 0xec, 0xa8, 0x20, 0x74, 0xf8] : [];
  // mov dx, 0x3f8; mov al, bl; out dx, al; inc bl; dec cx
  const next = [...wait, 0xba, 0xf8, 0x03, 0x88, 0xd8, 0xee, 0xfe, 0xc3, 0x49];
  return realModeGuest(
    [0xbe, 17, 0x00, 0x31, 0xdb], //              mov si, 17; xor bx, bx
    [0xb9, 0x00, 0x10], //                  outer: mov cx, 0x1000
    [...next, 0x75, 0xfe - next.length], // inner: (next); jnz inner
    [0x4e, 0x75, 0xfe - next.length - 6], //       dec si; jnz outer
    [0xf4], //                                     hlt
  );
}

/** Prints `blocks` times the 0x4000 bytes at 0x2000, as fast as it can; the test fills them. */
function printing(blocks: number): Guest {
  return realModeGuest(
    [0xfc, 0xbb, blocks, 0x00, 0xba, 0xf8, 0x03], // cld; mov bx, blocks; mov dx, 0x3f8
    [0xbe, 0x00, 0x20, 0xb9, 0x00, 0x40, 0xf3, 0x6e], // again: mov si, 0x2000; mov cx, 0x4000; rep outsb
    [0x4b, 0x75, 0xf5, 0xf4], // dec bx; jnz again; hlt
  );
}

/** A machine whose guest prints so many blocks that count up. */
function bootPrinting(t: ExecutionContext, blocks: number): Machine {
  const machine = boot(t, printing(blocks));
  machine.vm.memory.write(
    0x2000,
    Uint8Array.from({ length: 0x4000 }, (_, index) => index & 0xff),
  );
  return machine;
}

/** Whether bytes count up, from wherever they begin. */
function countsUp(bytes: Uint8Array): boolean {
  return bytes.every((byte, index) => index === 0 || byte === ((bytes[index - 1]! + 1) & 0xff));
}

/** Waits until a guest in the background makes no exits any more. */
async function quiet(vcpu: Vcpu): Promise<void> {
  const count = (): number => vcpu.stats.exits + vcpu.stats.byRoute.posted;
  for (let before = -1, now = count(); now !== before; before = now, now = count()) await sleep(300);
}

for (const poll of [false, true]) {
  for (const options of [{}, POSTED]) {
    const name = `${poll ? 'a driver that polls' : 'a guest that floods'}${'posted' in options ? ', posted' : ''}`;

    test(`${name}: the listener pauses, the guest waits, nothing is lost`, async (t) => {
      const { vm, vcpu } = boot(t, counting(poll));
      const chunks: Uint8Array[] = [];
      let paused = true;
      const serial = new Serial();
      vm.io.attach(COM1, serial, options);
      serial.listen((bytes) => {
        chunks.push(bytes);
        return !paused;
      });
      const running = vcpu.runInBackground();
      await until(() => chunks.length > 0);
      await quiet(vcpu);
      t.is(chunks.length, 1, 'none comes before resume()');
      serial.resume();
      t.is(chunks.length, 2, 'what waits comes at once');
      const held = chunks[1]!.length;
      t.true(held >= OUTPUT_LIMIT, `${chunks[0]!.length} bytes, then ${held}: the guest waited too early`);
      t.true(held <= OUTPUT_LIMIT + RING, `${chunks[0]!.length} bytes, then ${held}: the guest did not wait`);
      paused = false;
      serial.resume();
      exitOf(await running, 'hlt');
      serial.close();
      const all = Buffer.concat(chunks);
      t.is(all.length, PRINTED);
      t.true(countsUp(all), 'something is missing');
    });
  }
}

test('a thread that cannot wait: the last 256 KiB are held', (t) => {
  const { vm, vcpu } = bootPrinting(t, 21);
  const chunks: Uint8Array[] = [];
  let answer: unknown = false;
  const serial = new Serial({ onOutput: (bytes) => (chunks.push(bytes), answer) });
  vm.io.attach(COM1, serial);
  exitOf(vcpu.run(), 'hlt');
  t.is(chunks.length, 1);
  answer = true;
  serial.resume();
  t.is(chunks.length, 2);
  t.is(chunks[1]!.length, OUTPUT_BOUND);
  t.true(countsUp(chunks[1]!));
  t.is(chunks[1]!.at(-1), 0xff, 'the last byte is the last that was printed');
});

test('JavaScript that drives a port cannot wait for its own listener either', (t) => {
  let heard = 0;
  const serial = new Serial({ onOutput: (bytes) => ((heard += bytes.length), false) });
  for (let index = 0; index < 400_000; index++) serial.write(0, index & 0xff, 1);
  const first = heard;
  t.true(first > 0 && first <= OUTPUT_LIMIT);
  serial.resume();
  t.is(heard - first, OUTPUT_BOUND);
});

for (const [name, run] of LANES) {
  test(`${name}: a listener that comes late gets what waits first`, async (t) => {
    const { vm, vcpu } = boot(t, 'long-mode-hello');
    const serial = new Serial();
    vm.io.attach(COM1, serial);
    exitOf(await run(vcpu, {}), 'hlt');
    const heard: string[] = [];
    serial.listen((bytes) => void heard.push(Buffer.from(bytes).toString()));
    await until(() => heard.length > 0);
    t.deepEqual(heard, ['Hello from 64 bits\n']);
    t.is(serial.takeOutput().length, 0);
  });

  test(`${name}: a listener that replaces another`, async (t) => {
    const { vm, vcpu } = bootPrinting(t, 4);
    const first: Uint8Array[] = [];
    const second: Uint8Array[] = [];
    const serial = new Serial({
      onOutput: (bytes) => {
        first.push(bytes);
        serial.listen((rest) => void second.push(rest));
        return false;
      },
    });
    vm.io.attach(COM1, serial);
    exitOf(await run(vcpu, {}), 'hlt');
    serial.close();
    t.is(first.length, 1);
    const all = Buffer.concat([...first, ...second]);
    t.is(all.length, 0x1_0000);
    t.true(countsUp(all));
  });
}

test('without a listener the guest never waits, and the last 64 KiB are kept', async (t) => {
  for (const options of [{}, POSTED]) {
    const { vm, vcpu } = bootPrinting(t, 5);
    const serial = new Serial();
    vm.io.attach(COM1, serial, options);
    exitOf(await vcpu.runInBackground(), 'hlt');
    const kept = serial.takeOutput();
    t.is(kept.length, OUTPUT_LIMIT);
    t.true(countsUp(kept));
    t.is(kept.at(-1), 0xff);
  }
});

test('a paused listener that is closed lets the guest go on', async (t) => {
  const { vm, vcpu } = boot(t, counting(true));
  let heard = 0;
  const serial = new Serial({
    onOutput: (bytes) => {
      heard += bytes.length;
      return false;
    },
  });
  vm.io.attach(COM1, serial, POSTED);
  const running = vcpu.runInBackground();
  await until(() => heard > 0);
  serial.close();
  exitOf(await running, 'hlt');
  t.is(serial.takeOutput().length, OUTPUT_LIMIT);
});

test('a guest that waits for its listener can be kicked, stopped and closed', async (t) => {
  for (const options of [{}, POSTED]) {
    const { vm, vcpu } = boot(t, counting(true));
    let heard = 0;
    const serial = new Serial({ onOutput: (bytes) => ((heard += bytes.length), false) });
    vm.io.attach(COM1, serial, options);
    const running = vcpu.runInBackground();
    await until(() => heard > 0);
    await sleep(300);
    vcpu.kickHandle.kick();
    t.deepEqual(await running, { reason: 'kicked' });
    const controller = new AbortController();
    const again = vcpu.runInBackground({}, { signal: controller.signal });
    await sleep(50);
    controller.abort(new Error('enough'));
    await t.throwsAsync(again, { message: 'enough' });
    const last = vcpu.runInBackground();
    await sleep(50);
    vm.close();
    await t.throwsAsync(last, { code: 'ERR_KVM_CLOSED' });
  }
});

test('only false pauses', async (t) => {
  for (const answer of [undefined, null, 0, '', true, Promise.resolve(false)]) {
    const { vm, vcpu } = bootPrinting(t, 1);
    let heard = 0;
    const onOutput: OutputListener = (bytes) => ((heard += bytes.length), answer);
    vm.io.attach(COM1, new Serial({ onOutput }));
    exitOf(await vcpu.runInBackground(), 'hlt');
    await until(() => heard === 0x4000);
  }
  t.pass();
});

test('a listener is a function, and resume() without one is quiet', (t) => {
  for (const device of [new Serial(), new DebugConsole()]) {
    for (const value of [undefined, null, {}, 'x']) {
      t.throws(() => device.listen(value as OutputListener), {
        code: 'ERR_INVALID_ARG_TYPE',
        message: /"onOutput"/,
      });
    }
    device.resume();
    device.close();
    device.resume();
  }
});

test('how much the port takes is told before it is typed', (t) => {
  const serial = new Serial();
  t.is(serial.inputCapacity, 0x1_0000);
  t.is(serial.input('hello'), 5);
  // The chip's own FIFO of 64 bytes has them already.
  t.is(serial.inputCapacity, 0x1_0000);
  t.is(serial.input(new Uint8Array(0x1_0000)), 0x1_0000);
  const { inputCapacity } = serial;
  t.is(inputCapacity, 59);
  t.is(serial.input(new Uint8Array(100)), inputCapacity);
  t.is(serial.inputCapacity, 0);
  t.is(serial.input('x'), 0);
  // in al, 0x3f8: the guest reads one, which makes no room until the FIFO is empty.
  for (let index = 0; index < 64; index++) serial.read(0, 1);
  t.is(serial.inputCapacity, 64);
});
