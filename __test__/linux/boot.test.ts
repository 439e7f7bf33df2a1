// Linux, by every way into it: the kernel of kernel/, and a stock one, that of Debian for clouds.
import test from 'ava';
import { totalmem } from 'node:os';
import { ALL_BOOTS, MEMORY, pairsOf, prove } from '../helpers/linux-proof.ts';
import { ALL, onLinux } from '../helpers/linux.ts';

for (const boot of ALL ? ALL_BOOTS : pairsOf(ALL_BOOTS)) {
  const { kernel, image, protocol, cpus, memory } = boot;
  onLinux(test, `${kernel} ${image} by ${protocol}, vCPUs: ${cpus}, memory: ${memory}`, kernel, async (t) => {
    if (MEMORY[memory] <= totalmem()) {
      await prove(t, boot);
      return;
    }
    t.log(`skipped: this host has ${(totalmem() / 2 ** 30).toFixed(1)} GiB of memory`);
    t.pass();
  });
}
