/** Resets: from outside and by the guest, and what of a machine outlives them. */
import { rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import test from 'ava';

import type { MachineDevice } from '../../index.ts';
import {
  ACPI_RESET,
  COM1,
  KEYBOARD_RESET,
  POWER_OFF,
  SLEEP,
  SPIN,
  TRIPLE_FAULT,
  flat,
  flat32,
  in32,
  inputFrom,
  makeMachine,
  out,
  print,
  runMachine,
  soon,
  startMachine,
  textOf,
} from '../helpers/whole-machine.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { until } from '../helpers/wait.ts';

/** A device whose reads count the lives of a guest: al becomes 1, then 2, and so on. */
function lifeCounter(): { devices: MachineDevice[] } {
  let lives = 0;
  return { devices: [{ device: { read: () => ++lives }, io: { base: 0x700, length: 1 } }] };
}

/** cmp al, life; jne over: what follows is done in that life only. */
function inLife(life: number, code: readonly number[]): number[] {
  return [0x3c, life, 0x75, code.length, ...code];
}

const COUNT_LIFE = inputFrom(0x700);

test('a guest that resets three times and powers off', async (t) => {
  const { devices } = lifeCounter();
  const machine = await makeMachine(t, {
    // The guest prints in which life it is: add al, '0'; mov dx, COM1; out dx, al; sub al, '0'
    ...flat(
      COUNT_LIFE,
      [0x04, 0x30, 0xba, 0xf8, 0x03, 0xee, 0x2c, 0x30],
      inLife(4, POWER_OFF),
      inLife(2, KEYBOARD_RESET),
      ACPI_RESET,
      SPIN,
    ),
    onReset: 'restart',
    devices,
  });
  let resets = 0;
  machine.on('reset', () => resets++);
  const text = textOf(machine.console);
  await machine.start();
  t.deepEqual(await soon('the end', machine.exited), { reason: 'poweroff', consoleTail: '1234' });
  t.is(await text, '1234');
  t.is(resets, 3);
});

test('a reset from outside: empty memory, the kernel as it was, a new machine below', async (t) => {
  // mov byte ptr [0x500], 7; mov byte ptr [start], 0x90; then sleep
  const machine = await startMachine(
    t,
    flat([0xc6, 0x06, 0x00, 0x05, 7], [0xc6, 0x06, 0x00, 0x7c, 0x90], print('x'), SLEEP),
  );
  const before = machine.vm;
  await until(() => before.memory.readUint8(0x7c00) === 0x90);
  before.memory.writeUint8(0x9000, 0x55);
  await machine.pause();
  // Stopped before its first instruction, it shows what it begins with.
  machine.once('reset', () => void machine.pause());
  await soon('reset()', machine.reset());
  t.not(machine.vm, before);
  t.true(before.closed);
  t.deepEqual(
    [0x500, 0x7c00, 0x9000].map((address) => machine.vm.memory.readUint8(address)),
    [0, 0xc6, 0],
  );
  t.is(machine.protocol, 'flat');
  t.is(machine.placed.find(({ name }) => name === 'flat image')?.address, 0x7c00);
});

test('devices have their state after power-on again', async (t) => {
  // The first life: the scratch register of COM1 (7) and index of the CMOS (0x70) and its byte 0x40 are written.
  const { devices } = lifeCounter();
  const first = [...out(COM1 + 7, 0x5a), ...out(0x70, 0x40), ...out(0x71, 0x77), ...ACPI_RESET, ...SPIN];
  const store = (address: number): number[] => [0xa2, address & 0xff, address >> 8]; // mov [address], al
  const machine = await startMachine(t, {
    ...flat(
      COUNT_LIFE,
      inLife(1, first),
      [...inputFrom(COM1 + 7), ...store(0x500)],
      [...out(0x70, 0x40), ...inputFrom(0x71), ...store(0x501)],
      POWER_OFF,
    ),
    onReset: 'restart',
    devices,
  });
  await soon('the end', machine.exited);
  t.deepEqual([...machine.vm.memory.read(0x500, 2)], [0, 0]);
});

test('what was typed and not read is gone, as with the power', async (t) => {
  const { devices } = lifeCounter();
  // The second life prints COM1's line status: bit 0 is "data ready".
  const status = [...inputFrom(COM1 + 5), 0xba, 0xf8, 0x03, 0x24, 1, 0x04, 0x30, 0xee];
  const machine = await makeMachine(t, {
    ...flat(COUNT_LIFE, inLife(1, [...ACPI_RESET, ...SPIN]), status, POWER_OFF),
    onReset: 'restart',
    devices,
  });
  machine.console.write('typed');
  await machine.start();
  t.like(await soon('the end', machine.exited), { consoleTail: '0' });
});

test('the boot time is that of the present life', async (t) => {
  const { devices } = lifeCounter();
  const machine = await startMachine(t, {
    ...flat(COUNT_LIFE, inLife(1, out(0x3f0, 123)), SLEEP),
    devices,
  });
  await until(() => machine.bootTime !== undefined);
  t.true(machine.bootTime! > 0);
  await machine.reset();
  t.is(machine.bootTime, undefined);
});

test('the boot timer counts from the start, at its port and its address', async (t) => {
  const created = performance.now();
  const first = await makeMachine(t, flat(out(0x3f0, 123), SLEEP));
  await sleep(300);
  await first.start();
  await until(() => first.bootTime !== undefined);
  t.true(first.bootTime! > 0 && first.bootTime! < performance.now() - created - 300, `${first.bootTime} ms`);
  // mov byte ptr [0xd0000000], 123
  const second = await startMachine(t, flat32([0xc6, 0x05, 0x00, 0x00, 0x00, 0xd0, 123], [0xeb, 0xfe]));
  await until(() => second.bootTime !== undefined);
  t.true(second.bootTime! > 0);
  await second.stop();
  t.true(second.bootTime! > 0, 'it can be asked afterwards');
});

test('a panic that an earlier life printed is not the present one’s', async (t) => {
  for (const read of [true, false]) {
    const { devices } = lifeCounter();
    const machine = await makeMachine(t, {
      // 32-bit: mov dx, 0x700; in al, dx; cmp al, 1; jne over
      ...flat32(
        in32(COUNT_LIFE),
        inLife(1, [...in32(print('Kernel panic - not syncing: first\n')), ...in32(ACPI_RESET), 0xeb, 0xfe]),
        TRIPLE_FAULT,
      ),
      onReset: 'restart',
      devices,
    });
    const text = read ? textOf(machine.console) : undefined;
    await machine.start();
    const consoleTail = 'Kernel panic - not syncing: first\n';
    t.deepEqual(await soon('the end', machine.exited), { reason: 'tripleFault', vcpu: 0, consoleTail });
    t.is(await (text ?? textOf(machine.console)), consoleTail);
  }
});

test('what nobody read is kept over resets, the last 64 KiB of it', async (t) => {
  const { devices } = lifeCounter();
  // Each life prints 0x6000 times its number: mov cx, 0x6000; mov dx, COM1; again: out dx, al; loop again
  const life = [0xb9, 0x00, 0x60, 0xba, 0xf8, 0x03, 0xee, 0xe2, 0xfd];
  const machine = await startMachine(t, {
    ...flat(COUNT_LIFE, life, inLife(4, POWER_OFF), ACPI_RESET, SPIN),
    onReset: 'restart',
    devices,
  });
  await soon('the end', machine.exited);
  const text = await textOf(machine.console);
  const expected = [2, 3, 4].map((number) => String.fromCharCode(number).repeat(0x6000)).join('');
  t.is(text.length, 0x1_0000);
  t.is(text, expected.slice(-0x1_0000));
});

test('an interrupt line is the same line in the next life', async (t) => {
  const machine = await startMachine(t, flat(SLEEP));
  const line = machine.interrupt(5);
  await machine.reset();
  t.is(machine.interrupt(5), line);
  line.set(true);
  await machine.pause();
  // struct kvm_pic_state: last_irr, irr
  t.is(machine.vm.getIrqchip(0)[8]! & (1 << 5), 1 << 5);
});

test('images are read again: a file that is gone ends the machine', async (t) => {
  const path = `${temporaryFolder(t)}/kernel`;
  const config = (): { kernel: string; protocol: 'flat' } => {
    writeFileSync(path, Uint8Array.from(SLEEP));
    return { kernel: path, protocol: 'flat' };
  };
  const machine = await startMachine(t, config());
  writeFileSync(path, Uint8Array.from([...print('new'), ...POWER_OFF]));
  await machine.reset();
  t.like(await soon('the end', machine.exited), { reason: 'poweroff', consoleTail: 'new' });

  const gone = await startMachine(t, config());
  rmSync(path);
  const error = await t.throwsAsync(soon('reset()', gone.reset()), { code: 'ERR_KVM_BOOT' });
  t.is(gone.state, 'exited');
  const exit = await gone.exited;
  t.is(exit.reason === 'error' ? exit.error : undefined, error);
});

test('images are read again: the guest’s own reset, too', async (t) => {
  const path = `${temporaryFolder(t)}/kernel`;
  const { devices } = lifeCounter();
  const removing = { device: { read: () => (rmSync(path), 0) }, io: { base: 0x701, length: 1 } };
  writeFileSync(path, Uint8Array.from([inputFrom(0x701), ACPI_RESET, SPIN].flat()));
  const exit = await soon(
    'the end',
    runMachine(t, { kernel: path, protocol: 'flat', onReset: 'restart', devices: [...devices, removing] }),
  );
  t.is(exit.reason, 'error');
  if (exit.reason === 'error') t.like(exit.error, { code: 'ERR_KVM_BOOT' });
});

test('stop() of a machine that fetches its kernel for ever during a reset', async (t) => {
  let requests = 0;
  const server = createServer((_request, response) => {
    // The first time all of it, then a beginning and no end.
    if (++requests === 1) response.end(Uint8Array.from(SLEEP));
    else response.write('x');
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const kernel = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/kernel`);
  const machine = await startMachine(t, { kernel, protocol: 'flat' });
  const resetting = t.throwsAsync(machine.reset(), { code: 'ERR_KVM_MACHINE_STATE' });
  await until(() => requests === 2);
  await soon('stop()', machine.stop());
  await soon('reset()', resetting);
  t.like(await machine.exited, { reason: 'killed' });
});
