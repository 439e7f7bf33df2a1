import test from 'ava';
import type { ExecutionContext } from 'ava';

import { makeBoard } from '../../lib/cli/run/board/board.ts';
import type { Board } from '../../lib/cli/run/board/board.ts';
import { emptyBus, tracedHandlers } from '../../lib/cli/run/board/handlers.ts';
import type { Observer } from '../../lib/cli/run/board/handlers.ts';
import type { RunPlan } from '../../lib/cli/run/plan.ts';
import type { OutputName } from '../../lib/cli/shared/json-lines.ts';
import { UsageError } from '../../lib/cli/usage-error.ts';

const plan = { memory: 2 ** 24, serial: true, debugExit: 0xf4, firmware: undefined } as RunPlan;

/** A board without a machine, and what it prints. */
function board(t: ExecutionContext, changes: Partial<RunPlan> = {}): { made: Board; printed: string[] } {
  const printed: string[] = [];
  const print = (name: OutputName, bytes: Uint8Array): void =>
    void printed.push(`${name}: ${String.fromCharCode(...bytes)}`);
  const made = makeBoard({ ...plan, ...changes }, { print, interrupt: undefined });
  t.teardown(() => made.close());
  return { made, printed };
}

/** Serves one access as a handler would, and tells what came of it. */
function access(made: Board, exit: { port: number; size: number; count: number; data?: Uint8Array }) {
  const seen: Parameters<Observer>[] = [];
  const handlers = tracedHandlers({
    ports: made.ports,
    observe: (...args) => seen.push(args),
    ended: () => false,
  });
  const { port, size, count, data } = exit;
  const common = { port, size, count, toJSON: () => exit };
  const value = data === undefined ? undefined : data.reduceRight((sum, byte) => sum * 256 + byte, 0);
  const result: unknown =
    data === undefined
      ? handlers.ioIn?.(common as never, undefined as never)
      : handlers.ioOut?.({ ...common, data, value } as never, undefined as never);
  return { result, seen };
}

test('handlers: string I/O goes through a device element by element', (t) => {
  const { made, printed } = board(t);
  access(made, { port: 0x3f8, size: 1, count: 3, data: Uint8Array.of(0x61, 0x62, 0x0a) });
  t.deepEqual(printed, ['serial: ab\n']);
  made.serial!.input(Uint8Array.of(7, 8, 9));
  const { result, seen } = access(made, { port: 0x3f8, size: 1, count: 4 });
  t.deepEqual(result, Uint8Array.of(7, 8, 9, 0));
  t.deepEqual(seen[0]![1], Uint8Array.of(7, 8, 9, 0));
});

test('what has no newline is printed soon, or at the end', async (t) => {
  const { made, printed } = board(t);
  access(made, { port: 0x3f8, size: 1, count: 1, data: Uint8Array.of(0x24) });
  t.deepEqual(printed, []);
  await new Promise((resolve) => setImmediate(resolve));
  t.deepEqual(printed, ['serial: $']);
  access(made, { port: 0x402, size: 1, count: 1, data: Uint8Array.of(0x21) });
  made.close();
  t.deepEqual(printed, ['serial: $', 'debug-console: !']);
});

test('handlers: nobody there, or an access beyond a device’s end, reads all ones and drops writes', (t) => {
  const { made, printed } = board(t);
  t.deepEqual(access(made, { port: 0x500, size: 4, count: 2 }).result, new Uint8Array(8).fill(0xff));
  t.deepEqual(access(made, { port: 0x3ff, size: 2, count: 1 }).result, Uint8Array.of(0xff, 0xff));
  t.is(access(made, { port: 0x500, size: 1, count: 1, data: Uint8Array.of(1) }).result, undefined);
  t.is(access(made, { port: 0xf7, size: 2, count: 1, data: Uint8Array.of(1, 1) }).result, undefined);
  t.is(made.takeRequest(), undefined);
  made.close();
  t.deepEqual(printed, []);
  t.is(emptyBus.ioIn?.({} as never, undefined as never), undefined, 'an answer that is left out is all ones');
});

test('the guest asks for its end', (t) => {
  const { made } = board(t);
  const ask = (port: number, ...data: number[]): unknown => {
    access(made, { port, size: data.length, count: 1, data: Uint8Array.from(data) });
    return made.takeRequest();
  };
  t.deepEqual(ask(0xf4, 0x10), { device: 'isa-debug-exit', code: 0x21 });
  t.deepEqual(ask(0xf4, 0xff, 0xff, 0xff, 0xff), { device: 'isa-debug-exit', code: 0xffff_ffff });
  t.deepEqual(ask(0x64, 0xfe), { device: 'i8042', code: 0 });
  t.is(ask(0x64, 0xff), undefined);
});

test('without a serial port, and without isa-debug-exit', (t) => {
  const { made, printed } = board(t, { serial: false, debugExit: undefined });
  t.is(made.serial, undefined);
  access(made, { port: 0x3f8, size: 1, count: 1, data: Uint8Array.of(0x0a) });
  access(made, { port: 0xf4, size: 1, count: 1, data: Uint8Array.of(1) });
  t.is(made.takeRequest(), undefined);
  t.deepEqual(access(made, { port: 0x402, size: 1, count: 1 }).result, Uint8Array.of(0xe9));
  t.deepEqual(printed, []);
});

test('isa-debug-exit where another device is', (t) => {
  for (const debugExit of [0x3f8, 0x3f5, 0x3ff, 0x402, 0x60]) {
    t.throws(() => board(t, { debugExit }), { instanceOf: UsageError, message: /^--debug-exit: at 0x/ });
  }
  for (const debugExit of [0x3f4, 0x403, 0x501]) t.notThrows(() => board(t, { debugExit }));
});
