/** Mistakes that must stay small: a panic in native code, a listener that throws. */
import { Serial, type KvmError } from '../../../index.ts';
import { native } from '../../../lib/internal/native.ts';
import { machine, main, waitFor } from './machine.ts';

await main({
  panic() {
    try {
      native().panicOnPurpose();
    } catch (error) {
      const { code, message } = error as KvmError;
      console.log(code, message);
    }
    const { vcpu } = machine('add-numbers');
    console.log(vcpu.run({ ioOut: () => undefined }).reason);
  },
  async 'a listener that throws'() {
    // Somebody catches what nobody caught, as servers do: then the others must still be served.
    let thrown = 0;
    process.on('uncaughtException', () => thrown++);
    const loud = machine('exit-storm');
    const serial = new Serial({
      onOutput: () => {
        throw new Error('from the listener');
      },
    });
    loud.vm.io.attach({ base: 0x600, length: 256 }, serial);
    const quiet = machine('pio-out-loop');
    let exits = 0;
    const runs = [loud.vcpu.runInBackground(), quiet.vcpu.runInBackground({ ioOut: () => void exits++ })];
    await waitFor('errors', () => thrown > 5);
    const before = exits;
    await waitFor('exits of the other', () => exits > before + 1000);
    console.log('others went on', true);
    for (const { vcpu } of [loud, quiet]) vcpu.kickHandle.kick();
    const ends = await Promise.all(runs);
    console.log(...ends.map((end) => end.reason));
    process.exit();
  },
});
