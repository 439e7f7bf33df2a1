/** Guests that misbehave: what they do stays in the machine, memory stays bounded, and stop() always works. */
import { setTimeout as sleep } from 'node:timers/promises';

import test, { type ExecutionContext } from 'ava';

import { Machine, type MachineConfig } from '../../index.ts';
import { leavesNothing } from '../helpers/held.ts';
import {
  ACPI_RESET,
  FLOOD,
  HALT,
  KEYBOARD_RESET,
  POWER_OFF,
  SLEEP,
  SPIN,
  TRIPLE_FAULT,
  flat,
  flat32,
  guest,
  in32,
  makeMachine,
  soon,
  startMachine,
} from '../helpers/whole-machine.ts';
import { until } from '../helpers/wait.ts';

/** How long a guest may do what it likes, in milliseconds. */
const STORM_MS = 400;

/** What it may leave behind at most, in bytes: garbage that is not collected yet. */
const STORM_MEMORY = 96 * 2 ** 20;

/** mov dx, port; again: out dx, al; jmp again */
function storm(port: number): number[] {
  return [0xba, port & 0xff, port >> 8, 0xee, 0xeb, 0xfd];
}

/** Lets a machine be hostile for a while: the event loop has its turns, memory stays, and stop() ends it. */
async function endure(t: ExecutionContext, machine: Machine): Promise<void> {
  const before = process.memoryUsage();
  let turns = 0;
  const ticking = setInterval(() => turns++, 1);
  await machine.start();
  await sleep(STORM_MS);
  await until(() => turns > 5);
  clearInterval(ticking);
  const after = process.memoryUsage();
  const grown = after.heapUsed + after.external - before.heapUsed - before.external;
  t.true(grown < STORM_MEMORY, `${grown} bytes more`);
  const began = performance.now();
  await soon('stop()', machine.stop());
  t.log(`stop() took ${Math.round(performance.now() - began)} ms`);
  t.is(machine.state, 'exited');
}

const STORMS: readonly (readonly [name: string, config: MachineConfig])[] = [
  ['floods its console', flat(FLOOD)],
  ['floods all of its ports', { ...flat(storm(0x2f8)), console2: true }],
  ['floods its debug console', { ...flat(storm(0xe9)), debugConsole: true }],
  ['spins with interrupts off', flat(SPIN)],
  ['halts with interrupts off', flat(HALT)],
  ['halts with interrupts on', flat(SLEEP)],
  ['asks nobody', flat(storm(0x7777))],
  ['says for ever that it has booted', flat([0xb0, 123], storm(0x3f0))],
  // mov al, 0xff; then the line control, which turns the data port into the divisor
  ['turns its port’s speed for ever', flat([0xb0, 0xff], storm(0x3fb))],
  // mov al, 0x0f; then the interrupts of the port: each write makes one
  ['interrupts itself by its port', flat([0xb0, 0x0f], storm(0x3f9))],
  [
    'asks a JavaScript device',
    {
      ...flat(storm(0x700)),
      devices: [{ device: { write: () => undefined }, io: { base: 0x700, length: 1 } }],
    },
  ],
  ['floods on four vCPUs', { ...guest('start-processors'), cpus: 4 }],
];

for (const [name, config] of STORMS) {
  test.serial(`a guest that ${name}`, async (t) => {
    await endure(t, await makeMachine(t, config));
  });
}

test.serial(
  'between the calls of a device that is asked for ever the event loop has its turns',
  async (t) => {
    let turns = 0;
    let calls = 0;
    let most = 0;
    const write = (): void => {
      calls++;
      most = Math.max(most, calls);
    };
    const devices = [{ device: { write }, io: { base: 0x700, length: 1 } }];
    const machine = await startMachine(t, { ...flat(storm(0x700)), devices });
    await new Promise<void>((resolve) => {
      const turn = (): void => {
        calls = 0;
        if (++turns === 50) resolve();
        else setTimeout(turn, 1);
      };
      turn();
    });
    await soon('stop()', machine.stop());
    // They get 2 ms of a turn, which is some hundred calls.
    t.true(most < 10_000, `${most} calls in one turn`);
  },
);

test.serial('a guest that floods a reader that has stopped', async (t) => {
  const machine = await makeMachine(t, flat(FLOOD));
  machine.console.once('readable', () => undefined);
  await endure(t, machine);
});

test.serial('a guest that never reads what is typed for ever', async (t) => {
  const machine = await makeMachine(t, flat(SPIN));
  const typing = setInterval(() => {
    if (!machine.console.writableNeedDrain) machine.console.write(Buffer.alloc(16_384));
  }, 1);
  await endure(t, machine);
  clearInterval(typing);
});

for (const [name, code] of [
  ['by its power registers', ACPI_RESET],
  ['by its keyboard controller', KEYBOARD_RESET],
] as const) {
  test.serial(`a guest that resets in a loop, ${name}`, async (t) => {
    await leavesNothing(t, async () => {
      const machine = await Machine.create({ ...flat([...code], SPIN), memory: 2 ** 21, onReset: 'restart' });
      let resets = 0;
      machine.on('reset', () => resets++);
      const resident = process.memoryUsage.rss();
      await endure(t, machine);
      await until(() => resets > 0);
      const grown = process.memoryUsage.rss() - resident;
      t.log(`${resets} resets, ${Math.round(grown / 2 ** 20)} MiB more`);
      t.true(grown < STORM_MEMORY);
      t.like(await machine.exited, { reason: 'killed' });
      await machine[Symbol.asyncDispose]();
    });
  });
}

test.serial('guests that fault three times, one after the other', async (t) => {
  await leavesNothing(t, async () => {
    for (let round = 0; round < 20; round++) {
      const machine = await Machine.create({ ...flat32(TRIPLE_FAULT), memory: 2 ** 21, onReset: 'restart' });
      await machine.start();
      t.like(await soon('the end', machine.exited), { reason: 'tripleFault' });
      await machine[Symbol.asyncDispose]();
    }
  });
});

test.serial('a guest that writes to every port there is, in every size', async (t) => {
  // mov eax, 0x5a5a5a5a; xor dx, dx; again: out dx, al; out dx, ax; out dx, eax; inc dx; jnz again; then off
  const sweep = [0x66, 0xb8, 0x5a, 0x5a, 0x5a, 0x5a, 0x31, 0xd2, 0xee, 0xef, 0x66, 0xef, 0x42, 0x75, 0xf9];
  const config = { ...flat(sweep, POWER_OFF), console2: true, debugConsole: true };
  const machine = await startMachine(t, config);
  t.like(await machine.exited, { reason: 'poweroff' });
});

test.serial('a guest that reads every port there is', async (t) => {
  // xor dx, dx; again: in al, dx; in ax, dx; in eax, dx; inc dx; jnz again; then off
  const sweep = [0x31, 0xd2, 0xec, 0xed, 0x66, 0xed, 0x42, 0x75, 0xf9];
  const machine = await startMachine(t, { ...flat(sweep, POWER_OFF), console2: true, debugConsole: true });
  t.like(await machine.exited, { reason: 'poweroff' });
});

test.serial(
  'a guest that writes random values to random ports, and is reset when it asks for it',
  async (t) => {
    // mov eax, seed; again: imul eax, eax, 1103515245; add eax, 12345; mov edx, eax; shr edx, 16; out dx, al; out dx, ax;
    // out dx, eax; mov ebx, eax; in eax, dx; mov eax, ebx; jmp again
    const seed = [0x66, 0xb8, 0x12, 0x34, 0x56, 0x78];
    const next = [0x66, 0x69, 0xc0, 0x6d, 0x4e, 0xc6, 0x41, 0x66, 0x05, 0x39, 0x30, 0, 0];
    const port = [0x66, 0x89, 0xc2, 0x66, 0xc1, 0xea, 0x10];
    const access = [0xee, 0xef, 0x66, 0xef, 0x66, 0x89, 0xc3, 0x66, 0xed, 0x66, 0x89, 0xd8];
    const length = next.length + port.length + access.length + 2;
    const config = flat(seed, [...next, ...port, ...access, 0xeb, 0x100 - length]);
    await endure(
      t,
      await makeMachine(t, { ...config, onReset: 'restart', console2: true, debugConsole: true }),
    );
  },
);

test.serial('a guest that goes through the memory where no memory is', async (t) => {
  // mov esi, 0xc0000000; again: mov [esi], eax; mov eax, [esi]; add esi, 0x10ffc; jnc again; then off
  const sweep = [
    0xbe, 0x00, 0x00, 0x00, 0xc0, 0x89, 0x06, 0x8b, 0x06, 0x81, 0xc6, 0xfc, 0x0f, 0x01, 0x00, 0x73, 0xf4,
  ];
  const machine = await startMachine(t, flat32(sweep, in32(POWER_OFF)));
  t.like(await machine.exited, { reason: 'poweroff' });
});

test.serial('a guest that writes to every register of the interrupt controllers', async (t) => {
  // mov esi, address; again: mov dword ptr [esi], value; mov eax, [esi]; add esi, 16; cmp si, 0x1000; jb again
  const sweep = (address: number, value: number): number[] =>
    [
      [0xbe, 0x00, 0x00, address & 0xff, address >> 8],
      [0xc7, 0x06, value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24],
      [0x8b, 0x06, 0x83, 0xc6, 0x10, 0x66, 0x81, 0xfe, 0x00, 0x10, 0x72, 0xee],
    ].flat();
  const all = [0, 0xffff_ffff, 0x000c_4500, 0x000c_4601, 0x1ff].flatMap((value) => [
    sweep(0xfee0, value),
    sweep(0xfec0, value),
  ]);
  for (const cpus of [1, 2]) {
    const machine = await startMachine(t, { ...flat32(...all, in32(POWER_OFF)), cpus });
    // An INIT that it sends itself, or a vCPU that is started nowhere, may end it otherwise.
    await Promise.race([machine.exited, sleep(STORM_MS)]);
    await soon('stop()', machine.stop());
    const { reason } = await machine.exited;
    t.true(['poweroff', 'killed', 'tripleFault', 'error'].includes(reason), reason);
  }
});

test.serial('listeners that throw are heard of, and the machine goes on', async (t) => {
  const heard: unknown[] = [];
  const hear = (error: unknown): void => void heard.push(error);
  // Whoever watches over uncaught errors gets them.
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', hear);
  t.teardown(() => {
    process.removeAllListeners('uncaughtException');
    for (const other of others) process.on('uncaughtException', other);
  });
  const machine = await makeMachine(t, flat(SPIN));
  const events = ['running', 'paused', 'reset', 'exited'] as const;
  for (const event of events) {
    machine.on(event, () => {
      throw new Error(event);
    });
  }
  await machine.start();
  await machine.pause();
  await machine.resume();
  await machine.reset();
  await soon('stop()', machine.stop());
  t.like(await machine.exited, { reason: 'killed' });
  await soon('disposing', machine[Symbol.asyncDispose]());
  await until(() => heard.length === 6);
  t.deepEqual(
    heard.map((error) => (error as Error).message),
    ['running', 'paused', 'running', 'reset', 'running', 'exited'],
  );
});
