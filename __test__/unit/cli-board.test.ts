import test from 'ava';

import { makeBoard } from '../../lib/cli/run/board/board.ts';
import type { Board } from '../../lib/cli/run/board/board.ts';
import { Cmos } from '../../lib/cli/run/board/cmos.ts';
import { portHandlers } from '../../lib/cli/run/board/handlers.ts';
import type { Observer } from '../../lib/cli/run/board/handlers.ts';
import { OutputBuffer } from '../../lib/cli/run/board/output-buffer.ts';
import { Uart } from '../../lib/cli/run/board/uart.ts';
import type { RunPlan } from '../../lib/cli/run/plan.ts';

const MIB = 2 ** 20;

test('UART: what is written is printed, what is typed is read, the line status tells', (t) => {
  const printed: number[] = [];
  const uart = new Uart((byte) => printed.push(byte));
  t.is(uart.read(5, 1), 0x60);
  uart.write(0, 0x48, 1);
  t.deepEqual(printed, [0x48]);
  t.is(uart.input(Uint8Array.of(1, 2)), 2);
  t.is(uart.read(5, 1), 0x61);
  t.deepEqual([uart.read(0, 1), uart.read(0, 1), uart.read(0, 1)], [1, 2, 0]);
  t.is(uart.read(5, 1), 0x60);
  t.is(uart.read(0, 2), 0xffff, 'only bytes');
  t.is(uart.input(new Uint8Array(10_000)), 4096, 'no more than there is room for');
  t.is(uart.input(Uint8Array.of(1)), 0);
});

test('UART: the divisor latch hides data and IER; scratch and MCR keep what is written', (t) => {
  const uart = new Uart(() => t.fail('the divisor was printed'));
  uart.write(3, 0x83, 1);
  uart.write(0, 0x0c, 1);
  uart.write(1, 0x01, 1);
  t.deepEqual([uart.read(0, 1), uart.read(1, 1)], [0x0c, 0x01]);
  uart.write(3, 0x03, 1);
  t.is(uart.read(1, 1), 0);
  uart.write(7, 0x5a, 1);
  t.is(uart.read(7, 1), 0x5a);
});

test('UART: interrupts come when they are enabled and tell their cause', (t) => {
  let edges = 0;
  const uart = new Uart(
    () => {},
    () => edges++,
  );
  uart.input(Uint8Array.of(1));
  t.is(edges, 0);
  t.is(uart.read(2, 1), 0xc1);
  uart.write(1, 0x03, 1);
  t.true(edges > 0);
  t.is(uart.read(2, 1), 0xc4, 'received data first');
  uart.read(0, 1);
  t.is(uart.read(2, 1), 0xc2, 'then the transmitter');
  t.is(uart.read(2, 1), 0xc1, 'told once');
  uart.write(0, 0x41, 1);
  t.is(uart.read(2, 1), 0xc2);
});

test('UART: loopback, by which drivers find it', (t) => {
  const uart = new Uart(() => t.fail('the line is cut'));
  t.is(uart.read(6, 1), 0xb0);
  uart.write(4, 0x1a, 1);
  t.is(uart.read(6, 1), 0x90, 'RTS comes back as CTS, OUT2 as carrier');
  uart.write(0, 0x55, 1);
  t.is(uart.read(0, 1), 0x55);
});

test('CMOS: memory sizes and a clock in BCD', (t) => {
  const cmos = new Cmos(64 * MIB, () => new Date(Date.UTC(2031, 11, 25, 13, 47, 58)));
  const register = (index: number): number => {
    cmos.write(0, index | 0x80, 1);
    return cmos.read(1, 1);
  };
  t.deepEqual([0x32, 9, 8, 7, 6, 4, 2, 0].map(register), [0x20, 0x31, 0x12, 0x25, 0x05, 0x13, 0x47, 0x58]);
  t.is(register(0x15) + 256 * register(0x16), 640);
  t.is(register(0x30) + 256 * register(0x31), 63 * 1024);
  t.is(register(0x34) + 256 * register(0x35), (48 * MIB) / 65536);
  cmos.write(0, 0x0f, 1);
  cmos.write(1, 0x05, 1);
  t.is(register(0x0f), 5, 'the rest is memory');
});

test('lines of output come whole; what has no newline comes soon', async (t) => {
  const lines: string[] = [];
  const buffer = new OutputBuffer((name, bytes) => lines.push(`${name}: ${String.fromCharCode(...bytes)}`));
  for (const byte of Buffer.from('one\n$ ')) buffer.put('serial', byte);
  t.deepEqual(lines, ['serial: one\n']);
  await new Promise((resolve) => setImmediate(resolve));
  t.deepEqual(lines, ['serial: one\n', 'serial: $ ']);
  for (let count = 0; count < 5000; count++) buffer.put('debug-console', 0x2e);
  t.is(lines.length, 2 + 4, 'a line without an end comes in pieces');
});

const plan = { memory: 16 * MIB, serial: true, debugExit: 0xf4, firmware: undefined } as RunPlan;

/** Serves one access as a handler would, and tells what came of it. */
function access(board: Board, exit: { port: number; size: number; count: number; data?: Uint8Array }) {
  const seen: Parameters<Observer>[] = [];
  let stopped = false;
  const handlers = portHandlers({
    ports: board.ports,
    observe: (...args) => seen.push(args),
    ended: () => false,
  });
  const { port, size, count, data } = exit;
  const common = { port, size, count, stop: () => (stopped = true), toJSON: () => exit };
  const value = data === undefined ? undefined : data.reduceRight((sum, byte) => sum * 256 + byte, 0);
  const result: unknown =
    data === undefined
      ? handlers.ioIn?.(common as never, undefined as never)
      : handlers.ioOut?.({ ...common, data, value } as never, undefined as never);
  return { result, seen, stopped };
}

test('handlers: string I/O goes through a device element by element', (t) => {
  const printed: number[] = [];
  const board = makeBoard(plan, {
    print: (_, byte) => printed.push(byte),
    serialInterrupt() {},
    request() {},
  });
  access(board, { port: 0x3f8, size: 1, count: 3, data: Uint8Array.of(0x61, 0x62, 0x63) });
  t.deepEqual(printed, [0x61, 0x62, 0x63]);
  board.serial!.input(Uint8Array.of(7, 8, 9));
  const { result, seen } = access(board, { port: 0x3f8, size: 1, count: 4 });
  t.deepEqual(result, Uint8Array.of(7, 8, 9, 0));
  t.deepEqual(seen[0]![1], Uint8Array.of(7, 8, 9, 0));
});

test('handlers: nobody there, or an access beyond a device’s end, reads all ones and drops writes', (t) => {
  const board = makeBoard(plan, { print: () => t.fail(), serialInterrupt() {}, request: () => t.fail() });
  t.deepEqual(access(board, { port: 0x500, size: 4, count: 2 }).result, new Uint8Array(8).fill(0xff));
  t.deepEqual(access(board, { port: 0x3ff, size: 2, count: 1 }).result, Uint8Array.of(0xff, 0xff));
  t.is(access(board, { port: 0x500, size: 1, count: 1, data: Uint8Array.of(1) }).result, undefined);
  t.is(access(board, { port: 0xf7, size: 2, count: 1, data: Uint8Array.of(1, 1) }).result, undefined);
});

test('the guest asks for its end', (t) => {
  const requests: unknown[] = [];
  const board = makeBoard(plan, {
    print() {},
    serialInterrupt() {},
    request: (request) => requests.push(request),
  });
  access(board, { port: 0xf4, size: 1, count: 1, data: Uint8Array.of(0x10) });
  access(board, { port: 0xf4, size: 4, count: 1, data: Uint8Array.of(0xff, 0xff, 0xff, 0xff) });
  access(board, { port: 0x64, size: 1, count: 1, data: Uint8Array.of(0xfe) });
  access(board, { port: 0x64, size: 1, count: 1, data: Uint8Array.of(0xff) });
  t.deepEqual(requests, [
    { device: 'isa-debug-exit', code: 0x21 },
    { device: 'isa-debug-exit', code: 0xffff_ffff },
    { device: 'i8042', code: 0 },
  ]);
});

test('without a serial port, and without isa-debug-exit', (t) => {
  const board = makeBoard(
    { ...plan, serial: false, debugExit: undefined },
    { print: () => t.fail(), serialInterrupt() {}, request: () => t.fail() },
  );
  t.is(board.serial, undefined);
  access(board, { port: 0x3f8, size: 1, count: 1, data: Uint8Array.of(1) });
  access(board, { port: 0xf4, size: 1, count: 1, data: Uint8Array.of(1) });
  t.deepEqual(access(board, { port: 0x402, size: 1, count: 1 }).result, Uint8Array.of(0xe9));
});
