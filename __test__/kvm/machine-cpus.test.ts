/** Machines with more than one vCPU. */
import test from 'ava';

import {
  POWER_OFF,
  SPIN,
  flat,
  guest,
  makeMachine,
  out,
  soon,
  startMachine,
} from '../helpers/whole-machine.ts';
import { until } from '../helpers/wait.ts';

for (const cpus of [1, 2, 3, 4]) {
  test(`${cpus} vCPUs: the first starts the others by INIT and SIPI, each says its number`, async (t) => {
    const machine = await startMachine(t, { ...guest('start-processors'), cpus });
    const exit = await soon('the end', machine.exited);
    t.is(exit.reason, 'poweroff');
    const numbers = exit.consoleTail.slice(0, cpus);
    t.is(numbers.split('').toSorted().join(''), '0123'.slice(0, cpus));
    t.is(exit.consoleTail.slice(cpus), 'ABCD'.slice(0, cpus), 'the MP table counts them');
  });
}

test('they start again after a reset', async (t) => {
  const machine = await makeMachine(t, { ...guest('start-processors'), cpus: 2 });
  let printed = '';
  machine.console.on('data', (bytes: Buffer) => (printed += bytes.toString()));
  let resets = 0;
  machine.on('reset', () => resets++);
  await machine.start();
  // Wherever it is by then.
  await until(() => printed.length > 0);
  if (machine.state === 'running') await machine.reset().catch(() => undefined);
  t.is((await soon('the end', machine.exited)).reason, 'poweroff');
  t.regex(printed.slice(resets === 0 ? 0 : -4), /^(01|10)AB$/);
});

test('pause and resume take all of them', async (t) => {
  const machine = await startMachine(t, { ...guest('start-processors'), cpus: 4 });
  const stateNow = (): string => machine.state;
  for (let round = 0; round < 20; round++) {
    // The guest may have ended just before.
    await machine.pause().catch(() => undefined);
    if (stateNow() !== 'paused') break;
    for (const vcpu of machine.vm.vcpus) vcpu.getRegs();
    await machine.resume();
  }
  t.like(await soon('the end', machine.exited), { reason: 'poweroff' });
});

test('32 vCPUs, of which one runs', async (t) => {
  const machine = await startMachine(t, { ...flat(out(0x80, 1), POWER_OFF), cpus: 32 });
  t.is(machine.vm.vcpus.length, 32);
  t.like(await soon('the end', machine.exited), { reason: 'poweroff' });
});

test('32 vCPUs that wait for their start can be paused and stopped', async (t) => {
  const machine = await startMachine(t, { ...flat(SPIN), cpus: 32 });
  await soon('pause()', machine.pause());
  await machine.resume();
  await soon('stop()', machine.stop());
  t.like(await machine.exited, { reason: 'killed' });
});

test('a triple fault says on which vCPU', async (t) => {
  const machine = await startMachine(t, { ...flat(SPIN), cpus: 2 });
  await machine.pause();
  // The second one runs what would be there: in protected mode without a vector table, an instruction that is none.
  const [, second] = machine.vm.vcpus;
  machine.vm.memory.write(0x5000, Uint8Array.of(0x0f, 0x0b));
  const { cs } = second!.getSregs();
  second!.setSregs({ cr0: 0x11n, idt: { base: 0n, limit: 0 }, cs: { ...cs, base: 0n, selector: 0, db: 1 } });
  second!.setRegs({ rip: 0x5000 });
  second!.setMpState(0);
  await machine.resume();
  t.like(await soon('the end', machine.exited), { reason: 'tripleFault', vcpu: 1 });
});
