/** What each call does in each state of a machine, and what happens when calls meet. */
import { setTimeout as sleep } from 'node:timers/promises';

import test, { type ExecutionContext } from 'ava';

import type { Machine } from '../../index.ts';
import {
  ACPI_RESET,
  POWER_OFF,
  SLEEP,
  SPIN,
  flat,
  makeMachine,
  print,
  soon,
  startMachine,
} from '../helpers/whole-machine.ts';
import { until } from '../helpers/wait.ts';

type Action = 'start' | 'pause' | 'resume' | 'reset' | 'stop';
type State = 'created' | 'running' | 'paused' | 'exited';

const ACTIONS: readonly Action[] = ['start', 'pause', 'resume', 'reset', 'stop'];

/** Brings a machine that spins into a state. */
const ENTER: Record<State, (t: ExecutionContext) => Promise<Machine>> = {
  created: (t) => makeMachine(t, flat(SPIN)),
  running: (t) => startMachine(t, flat(SPIN)),
  async paused(t) {
    const machine = await startMachine(t, flat(SPIN));
    await machine.pause();
    return machine;
  },
  async exited(t) {
    const machine = await startMachine(t, flat(SPIN));
    await machine.stop();
    return machine;
  },
};

/** The state after a call; what is not here is refused. */
const ALLOWED: Partial<Record<`${State} ${Action}`, State>> = {
  'created start': 'running',
  'created reset': 'running',
  'created stop': 'exited',
  'running pause': 'paused',
  'running reset': 'running',
  'running stop': 'exited',
  'paused resume': 'running',
  'paused reset': 'running',
  'paused stop': 'exited',
  'exited stop': 'exited',
};

for (const state of Object.keys(ENTER) as State[]) {
  for (const action of ACTIONS) {
    const after = ALLOWED[`${state} ${action}`];
    test(`${action}() of a machine that is ${state}: ${after ?? 'refused'}`, async (t) => {
      const machine = await ENTER[state](t);
      t.is(machine.state, state);
      const call = soon(action, machine[action]());
      if (after !== undefined) {
        await call;
        t.is(machine.state, after);
        return;
      }
      await t.throwsAsync(call, {
        code: 'ERR_KVM_MACHINE_STATE',
        message: `${action}() of a machine that is ${state}`,
      });
      t.is(machine.state, state);
    });
  }
}

/** Notes each event with the state at that moment. */
function listen(machine: Machine): string[] {
  const seen: string[] = [];
  for (const event of ['running', 'paused', 'reset', 'exited'] as const) {
    machine.on(event, () => seen.push(`${event} (${machine.state})`));
  }
  return seen;
}

test('the events of a life', async (t) => {
  const machine = await makeMachine(t, flat(SPIN));
  const seen = listen(machine);
  await machine.start();
  await machine.pause();
  await machine.resume();
  await machine.reset();
  await machine.stop();
  await machine.stop();
  await machine[Symbol.asyncDispose]();
  t.deepEqual(seen, [
    'running (running)',
    'paused (paused)',
    'running (running)',
    'reset (running)',
    'running (running)',
    'exited (exited)',
  ]);
});

test('exited is given to the listeners as to those who wait', async (t) => {
  const machine = await makeMachine(t, flat(POWER_OFF));
  const told = new Promise((resolve) => void machine.once('exited', resolve));
  await machine.start();
  t.deepEqual(await soon('the event', told), await machine.exited);
});

test('resume() while pause() is under way: it runs', async (t) => {
  const machine = await startMachine(t, flat(SPIN));
  const seen = listen(machine);
  await soon('both', Promise.all([machine.pause(), machine.resume()]));
  t.is(machine.state, 'running');
  t.deepEqual(seen, ['paused (paused)', 'running (running)']);
});

test('two resume() at once: it runs, once', async (t) => {
  const machine = await ENTER.paused(t);
  const seen = listen(machine);
  await soon('both', Promise.all([machine.resume(), machine.resume()]));
  t.deepEqual(seen, ['running (running)']);
});

test('stop() while pause() is under way: it has ended', async (t) => {
  const machine = await startMachine(t, flat(SPIN));
  const seen = listen(machine);
  await soon('both', Promise.all([machine.pause(), machine.stop()]));
  t.is(machine.state, 'exited');
  t.deepEqual(seen.at(-1), 'exited (exited)');
});

test('pause() of a machine whose guest has ended, which it does not know yet: exited', async (t) => {
  const stateNow = (machine: Machine): string => machine.state;
  for (let round = 0; round < 10; round++) {
    const machine = await makeMachine(t, flat(POWER_OFF));
    await machine.start();
    // The event loop must not hear of the end before pause() is called.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5 * round);
    await machine.pause();
    if (stateNow(machine) === 'paused') await machine.resume();
    t.is((await soon('the end', machine.exited)).reason, 'poweroff');
    await machine[Symbol.asyncDispose]();
  }
});

test('two reset() at once are one', async (t) => {
  const machine = await startMachine(t, flat(SPIN));
  const seen = listen(machine);
  await soon('both', Promise.all([machine.reset(), machine.reset()]));
  t.deepEqual(seen, ['reset (running)', 'running (running)']);
});

test('pause() while reset() is under way: it begins anew, and is paused', async (t) => {
  const machine = await startMachine(t, flat(print('.'), SLEEP));
  const seen = listen(machine);
  const resetting = machine.reset();
  const pausing = machine.pause();
  await soon('both', Promise.all([resetting, pausing]));
  t.is(machine.state, 'paused');
  t.is(seen.at(-1), 'paused (paused)');
  await machine.resume();
  t.is(machine.state, 'running');
  await machine.stop();
});

/** Keeps the event loop busy while a guest goes on: what it asks for meanwhile is served later. */
function busy(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

test('a guest that resets itself just when it is paused begins anew, and is paused', async (t) => {
  const machine = await makeMachine(t, { ...flat(print('.'), ACPI_RESET, SPIN), onReset: 'restart' });
  const seen = listen(machine);
  const starting = machine.start();
  // The guest has asked for the reset by now, and nobody has heard it.
  busy(100);
  await soon('pause()', Promise.all([starting, machine.pause()]));
  t.deepEqual(seen, ['running (running)', 'reset (paused)', 'paused (paused)']);
  await sleep(20);
  t.is(machine.state, 'paused');
  t.deepEqual(machine.vm.vcpus[0]!.getRegs().rip, 0x7c00n, 'it has not begun');
  await machine.resume();
  await until(() => seen.length > 5);
  await soon('stop()', machine.stop());
});

test('a listener that pauses or stops the machine at its reset is heeded', async (t) => {
  const machine = await startMachine(t, flat(SPIN));
  machine.once('reset', () => void machine.pause());
  await soon('reset()', machine.reset());
  t.is(machine.state, 'paused');
  machine.once('reset', () => void machine.stop());
  await soon('reset()', machine.reset());
  t.like(await soon('the end', machine.exited), { reason: 'killed' });
});

test('stop() while reset() is under way: it has ended, and reset() says so', async (t) => {
  const machine = await startMachine(t, flat(SPIN));
  const resetting = machine.reset();
  const stopping = machine.stop();
  await t.throwsAsync(soon('reset()', resetting), { code: 'ERR_KVM_MACHINE_STATE' });
  await soon('stop()', stopping);
  t.is(machine.state, 'exited');
  t.like(await machine.exited, { reason: 'killed' });
});

test('disposing while reset() is under way waits for it', async (t) => {
  for (let round = 0; round < 5; round++) {
    const machine = await startMachine(t, flat(SPIN));
    let over = false;
    const resetting = machine.reset().catch(() => (over = true));
    await soon('disposing', machine[Symbol.asyncDispose]());
    t.true(over, 'the machine is gone, and is still being reset');
    await resetting;
    t.true(machine.vm.closed);
  }
});

test('disposing twice, also at once, is quiet; afterwards all is refused or empty', async (t) => {
  const machine = await startMachine(t, flat(print('x'), SPIN));
  await soon('both', Promise.all([machine[Symbol.asyncDispose](), machine[Symbol.asyncDispose]()]));
  await machine[Symbol.asyncDispose]();
  await machine.stop();
  for (const action of ['start', 'pause', 'resume', 'reset'] as const) {
    await t.throwsAsync(machine[action](), { code: 'ERR_KVM_MACHINE_STATE' });
  }
  t.is(machine.state, 'exited');
  t.true(machine.vm.closed);
  t.throws(() => machine.vm.memory.readUint8(0), { code: 'ERR_KVM_CLOSED' });
  machine.interrupt(5).raise();
  t.is(machine.bootTime, undefined);
  machine.unref().ref();
});

test('a machine that has ended can be looked at until it is disposed of', async (t) => {
  // mov byte ptr [0x500], 7; then off
  const machine = await startMachine(t, flat([0xc6, 0x06, 0x00, 0x05, 7], POWER_OFF));
  await soon('the end', machine.exited);
  t.is(machine.vm.memory.readUint8(0x500), 7);
  t.is(machine.vm.vcpus[0]!.getRegs().rdx & 0xffffn, 0x600n);
  await machine[Symbol.asyncDispose]();
  t.true(machine.vm.closed);
});

test('stop() of a machine that has never run: killed, without a word', async (t) => {
  const machine = await makeMachine(t, flat(print('x'), SPIN));
  await machine.stop();
  t.deepEqual(await machine.exited, { reason: 'killed', consoleTail: '' });
});

test('what it is made of can be asked', async (t) => {
  const machine = await makeMachine(t, { ...flat(SPIN), cpus: 2, memory: '3MiB' });
  t.is(machine.cpus, 2);
  t.is(machine.memorySize, 3 * 2 ** 20);
  t.is(machine.protocol, 'flat');
  t.is(machine.bootTime, undefined);
  t.is(machine.console2, undefined);
  t.is(machine.debugConsole, undefined);
  t.true(machine.hasRef());
  t.is(machine.vm.vcpus.length, 2);
});
