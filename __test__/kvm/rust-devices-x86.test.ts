// Rust devices at ports, where x86_64 has them: guests that print, poll, and take interrupts.
import test, { type ExecutionContext } from 'ava';

import { Cmos, DebugConsole, DebugExit, I8042, Serial, type RustDevice } from '../../index.ts';
import { realModeGuest } from '../helpers/guests.ts';
import { LANES } from '../helpers/lanes.ts';
import { boot, exitOf, makeEvent } from '../helpers/machine.ts';
import { until } from '../helpers/wait.ts';

const COM1 = { base: 0x3f8, length: 8 };

function text(chunks: readonly Uint8Array[]): string {
  return Buffer.concat(chunks).toString();
}

for (const [name, run] of LANES) {
  test(`${name}: a serial port at its ports gives its listener what the guest prints`, async (t) => {
    const { vm, vcpu } = boot(t, 'long-mode-hello');
    const chunks: Uint8Array[] = [];
    vm.io.attach(COM1, new Serial({ onOutput: (bytes) => void chunks.push(bytes) }));
    exitOf(await run(vcpu, {}), 'hlt');
    t.is(text(chunks), 'Hello from 64 bits\n');
    t.is(vcpu.stats.byRoute.rust, 19);
  });

  test(`${name}: isa-debug-exit at its port ends the run with its code`, async (t) => {
    // mov al, 0x2a; out 0xf4, al; hlt
    const { vm, vcpu } = boot(t, realModeGuest(0xb0, 0x2a, 0xe6, 0xf4, 0xf4));
    vm.io.attach({ base: 0xf4, length: 4 }, new DebugExit());
    t.deepEqual(await run(vcpu, {}), { reason: 'device', device: 'isa-debug-exit', code: 0x55 });
    exitOf(await run(vcpu, {}), 'hlt');
  });

  test(`${name}: the keyboard controller at its ports resets`, async (t) => {
    // mov al, 0xfe; out 0x64, al; hlt
    const { vm, vcpu } = boot(t, realModeGuest(0xb0, 0xfe, 0xe6, 0x64, 0xf4));
    vm.io.attach({ base: 0x60, length: 5 }, new I8042());
    t.deepEqual(await run(vcpu, {}), { reason: 'device', device: 'i8042', code: 0 });
  });
}

test('a guest that polls the serial port gets what is typed', (t) => {
  const { vm, vcpu } = boot(t, 'shell');
  const serial = new Serial();
  vm.io.attach(COM1, serial);
  t.is(serial.input('hello\necho öl\nadd 4 9\nquit\n'), 28);
  exitOf(vcpu.run({}, { timeoutMs: 20_000 }), 'hlt');
  t.is(
    text([serial.takeOutput()]),
    [
      'A tiny shell. Type help.',
      '> hello',
      'Hello from the guest!',
      '> echo öl',
      'öl',
      '> add 4 9',
      '13',
      '> quit',
      'Bye.',
      '',
    ].join('\n'),
  );
});

test('typing while the guest runs in the background', async (t) => {
  const { vm, vcpu } = boot(t, 'shell');
  let printed = '';
  const serial = new Serial({ onOutput: (bytes) => (printed += Buffer.from(bytes).toString()) });
  vm.io.attach(COM1, serial);
  const running = vcpu.runInBackground();
  await until(() => printed.endsWith('> '));
  serial.input('quit\n');
  exitOf(await running, 'hlt');
  await until(() => printed.endsWith('Bye.\n'));
  t.is(printed, 'A tiny shell. Type help.\n> quit\nBye.\n');
});

test('an interrupt of the serial port wakes the guest through an irqfd', async (t) => {
  const interrupt = makeEvent(t);
  let ready = false;
  const serial = new Serial({ interrupt, onOutput: () => (ready = true) });
  // One guest turns the port's interrupts on, another waits for them: mov dx, 0x3f9; mov al, 1; out dx, al; hlt
  const first = boot(t, realModeGuest(0xba, 0xf9, 0x03, 0xb0, 0x01, 0xee, 0xf4));
  first.vm.io.attach(COM1, serial);
  exitOf(first.vcpu.run(), 'hlt');

  const { vm, vcpu } = boot(t, 'device-interrupt', { prepare: (machine) => machine.createIrqChip() });
  vm.registerIrqfd(interrupt, 5);
  vm.io.attach({ base: 0x500, length: 8 }, serial);
  const typed = [...Buffer.from('ok\0')];
  const printed: number[] = [];
  const type = (): void => void serial.input(Uint8Array.of(typed.shift()!));
  const running = vcpu.runInBackground({
    ioOut: (exit) => {
      if (exit.port === 0xf4) return exit.stop();
      printed.push(exit.value);
      type();
    },
  });
  await until(() => ready);
  type();
  t.is((await running).reason, 'stopped');
  t.is(String.fromCharCode(...printed), 'ok');
});

test('a debug console at a port reads back what firmware looks for', (t) => {
  // in al, 0xe9; mov bl, al; mov dx, 0x402; in al, dx; hlt
  const { vm, vcpu } = boot(t, realModeGuest(0xe4, 0xe9, 0x88, 0xc3, 0xba, 0x02, 0x04, 0xec, 0xf4));
  vm.io.attach({ base: 0xe9, length: 1 }, new DebugConsole());
  vm.io.attach({ base: 0x402, length: 1 }, new DebugConsole({ readback: 0x55 }));
  exitOf(vcpu.run(), 'hlt');
  const { rax, rbx } = vcpu.getRegs();
  t.deepEqual([rax & 0xffn, rbx & 0xffn], [0x55n, 0xe9n]);
});

/** Reads the CMOS registers given, into memory at 0x2000. */
function readCmos(t: ExecutionContext, device: RustDevice, registers: readonly number[]): number[] {
  const code = registers.flatMap((register, at) => [
    [0xb0, register, 0xe6, 0x70], //  mov al, register; out 0x70, al
    [0xe4, 0x71], //                  in al, 0x71
    [0xa2, at, 0x20], //              mov [0x2000 + at], al
  ]);
  const { vm, vcpu } = boot(t, realModeGuest(...code, 0xf4));
  vm.io.attach({ base: 0x70, length: 2 }, device);
  exitOf(vcpu.run(), 'hlt');
  return [...vm.memory.read(0x2000, registers.length)];
}

test('the clock shows the time given, in BCD', (t) => {
  const cmos = new Cmos({ time: new Date('2024-02-29T23:58:47Z') });
  // second, minute, hour, day of the week (Thursday), day, month, year, century
  t.deepEqual(
    readCmos(t, cmos, [0, 2, 4, 6, 7, 8, 9, 0x32]),
    [0x47, 0x58, 0x23, 0x05, 0x29, 0x02, 0x24, 0x20],
  );
});

test('the CMOS says how large the memory is', (t) => {
  const GIB = 2 ** 30;
  // 640 KiB below 1 MiB; 64 KiB units above 16 MiB; 64 KiB units above 4 GiB
  const registers = [0x15, 0x16, 0x34, 0x35, 0x5b, 0x5c, 0x5d];
  t.deepEqual(readCmos(t, new Cmos({ memorySize: GIB }), registers), [0x80, 0x02, 0x00, 0x3f, 0, 0, 0]);
  t.deepEqual(
    readCmos(t, new Cmos({ memorySize: 4 * GIB }), registers).slice(2),
    [0x00, 0xbf, 0x00, 0x40, 0x00],
  );
  t.throws(() => new Cmos({ time: 'now' as never }), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => new Cmos({ time: new Date(Number.NaN) }), { code: 'ERR_OUT_OF_RANGE' });
});

test('what was typed and not read yet is part of the state', (t) => {
  const first = new Serial();
  first.input('quit\n');
  const second = new Serial();
  second.restore(first.save());
  const { vm, vcpu } = boot(t, 'shell');
  vm.io.attach(COM1, second);
  exitOf(vcpu.run({}, { timeoutMs: 20_000 }), 'hlt');
  t.true(text([second.takeOutput()]).endsWith('Bye.\n'));
});

test('a Rust device may be attached at several places, and to memory', (t) => {
  const { vm, vcpu } = boot(t, 'kvm-ioctls-example', { regs: { rax: 0, rbx: 7 } });
  const console = new DebugConsole();
  vm.io.attach({ base: 0x3f8, length: 1 }, console);
  vm.mmio.attach({ base: 0x8000, length: 1 }, console);
  exitOf(vcpu.run(), 'hlt');
  t.deepEqual([...console.takeOutput()], [0x37, 0]);
  t.is(vcpu.regs.rdx & 0xffn, 0xe9n);
});
