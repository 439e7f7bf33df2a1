/** Devices of a caller's in a machine: ports, addresses, interrupts, and what is refused of them. */
import { setTimeout as sleep } from 'node:timers/promises';

import test from 'ava';

import { Serial, type Device, type MachineDevice } from '../../index.ts';
import { findGuest } from '../helpers/guests.ts';
import {
  ACPI_RESET,
  POWER_OFF,
  SLEEP,
  SPIN,
  flat,
  flat32,
  guest,
  in32,
  inputFrom,
  makeMachine,
  out,
  print,
  runMachine,
  soon,
  startMachine,
} from '../helpers/whole-machine.ts';
import { until } from '../helpers/wait.ts';

/** mov dx, COM1; out dx, al */
const SHOW = [0xba, 0xf8, 0x03, 0xee];

const noDevice: Device = {};

test('ports: writes arrive, reads are answered', async (t) => {
  const written: number[][] = [];
  const device: Device = {
    read: (offset, size) => (size === 1 ? 0x41 + offset : 0x4443),
    write: (...access) => void written.push(access),
  };
  const exit = await runMachine(t, {
    ...flat(
      out(0x700, 7),
      [...inputFrom(0x700), ...SHOW],
      [...inputFrom(0x703), ...SHOW],
      // mov dx, 0x701; in ax, dx; show al; mov al, ah; out dx, al; mov dx, 0x702; out dx, ax
      [0xba, 0x01, 0x07, 0xed, ...SHOW, 0x88, 0xe0, 0xee, 0xba, 0x02, 0x07, 0xef],
      POWER_OFF,
    ),
    devices: [{ device, io: { base: 0x700, length: 4 } }],
  });
  t.deepEqual(exit, { reason: 'poweroff', consoleTail: 'ADCD' });
  t.deepEqual(written, [
    [0, 7, 1],
    [2, 0x4444, 2],
  ]);
});

test('addresses: likewise, in every size', async (t) => {
  const { bytes } = findGuest('mmio-sizes');
  const seen: string[] = [];
  const device: Device = {
    read: (offset, size) => (seen.push(`${offset}/${size}?`), 0x11_2233_44 >>> (8 * (4 - size))),
    write: (offset, value, size) => void seen.push(`${offset}/${size}=${value.toString(16)}`),
  };
  // mov al, [0xd0001000]; mov [0xd0001010], al; then ax and eax likewise
  const at = (offset: number): number[] => [offset, 0x10, 0x00, 0xd0];
  const exit = await runMachine(t, {
    ...flat32(
      [0xa0, ...at(0), 0xa2, ...at(0x10)],
      [0x66, 0xa1, ...at(2), 0x66, 0xa3, ...at(0x12)],
      [0xa1, ...at(4), 0xa3, ...at(0x14)],
      in32(POWER_OFF),
    ),
    devices: [{ device, mmio: { base: 0xd000_1000, length: 0x20 } }],
  });
  t.is(exit.reason, 'poweroff');
  t.true(bytes.length > 0);
  t.deepEqual(seen, ['0/1?', '16/1=11', '2/2?', '18/2=1122', '4/4?', '20/4=11223344']);
});

test('answers may be Promises: the vCPU waits, the event loop does not', async (t) => {
  let turns = 0;
  const ticking = setInterval(() => turns++, 1);
  const device: Device = {
    read: async () => {
      await sleep(50);
      return 0x41;
    },
    write: () => sleep(50),
  };
  const exit = await runMachine(t, {
    ...flat(out(0x700, 1), inputFrom(0x700), SHOW, POWER_OFF),
    devices: [{ device, io: { base: 0x700, length: 1 } }],
  });
  clearInterval(ticking);
  t.deepEqual(exit, { reason: 'poweroff', consoleTail: 'A' });
  t.true(turns > 0);
});

test('an answer that never comes: the machine can be stopped all the same', async (t) => {
  let asked = false;
  const device: Device = { read: () => ((asked = true), new Promise<number>(() => undefined)) };
  const machine = await startMachine(t, {
    ...flat(inputFrom(0x700), SPIN),
    devices: [{ device, io: { base: 0x700, length: 1 } }],
  });
  await until(() => asked);
  await soon('stop()', machine.stop());
  t.like(await machine.exited, { reason: 'killed' });
});

test('an answer that comes when the machine has been reset, or is gone, is nobody’s', async (t) => {
  const answers: ((value: number) => void)[] = [];
  const device: Device = { read: () => new Promise<number>((resolve) => void answers.push(resolve)) };
  const machine = await startMachine(t, {
    ...flat(inputFrom(0x700), SHOW, POWER_OFF),
    devices: [{ device, io: { base: 0x700, length: 1 } }],
  });
  await until(() => answers.length === 1);
  await soon('reset()', machine.reset());
  await until(() => answers.length === 2);
  answers[0]!(0x58);
  await sleep(20);
  t.is(machine.state, 'running');
  answers[1]!(0x59);
  t.deepEqual(await soon('the end', machine.exited), { reason: 'poweroff', consoleTail: 'Y' });
  answers[1]!(0x5a);
});

test('an interrupt of a device’s is received: raise()', async (t) => {
  const text = [...Buffer.from('ok\0')];
  const device: Device = {
    // Ready for interrupts; then a byte for each, and another interrupt unless it was the last.
    write: () => machine.interrupt(5).raise(),
    read: () => {
      const byte = text.shift()!;
      if (text.length > 0) setTimeout(() => machine.interrupt(5).raise(), 1);
      return byte;
    },
  };
  const end: Device = { write: () => void machine.stop() };
  const machine = await makeMachine(t, {
    ...guest('device-interrupt'),
    devices: [
      { device, io: { base: 0x500, length: 1 }, interrupt: 5 },
      { device: end, io: { base: 0xf4, length: 1 } },
    ],
  });
  await machine.start();
  t.deepEqual(await soon('the end', machine.exited), { reason: 'killed', consoleTail: 'ok' });
});

test('an interrupt line has a level: set()', async (t) => {
  const machine = await startMachine(t, flat(SLEEP));
  const line = machine.interrupt(9);
  t.is(line.line, 9);
  t.is(machine.interrupt(9), line);
  // struct kvm_pic_state of the second controller: last_irr, irr
  const requested = (): number => machine.vm.getIrqchip(1)[8]! & (1 << 1);
  await machine.pause();
  t.is(requested(), 0);
  line.set(true);
  t.not(requested(), 0);
  for (const value of [undefined, null, 1, 'true']) {
    t.throws(() => line.set(value as unknown as boolean), {
      code: 'ERR_INVALID_ARG_TYPE',
      message: /"active"/,
    });
  }
  await machine[Symbol.asyncDispose]();
  line.raise();
  line.set(false);
});

test('lines that are no device’s', async (t) => {
  const machine = await makeMachine(t, flat(SLEEP));
  for (const line of [-1, 0, 4, 24, 5.5, Number.NaN]) {
    t.throws(() => machine.interrupt(line), { code: 'ERR_OUT_OF_RANGE', message: /"line"/ });
  }
  for (const line of ['5', null, undefined, 5n]) {
    t.throws(() => machine.interrupt(line as unknown as number), {
      code: 'ERR_INVALID_ARG_TYPE',
      message: /"line"/,
    });
  }
});

test('a device that two vCPUs use', async (t) => {
  // Each processor's number, as it is printed, is a port write that a device could take instead.
  const numbers: number[] = [];
  const bytes = Uint8Array.from(findGuest('start-processors').bytes);
  // mov dx, COM1 becomes mov dx, 0x700
  for (let at = 0; at < bytes.length - 4; at++) {
    if (bytes[at] === 0x66 && bytes[at + 1] === 0xba && bytes[at + 2] === 0xf8)
      bytes.set([0x00, 0x07], at + 2);
  }
  const machine = await startMachine(t, {
    ...guest('start-processors'),
    kernel: bytes,
    cpus: 2,
    devices: [
      {
        device: { write: async (_at, value) => (await sleep(1), void numbers.push(value)) },
        io: { base: 0x700, length: 1 },
      },
    ],
  });
  t.like(await soon('the end', machine.exited), { reason: 'poweroff', consoleTail: '' });
  t.deepEqual(
    numbers.slice(0, 2).toSorted((a, b) => a - b),
    [0x30, 0x31],
  );
  t.deepEqual(numbers.slice(2), [0x41, 0x42]);
});

test('a device outlives a reset', async (t) => {
  let lives = 0;
  const exit = await runMachine(t, {
    // in al, 0x700; cmp al, 3; jb over the power-off; off; over: reset
    ...flat([...inputFrom(0x700), 0x3c, 3, 0x72, POWER_OFF.length], POWER_OFF, ACPI_RESET, SPIN),
    onReset: 'restart',
    devices: [{ device: { read: () => ++lives }, io: { base: 0x700, length: 1 } }],
  });
  t.is(exit.reason, 'poweroff');
  t.is(lives, 3);
});

test('a Rust device of the caller’s', async (t) => {
  const third = new Serial();
  const machine = await startMachine(t, {
    ...flat(print('third', 0x3e8), POWER_OFF),
    devices: [{ device: third, io: { base: 0x3e8, length: 8 } }],
  });
  await soon('the end', machine.exited);
  t.is(Buffer.from(third.takeOutput()).toString(), 'third');
});

/** What cannot be attached, and the words for it. */
const REFUSED: readonly (readonly [name: string, devices: MachineDevice[], code: string, message: RegExp])[] =
  [
    [
      'ports of the serial port',
      [{ device: noDevice, io: { base: 0x3ff, length: 2 } }],
      'ERR_KVM_RANGE_CLAIMED',
      /^config\.devices\[0\]\.io: the range overlaps with the one of 0x8 at 0x3f8$/,
    ],
    [
      'the port of the panic device',
      [{ device: noDevice, io: { base: 0x505, length: 1 } }],
      'ERR_KVM_RANGE_CLAIMED',
      /^config\.devices\[0\]\.io: .* at 0x505$/,
    ],
    [
      'ports of the power device',
      [{ device: noDevice, io: { base: 0x5ff, length: 2 } }],
      'ERR_KVM_RANGE_CLAIMED',
      /^config\.devices\[0\]\.io: .* at 0x600$/,
    ],
    [
      'ports of another device',
      [
        { device: noDevice, io: { base: 0x700, length: 4 } },
        { device: noDevice, io: { base: 0x703, length: 4 } },
      ],
      'ERR_KVM_RANGE_CLAIMED',
      /^config\.devices\[1\]\.io: .* at 0x700$/,
    ],
    [
      'addresses of another device',
      [
        { device: noDevice, mmio: { base: 0xd000_1000, length: 0x1000 } },
        { device: noDevice, mmio: { base: 0xd000_1fff, length: 1 } },
      ],
      'ERR_KVM_RANGE_CLAIMED',
      /^config\.devices\[1\]\.mmio: .* at 0xd0001000$/,
    ],
    [
      'RAM',
      [{ device: noDevice, mmio: { base: 0x1000, length: 1 } }],
      'ERR_OUT_OF_RANGE',
      /"config\.devices\[0\]\.mmio\.base"/,
    ],
    [
      'the interrupt of another device',
      [
        { device: noDevice, io: { base: 0x700, length: 1 }, interrupt: 5 },
        { device: noDevice, io: { base: 0x701, length: 1 }, interrupt: 5 },
      ],
      'ERR_INVALID_ARG_VALUE',
      /'config\.devices\[1\]\.interrupt' is that of config\.devices\[0\]/,
    ],
    [
      'the interrupt of the serial port',
      [{ device: noDevice, io: { base: 0x700, length: 1 }, interrupt: 4 }],
      'ERR_OUT_OF_RANGE',
      /"config\.devices\[0\]\.interrupt"/,
    ],
    [
      'an ACPI name that the machine has',
      [{ device: noDevice, io: { base: 0x700, length: 1 }, acpi: { name: 'COM1', hid: 'LNRO0005' } }],
      'ERR_KVM_BOOT',
      /^devices: device COM1: the name is taken/,
    ],
    [
      'an ACPI id twice',
      [
        { device: noDevice, io: { base: 0x700, length: 1 }, acpi: { name: 'DEV0', hid: 'LNRO0005' } },
        { device: noDevice, io: { base: 0x701, length: 1 }, acpi: { name: 'DEV1', hid: 'LNRO0005' } },
      ],
      'ERR_KVM_BOOT',
      /^devices: device DEV1: there is another LNRO0005 with uid 0/,
    ],
  ];

for (const [name, devices, code, message] of REFUSED) {
  test(`refused: a device that wants ${name}`, async (t) => {
    await t.throwsAsync(makeMachine(t, { ...flat(POWER_OFF), devices }), { code, message });
  });
}

test('a device that is told in ACPI is in the tables', async (t) => {
  const config = (devices: MachineDevice[]): Promise<number> =>
    makeMachine(t, { ...flat(POWER_OFF), devices }).then(
      ({ placed }) => placed.find(({ name }) => name === 'ACPI DSDT')!.length,
    );
  const io = { base: 0x700, length: 4 };
  const mmio = { base: 0xd000_1000, length: 0x1000 };
  const without = await config([{ device: noDevice, io, mmio, interrupt: 5 }]);
  const withIt = await config([
    { device: noDevice, io, mmio, interrupt: 5, acpi: { name: 'DEV0', hid: 'LNRO0005' } },
  ]);
  t.true(withIt > without);
});
