import test, { type ExecutionContext } from 'ava';

import {
  Cmos,
  DebugConsole,
  DebugExit,
  I8042,
  KvmError,
  Serial,
  type Handlers,
  type RustDevice,
} from '../../index.ts';
import { OUTPUT, boot, ended, scaled } from '../helpers/common-guests.ts';
import { LANES } from '../helpers/lanes.ts';
import { exitOf, makeEvent, type Machine } from '../helpers/machine.ts';
import { until } from '../helpers/wait.ts';

const PORT = { base: OUTPUT, length: 8 };

/** A machine whose guest writes bytes at OUTPUT: this one and those that follow it. */
const burst = (t: ExecutionContext, value: number, step: number): Machine =>
  boot(t, 'mmio-burst', { regs: { value, step } });

function text(chunks: readonly Uint8Array[]): string {
  return Buffer.concat(chunks).toString();
}

/** The guest's last word is nobody's. */
const LAST_WORD: Handlers = { mmioWrite: () => undefined };

for (const [name, run] of LANES) {
  test(`${name}: a serial port gives its listener what the guest prints`, async (t) => {
    const { vm, vcpu } = burst(t, 0x61, 19);
    const chunks: Uint8Array[] = [];
    vm.mmio.attach(PORT, new Serial({ onOutput: (bytes) => void chunks.push(bytes) }));
    ended(await run(vcpu, LAST_WORD));
    await until(() => text(chunks).length >= 19);
    t.is(text(chunks), 'abcdefghijklmnopqrs');
    t.is(vcpu.stats.byRoute.rust, 19);
    t.is(vcpu.stats.byRoute.javascript, 2);
  });

  test(`${name}: posted writes to a serial port make no exits`, async (t) => {
    const { vm, vcpu } = burst(t, 0x61, 19);
    const serial = new Serial();
    vm.mmio.attach(PORT, serial, { posted: { offset: 0, length: 1 } });
    ended(await run(vcpu, LAST_WORD));
    t.is(text([serial.takeOutput()]), 'abcdefghijklmnopqrs');
    t.is(vcpu.stats.byRoute.posted, 19);
    t.is(vcpu.stats.exits, 2);
  });

  test(`${name}: isa-debug-exit ends the run with its code`, async (t) => {
    const { vm, vcpu } = burst(t, 0x2a, 1);
    vm.mmio.attach({ base: OUTPUT, length: 4 }, new DebugExit());
    t.deepEqual(await run(vcpu, {}), { reason: 'device', device: 'isa-debug-exit', code: 0x55 });
    ended(await run(vcpu, LAST_WORD));
  });

  test(`${name}: the keyboard controller resets`, async (t) => {
    const { vm, vcpu } = burst(t, 0xfe, 1);
    // Its commands go to its fourth register.
    vm.mmio.attach({ base: OUTPUT - 4, length: 5 }, new I8042());
    t.deepEqual(await run(vcpu, {}), { reason: 'device', device: 'i8042', code: 0 });
  });

  test(`${name}: a flood of output arrives whole and in order`, async (t) => {
    const length = scaled(0x4000);
    const { vm, vcpu } = burst(t, 0, length);
    const chunks: Uint8Array[] = [];
    const onOutput = (bytes: Uint8Array): void => void chunks.push(bytes);
    vm.mmio.attach({ base: OUTPUT, length: 1 }, new DebugConsole({ onOutput }));
    ended(await run(vcpu, LAST_WORD));
    const all = Buffer.concat(chunks);
    t.is(all.length, length);
    t.true(all.every((byte, index) => byte === (index & 0xff)));
  });
}

test('step tells that a device ended the run', (t) => {
  const { vm, vcpu } = burst(t, 1, 1);
  vm.mmio.attach({ base: OUTPUT, length: 1 }, new DebugExit());
  t.deepEqual(vcpu.step(), { kind: 'device', device: 'isa-debug-exit', code: 3 });
});

test('without a listener the output waits', (t) => {
  const { vm, vcpu } = burst(t, 0x61, 3);
  const serial = new Serial();
  vm.mmio.attach(PORT, serial);
  ended(vcpu.run(LAST_WORD));
  t.is(text([serial.takeOutput()]), 'abc');
  t.is(serial.takeOutput().length, 0);
});

test('a listener that is closed hears no more', (t) => {
  const { vm, vcpu } = burst(t, 0x61, 3);
  const serial = new Serial({ onOutput: () => t.fail() });
  serial.close();
  vm.mmio.attach(PORT, serial);
  ended(vcpu.run(LAST_WORD));
  t.is(text([serial.takeOutput()]), 'abc');
});

test('the serial port takes 64 KiB of input and says how much', (t) => {
  const serial = new Serial();
  t.is(serial.input(new Uint8Array(100_000)), 65_536);
  // The chip's own buffer has taken 64 of them since.
  t.is(serial.input(new Uint8Array(100)), 64);
  t.is(serial.input('x'), 0);
});

test('the serial port signals its interrupt', (t) => {
  const { vm, vcpu } = burst(t, 1, 1);
  const interrupt = makeEvent(t);
  const serial = new Serial({ interrupt });
  // The guest's 1 turns on the interrupts for what is received: they are in the second register.
  vm.mmio.attach({ base: OUTPUT - 1, length: 8 }, serial);
  ended(vcpu.run(LAST_WORD));
  t.is(interrupt.read(), undefined);
  serial.input('x');
  t.true((interrupt.read() ?? 0n) >= 1n);
});

test('a debug console reads back what firmware looks for', (t) => {
  for (const [console, byte] of [
    [new DebugConsole(), 0xe9],
    [new DebugConsole({ readback: 0x55 }), 0x55],
  ] as const) {
    const { vm, vcpu } = boot(t, 'mmio-sizes');
    vm.mmio.attach({ base: OUTPUT, length: 1 }, console);
    t.is(exitOf(vcpu.run(), 'mmioWrite').value, byte);
  }
});

test('a Rust device may be attached at several places', (t) => {
  const { vm, vcpu } = boot(t, 'mmio-sizes');
  const console = new DebugConsole();
  vm.mmio.attach({ base: OUTPUT, length: 1 }, console);
  vm.mmio.attach({ base: OUTPUT + 0x10, length: 1 }, console);
  exitOf(vcpu.run(), 'mmioRead');
  t.deepEqual([...console.takeOutput()], [0xe9]);
});

// ---- states

const MAKERS: [kind: string, make: () => RustDevice][] = [
  ['Serial', () => new Serial()],
  ['DebugConsole', () => new DebugConsole()],
  ['DebugExit', () => new DebugExit()],
  ['I8042', () => new I8042()],
  ['Cmos', () => new Cmos({ time: new Date(0) })],
];

for (const [index, [name, make]] of MAKERS.entries()) {
  test(`${name} saves its state and takes it back, also after a trip by message`, (t) => {
    const state = make().save();
    t.is(typeof state.kind, 'string');
    t.true(state.version >= 1);
    const other = make();
    other.restore(structuredClone(state));
    t.deepEqual(other.save(), state);
  });

  test(`${name} refuses what is not its state`, (t) => {
    const device = make();
    const state = device.save();
    const [, makeOther] = MAKERS[(index + 1) % MAKERS.length]!;
    const wrong = { instanceOf: KvmError, code: 'ERR_KVM_STATE' };
    t.throws(() => device.restore(makeOther().save()), wrong);
    t.throws(() => device.restore({ ...state, version: state.version + 1 }), wrong);
    t.throws(() => device.restore({ ...state, data: new Uint8Array(1000) }), wrong);
    t.throws(() => device.restore({} as never), { code: 'ERR_INVALID_ARG_TYPE' });
    t.deepEqual(device.save(), state);
  });
}

test('options of Rust devices are checked', (t) => {
  t.throws(() => new Serial({ onoutput: () => {} } as never), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /did you mean 'onOutput'/,
  });
  t.throws(() => new Serial({ onOutput: 1 as never }), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => new Serial({ interrupt: {} as never }), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => new DebugConsole({ readback: 256 }), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => new Serial().input(1 as never), { code: 'ERR_INVALID_ARG_TYPE' });
});
