import test from 'ava';
import { Machine } from '../../index.ts';

test('a machine with 32 vCPUs starts and stops without a warning of Node', async (t) => {
  const warnings: Error[] = [];
  const note = (warning: Error): void => void warnings.push(warning);
  process.on('warning', note);
  // cli; hlt; jmp back to hlt
  const kernel = Uint8Array.of(0xfa, 0xf4, 0xeb, 0xfd);
  const machine = await Machine.create({ kernel, protocol: 'flat', memory: '16MiB', cpus: 32 });
  await machine.start();
  t.is(machine.vm.vcpus.length, 32);
  await machine.stop();
  t.is((await machine.exited).reason, 'killed');
  await machine[Symbol.asyncDispose]();
  // Node tells warnings on a later turn.
  await new Promise((resolve) => setTimeout(resolve, 10));
  process.off('warning', note);
  t.deepEqual(warnings, []);
});
