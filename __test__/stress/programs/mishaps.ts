/** Mistakes that must stay small: a panic in native code, a listener that throws. */
import { Serial, type KvmError } from '../../../index.ts';
import { native } from '../../../lib/internal/native.ts';
import { OUTPUT, scaled } from '../../helpers/common-guests.ts';
import { commonMachine, main, waitFor } from './machine.ts';

await main({
  panic() {
    try {
      native().panicOnPurpose();
    } catch (error) {
      const { code, message } = error as KvmError;
      console.log(code, message);
    }
    const { vcpu } = commonMachine('mmio-storm');
    console.log(vcpu.run().reason);
  },
  async 'a listener that throws'() {
    // Somebody catches what nobody caught, as servers do: then the others must still be served.
    let thrown = 0;
    process.on('uncaughtException', () => thrown++);
    const loud = commonMachine('mmio-burst', { step: 0xffff_ffff });
    const serial = new Serial({
      onOutput: () => {
        throw new Error('from the listener');
      },
    });
    loud.vm.mmio.attach({ base: OUTPUT, length: 8 }, serial);
    const quiet = commonMachine('mmio-storm');
    let exits = 0;
    const runs = [loud, quiet].map(({ vcpu }) => vcpu.runInBackground({ mmioWrite: () => void exits++ }));
    await waitFor('errors', () => thrown > 5);
    const before = exits;
    await waitFor('exits of the other', () => exits > before + scaled(1000));
    console.log('others went on', true);
    for (const { vcpu } of [loud, quiet]) vcpu.kickHandle.kick();
    const ends = await Promise.all(runs);
    console.log(...ends.map((end) => end.reason));
    process.exit();
  },
});
