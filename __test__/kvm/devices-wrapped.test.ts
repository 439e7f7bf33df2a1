/** Rust devices that JavaScript drives: wrapped in a device of its own, to watch one or to make it fail. */
import test, { type ExecutionContext } from 'ava';

import {
  Cmos,
  DebugConsole,
  DebugExit,
  I8042,
  RustDevice,
  Serial,
  type Device,
  type Handlers,
} from '../../index.ts';
import { OUTPUT, boot, ended, scaled } from '../helpers/common-guests.ts';
import type { Machine } from '../helpers/machine.ts';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Answers as the device does, and notes each access. */
function watched(device: RustDevice): { device: Device; seen: string[] } {
  const seen: string[] = [];
  return {
    seen,
    device: {
      read: (offset, size) => {
        const value = device.read(offset, size);
        seen.push(`${offset}/${size} reads ${value}`);
        return value;
      },
      write: (offset, value, size) => {
        seen.push(`${offset}/${size} := ${value}`);
        device.write(offset, value, size);
      },
    },
  };
}

/** What the guest reads first, and where it writes that: a byte. */
const READ = { base: OUTPUT, length: 1 };
const WRITE = { base: OUTPUT + 0x10, length: 1 };

/** A guest that reads a register of one device and writes it to the first register of another, then ends. */
function bootEcho(t: ExecutionContext, from: Device | RustDevice, to: typeof from, register = 0): Machine {
  return boot(t, 'mmio-sizes', {
    prepare: (vm) => {
      vm.mmio.attach({ base: OUTPUT - register, length: register + 1 }, from);
      vm.mmio.attach(WRITE, to);
    },
  });
}

/** The rest of what the guest does is nobody's. */
const REST: Handlers = { mmioRead: () => 0, mmioWrite: () => undefined };

test('a wrapped serial port is the same port to the guest, and each access is seen', (t) => {
  const serial = new Serial();
  serial.input('xy');
  const { device, seen } = watched(serial);
  const { vcpu } = bootEcho(t, device, device);
  ended(vcpu.run(REST));
  t.deepEqual(seen, ['0/1 reads 120', '0/1 := 120']);
  t.is(text(serial.takeOutput()), 'x');
  t.is(vcpu.stats.byRoute.rust, 0);
});

test('a device that is attached as it is answers the same without JavaScript', (t) => {
  const serial = new Serial();
  serial.input('xy');
  const { vcpu } = bootEcho(t, serial, serial);
  ended(vcpu.run(REST));
  t.is(text(serial.takeOutput()), 'x');
  t.is(vcpu.stats.byRoute.rust, 2);
});

test('a wrapper may break the device: a receiver that is always empty', (t) => {
  const serial = new Serial();
  serial.input('xy');
  const status: number[] = [];
  const broken: Device = {
    read: (offset, size) => (offset === 5 ? 0x60 : serial.read(offset, size)),
  };
  for (const device of [serial, broken]) {
    const { vcpu } = bootEcho(t, device, { write: (_offset, value) => void status.push(value) }, 5);
    ended(vcpu.run(REST));
  }
  t.deepEqual(status, [0x61, 0x60]);
});

test('what a wrapped device prints reaches its listener: lines at once, the rest soon', async (t) => {
  const heard: string[] = [];
  using console = new DebugConsole({ onOutput: (bytes) => void heard.push(text(bytes)) });
  for (const letter of Buffer.from('one\n$ ')) console.write(0, letter, 1);
  t.deepEqual(heard, ['one\n']);
  await nextTurn();
  t.deepEqual(heard, ['one\n', '$ ']);
  console.write(0, 0x61, 1);
  console.close();
  t.deepEqual(heard, ['one\n', '$ ', 'a']);
  console.write(0, 0x0a, 1);
  await nextTurn();
  t.is(heard.length, 3);
  t.is(text(console.takeOutput()), '\n', 'nobody listens any more');
});

test('much output without a newline does not pile up', (t) => {
  let heard = 0;
  using serial = new Serial({ onOutput: (bytes) => void (heard += bytes.length) });
  for (let count = 0; count < 40_000; count++) serial.write(0, 0x2e, 1);
  t.true(heard >= 32 * 1024);
});

test('a guest that prints to a port whose listener was closed neither waits nor fills memory', (t) => {
  const writes = scaled(0x1_8000);
  const serial = new Serial({ onOutput: () => t.fail() });
  serial.close();
  const { vm, vcpu } = boot(t, 'mmio-burst', { regs: { value: 10, step: writes } });
  vm.mmio.attach(READ, serial);
  ended(vcpu.run(REST, { timeoutMs: 30_000 }));
  t.is(serial.takeOutput().length, Math.min(writes, 64 * 1024));
});

test('what a wrapped device asks of the machine is taken, once', (t) => {
  const exit = new DebugExit();
  t.is(exit.takeRequest(), undefined);
  exit.write(0, 0x10, 1);
  t.deepEqual(exit.takeRequest(), { device: 'isa-debug-exit', code: 0x21 });
  t.is(exit.takeRequest(), undefined);
  exit.write(0, 0xffff_ffff, 4);
  t.deepEqual(exit.takeRequest(), { device: 'isa-debug-exit', code: 0xffff_ffff });
  const controller = new I8042();
  controller.write(4, 0xff, 1);
  t.is(controller.takeRequest(), undefined);
  controller.write(4, 0xfe, 1);
  t.deepEqual(controller.takeRequest(), { device: 'i8042', code: 0 });
});

test('a wrapped isa-debug-exit ends no run by itself', (t) => {
  const exit = new DebugExit();
  const { device } = watched(exit);
  const { vm, vcpu } = boot(t, 'mmio-burst', { regs: { value: 0x10, step: 1 } });
  vm.mmio.attach({ base: OUTPUT, length: 4 }, device);
  ended(vcpu.run(REST));
  t.like(exit.takeRequest(), { code: 0x21 });
});

test('a state passes between a device that is driven and one that is attached', (t) => {
  const driven = new Serial();
  driven.input('xy');
  t.is(driven.read(0, 1), 0x78);
  const serial = new Serial();
  serial.restore(driven.save());
  const { vcpu } = bootEcho(t, serial, serial);
  ended(vcpu.run(REST));
  t.is(text(serial.takeOutput()), 'y');
});

test('accesses that no device knows read as all ones and are dropped', (t) => {
  for (const device of [new Serial(), new Cmos(), new I8042()]) {
    t.is(device.read(1000, 1), 0xff);
    t.is(device.read(2 ** 52 - 1, 2), 0xffff);
    t.is(device.read(0, 3), 0xff_ffff);
    t.is(device.read(0, 4), 0xffff_ffff);
    t.notThrows(() => device.write(2 ** 52 - 1, 0xffff_ffff, 4));
  }
});

test('arguments are checked', (t) => {
  const serial = new Serial();
  const code = (call: () => unknown): unknown => t.throws<NodeJS.ErrnoException>(call)?.code;
  for (const [offset, size] of [
    [-1, 1],
    [0.5, 1],
    [2 ** 52, 1],
    [0, 0],
    [0, 5],
    [NaN, 1],
  ] as const) {
    t.is(
      code(() => serial.read(offset, size)),
      'ERR_OUT_OF_RANGE',
    );
    t.is(
      code(() => serial.write(offset, 0, size)),
      'ERR_OUT_OF_RANGE',
    );
  }
  t.is(
    code(() => serial.write(0, 0x100, 1)),
    'ERR_OUT_OF_RANGE',
  );
  t.is(
    code(() => serial.write(0, -1, 4)),
    'ERR_OUT_OF_RANGE',
  );
  t.is(
    code(() => serial.read('0' as never, 1)),
    'ERR_INVALID_ARG_TYPE',
  );
  t.is(
    code(() => serial.write(0, 1n as never, 1)),
    'ERR_INVALID_ARG_TYPE',
  );
  t.is(
    code(() => RustDevice.prototype.read.call({} as never, 0, 1)),
    'ERR_INVALID_ARG_TYPE',
  );
  t.is(
    code(() => DebugExit.prototype.takeRequest.call({} as never)),
    'ERR_INVALID_ARG_TYPE',
  );
});
