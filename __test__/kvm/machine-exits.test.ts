/** Every way in which a machine ends, and what `exited` says about it. */
import test from 'ava';

import { DebugExit, KvmError, type MachineExit } from '../../index.ts';
import {
  ACPI_RESET,
  FLOOD,
  HALT,
  KEYBOARD_RESET,
  PANIC,
  POWER_OFF,
  SPIN,
  TRIPLE_FAULT,
  flat,
  flat32,
  in32,
  makeMachine,
  out,
  print,
  runMachine,
  soon,
  startMachine,
} from '../helpers/whole-machine.ts';

/** A guest's last words, and what they make of its end. */
const ENDS: readonly (readonly [name: string, code: readonly number[], exit: MachineExit])[] = [
  ['it powers off', [...print('bye\n'), ...POWER_OFF], { reason: 'poweroff', consoleTail: 'bye\n' }],
  ['it resets by the ACPI register', [...ACPI_RESET], { reason: 'reset', consoleTail: '' }],
  ['it resets by the keyboard controller', [...KEYBOARD_RESET], { reason: 'reset', consoleTail: '' }],
  [
    'it panics by pvpanic, without a word',
    [...print('oops'), ...PANIC],
    { reason: 'panic', message: undefined, consoleTail: 'oops' },
  ],
  [
    'it panics by pvpanic, with its words',
    [...print('Kernel panic - not syncing: No init\r\n'), ...PANIC],
    { reason: 'panic', message: 'No init', consoleTail: 'Kernel panic - not syncing: No init\r\n' },
  ],
  [
    'it prints a panic and resets',
    [...print('Kernel panic - not syncing: VFS\n'), ...KEYBOARD_RESET],
    { reason: 'panic', message: 'VFS', consoleTail: 'Kernel panic - not syncing: VFS\n' },
  ],
  [
    'it prints a panic and powers off: it did what it wanted',
    [...print('Kernel panic - not syncing: VFS\n'), ...POWER_OFF],
    { reason: 'poweroff', consoleTail: 'Kernel panic - not syncing: VFS\n' },
  ],
];

for (const [name, code, exit] of ENDS) {
  test(`the end: ${name}`, async (t) => {
    const machine = await startMachine(t, flat([...code], SPIN));
    t.deepEqual(await soon('the end', machine.exited), exit);
    t.is(machine.state, 'exited');
  });
}

test('the end: it faults three times', async (t) => {
  const exit = await soon('the end', runMachine(t, flat32(TRIPLE_FAULT)));
  t.deepEqual(exit, { reason: 'tripleFault', vcpu: 0, consoleTail: '' });
});

test('the end: it prints a panic and faults three times', async (t) => {
  const words = 'Kernel panic - not syncing: X\n';
  const exit = await soon('the end', runMachine(t, flat32(in32(print(words)), TRIPLE_FAULT)));
  t.deepEqual(exit, { reason: 'panic', message: 'X', consoleTail: words });
});

test('the end: a debug exit device of the caller’s, with its code', async (t) => {
  const device = { device: new DebugExit(), io: { base: 0xf4, length: 4 } };
  const exit = await runMachine(t, { ...flat(out(0xf4, 0x15), SPIN), devices: [device] });
  t.deepEqual(exit, { reason: 'exit', code: 0x2b, consoleTail: '' });
});

for (const [name, write] of [
  [
    'throws',
    () => {
      throw new RangeError('mine');
    },
  ],
  ['rejects', () => Promise.reject(new RangeError('mine'))],
] as const) {
  test(`the end: a JavaScript device that ${name}`, async (t) => {
    const devices = [{ device: { write }, io: { base: 0x700, length: 1 } }];
    const exit = await runMachine(t, { ...flat(print('x'), out(0x700, 1), SPIN), devices });
    t.is(exit.reason, 'error');
    t.is(exit.consoleTail, 'x');
    if (exit.reason !== 'error') return;
    t.true(exit.error instanceof RangeError);
    t.is(exit.error.message, 'mine');
  });
}

test('the end: an instruction that KVM cannot run', async (t) => {
  // mov esi, 0xd8000000; fst dword ptr [esi]: the emulator of device accesses knows no x87
  const machine = await startMachine(t, flat32([0xbe, 0x00, 0x00, 0x00, 0xd8], [0xd9, 0x16], [0xeb, 0xfe]));
  const exit = await soon('the end', machine.exited);
  t.is(exit.reason, 'error');
  if (exit.reason !== 'error') return;
  t.true(exit.error instanceof KvmError);
  t.like(exit.error, { code: 'ERR_KVM_GUEST' });
  t.regex(exit.error.message, /^vCPU 0 cannot go on: internalError .*suberror=1/);
});

test('the end: the machine below is closed by its owner', async (t) => {
  const machine = await startMachine(t, flat(SPIN));
  machine.vm.close();
  const exit = await soon('the end', machine.exited);
  t.is(exit.reason, 'error');
  if (exit.reason === 'error') t.like(exit.error, { code: 'ERR_KVM_CLOSED' });
});

test('the end: stop()', async (t) => {
  for (const code of [SPIN, HALT, FLOOD]) {
    const machine = await startMachine(t, flat(code));
    await soon('stop()', machine.stop());
    t.like(await machine.exited, { reason: 'killed' });
  }
});

test('the end: the machine is disposed of while it runs', async (t) => {
  const machine = await startMachine(t, flat(SPIN));
  await soon('disposing', machine[Symbol.asyncDispose]());
  t.like(await machine.exited, { reason: 'killed' });
});

test('the end: the signal', async (t) => {
  const controller = new AbortController();
  const machine = await startMachine(t, { ...flat(SPIN), signal: controller.signal });
  controller.abort();
  t.like(await soon('the end', machine.exited), { reason: 'killed' });
});

test('a kick from outside ends nothing', async (t) => {
  let reads = 0;
  const kickThenOff = (): number => {
    machine.vm.vcpus[0]!.kickHandle.kick();
    return ++reads;
  };
  const devices = [{ device: { read: kickThenOff }, io: { base: 0x700, length: 1 } }];
  // again: mov dx, 0x700; in al, dx; cmp al, 50; jb again; then off
  const machine = await makeMachine(t, {
    ...flat([0xba, 0x00, 0x07, 0xec, 0x3c, 50, 0x72, 0xf8], POWER_OFF),
    devices,
  });
  await machine.start();
  t.like(await soon('the end', machine.exited), { reason: 'poweroff' });
  t.is(reads, 50);
});

test('the tail of the console is its last 16 KiB', async (t) => {
  // mov dx, COM1; mov cx, 0x5000; mov al, 'a'; again: out dx, al; loop again; mov al, 'z'; out dx, al
  const text = [0xba, 0xf8, 0x03, 0xb9, 0x00, 0x50, 0xb0, 0x61, 0xee, 0xe2, 0xfd, 0xb0, 0x7a, 0xee];
  const { consoleTail } = await runMachine(t, flat(text, POWER_OFF));
  t.is(consoleTail, `${'a'.repeat(0x3fff)}z`);
});
