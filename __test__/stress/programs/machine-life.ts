/** Whole machines: many lives, many at once, and processes that end while one runs. */
import { setTimeout as sleep } from 'node:timers/promises';

import { Machine, type MachineConfig } from '../../../index.ts';
import { main } from './machine.ts';
import { held } from './resources.ts';

/** mov dx, COM1; mov al, 'x'; out dx, al; mov dx, 0x600; mov al, 0x34; out dx, al: prints and powers off. */
const BRIEF = [0xba, 0xf8, 0x03, 0xb0, 0x78, 0xee, 0xba, 0x00, 0x06, 0xb0, 0x34, 0xee, 0xf4];
/** cli; jmp to itself */
const SPIN = [0xfa, 0xeb, 0xfe];
/** mov dx, 0x700; again: out dx, al; jmp again */
const STORM = [0xba, 0x00, 0x07, 0xee, 0xeb, 0xfd];

function flat(code: readonly number[], more: MachineConfig = {}): MachineConfig {
  return { kernel: Uint8Array.from(code), protocol: 'flat', memory: 2 ** 21, ...more };
}

async function life(): Promise<void> {
  const machine = await Machine.create(flat(BRIEF));
  await machine.start();
  const { reason, consoleTail } = await machine.exited;
  if (reason !== 'poweroff' || consoleTail !== 'x') throw new Error(`it ended by ${reason}: ${consoleTail}`);
  await machine[Symbol.asyncDispose]();
}

await main({
  async '100 rounds of create, boot, dispose'() {
    for (let round = 0; round < 10; round++) await life();
    await sleep(50);
    const before = held();
    for (let round = 0; round < 100; round++) await life();
    await sleep(50);
    const after = held();
    for (const key of ['descriptors', 'maps', 'threads'] as const) {
      const grown = `${before[key]} before, ${after[key]} after`;
      console.log(key, after[key] <= before[key] ? 'as before' : grown);
    }
    // 100 machines of 2 MiB each: if one in four stayed, it would show.
    const grown = after.residentMb - before.residentMb;
    console.log('resident memory', grown < 50 ? 'bounded' : `has grown by ${grown} MiB`);
  },
  async 'ten machines at once'() {
    const create = (): Promise<Machine> => Machine.create(flat(BRIEF));
    const machines = await Promise.all(Array.from({ length: 10 }, create));
    await Promise.all(machines.map((machine) => machine.start()));
    const exits = await Promise.all(machines.map((machine) => machine.exited));
    console.log('powered off', exits.filter(({ reason }) => reason === 'poweroff').length);
    console.log('printed', exits.map(({ consoleTail }) => consoleTail).join(''));
    await Promise.all(machines.map((machine) => machine[Symbol.asyncDispose]()));
  },
  async 'a machine that runs keeps the process'() {
    const machine = await Machine.create(flat(SPIN));
    await machine.start();
    setTimeout(() => {
      console.log('still here');
      void machine.stop();
    }, 100).unref();
    void machine.exited.then(({ reason }) => console.log(reason));
  },
  async 'one that is unreferenced does not'() {
    const machine = await Machine.create(flat(SPIN));
    machine.unref();
    await machine.start();
    process.on('exit', () => console.log(machine.state));
  },
  async 'nor does one that storms a JavaScript device'() {
    let writes = 0;
    const device = { write: () => void writes++ };
    const machine = await Machine.create(
      flat(STORM, { devices: [{ device, io: { base: 0x700, length: 1 } }] }),
    );
    machine.unref();
    await machine.start();
    process.on('exit', () => console.log(machine.state));
  },
  async 'one that is paused does not'() {
    const machine = await Machine.create(flat(SPIN));
    await machine.start();
    await machine.pause();
    process.on('exit', () => console.log(machine.state));
  },
  async 'exit while one runs'() {
    const machine = await Machine.create(flat(SPIN));
    await machine.start();
    process.exit(7);
  },
});
